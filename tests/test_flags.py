"""Yes and no in words: what a template or an environment variable gives is always text."""

import pytest

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.errors import OptionError
from intake_tcga.flags import flag


@pytest.mark.parametrize(
    ("word", "meant"), [("false", False), ("NO", False), ("0", False), ("", False), ("On", True)]
)
def test_words(word, meant):
    assert flag(word, "x") is meant


def test_what_says_neither():
    with pytest.raises(OptionError, match="x='maybe' says neither yes nor no"):
        flag("maybe", "x")


def test_text_is_no_permission():
    assert CohortCollection("https://h/m.json", allow_other_hosts="false").allow_other_hosts is False
    assert CohortCollection("https://h/m.json", allow_other_hosts="yes").allow_other_hosts is True
    with pytest.raises(OptionError, match="allow_other_hosts='perhaps'"):
        CohortCollection("https://h/m.json", allow_other_hosts="perhaps")


def test_progress(tmp_path):
    assert VerifiedFileCache(tmp_path, progress="false").progress is False
    assert VerifiedFileCache(tmp_path).progress is None
