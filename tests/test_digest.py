"""Digests: read, compared, computed."""

import hashlib

import pytest

from intake_tcga.digest import Digest
from intake_tcga.errors import OptionError


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_of_a_file_is_hashlibs(tmp_path, algorithm):
    path = tmp_path / "x"
    path.write_bytes(b"content" * 1000)
    expected = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    assert Digest.of(path, algorithm) == Digest(algorithm, expected) == Digest.parse(expected)
    assert str(Digest.parse(f" {algorithm.upper()}:{expected.upper()} ")) == f"{algorithm}:{expected}"


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:xyz", "crc32:00000000", "a" * 63, "md5:" + "a" * 40, "g" * 64]
)
def test_anything_else_is_a_sentence(text):
    with pytest.raises(OptionError):
        Digest.parse(text)
