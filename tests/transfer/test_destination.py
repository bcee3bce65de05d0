"""Copies to another filesystem: what its disk refuses at the very end is heard."""

import errno
import os

import pytest

from intake_tcga.errors import IntakeTcgaError
from intake_tcga.transfer.destination import Destination


def test_no_room_that_is_told_only_when_bytes_reach_the_disk(tmp_path, monkeypatch):
    source = tmp_path / "a.h5"
    source.write_bytes(b"bytes")
    target = Destination.of(str(tmp_path / "there"))

    def full(_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(IntakeTcgaError, match=os.strerror(errno.EDQUOT)):
            target.put(source, "a.h5")
    assert list((tmp_path / "there").iterdir()) == []
    target.put(source, "a.h5")
    assert (tmp_path / "there" / "a.h5").read_bytes() == b"bytes"
