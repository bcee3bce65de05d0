import os

import pytest
from fastq_files import CODING, MadeUp, ensembl_bodies, naive_sum
from faulty_server import FaultyServer, captive_portal, wrong_byte
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.archs4.ensembl import bsd_sum, checked, ensembl_species, fetch_ensembl, read_checksums
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import FileFormatError, IntegrityError, NameNotFoundError, OptionError

MADE_UP = MadeUp.of(number=300)
FOLDER = "release-107/fasta/homo_sapiens/cdna"


@pytest.fixture
def server():
    with FaultyServer(ensembl_bodies(MADE_UP)) as server:
        yield server


def cache_in(tmp_path, **options):
    return VerifiedFileCache(tmp_path / "cache", read_only=[], progress=False, **options)


def test_files_are_found_by_the_list_and_checked(server, tmp_path):
    cache = cache_in(tmp_path)
    coding, noncoding = fetch_ensembl("homo_sapiens", 107, cache, url=server.url())
    assert coding.name == CODING
    assert noncoding.name == CODING.replace("cdna.all", "ncrna")
    path = checked(coding, cache, url=server.url())
    assert path.read_bytes() == server.bodies[f"{FOLDER}/{CODING}"]
    asked = len(server.requests)
    offline = cache_in(tmp_path, offline=True)
    assert fetch_ensembl("homo_sapiens", 107, offline, url=server.url()) == (coding, noncoding)
    assert checked(coding, offline, url=server.url()) == path
    assert len(server.requests) == asked


def test_a_wrong_file_is_fetched_again(server, tmp_path):
    server.fail(f"{FOLDER}/{CODING}", wrong_byte)
    coding, _ = fetch_ensembl("homo_sapiens", 107, cache_in(tmp_path), url=server.url())
    path = checked(coding, cache_in(tmp_path), url=server.url())
    assert path.read_bytes() == server.bodies[f"{FOLDER}/{CODING}"]


@pytest.mark.parametrize("wrong", ["sum", "size"])
def test_a_file_that_stays_wrong(server, tmp_path, wrong):
    name = f"{FOLDER}/{CODING}"
    body = server.bodies[name]
    server.bodies[name] = body[:-3000] if wrong == "size" else body[:-1] + bytes([body[-1] ^ 1])
    cache = cache_in(tmp_path)
    coding, _ = fetch_ensembl("homo_sapiens", 107, cache, url=server.url())
    with pytest.raises(IntegrityError, match="blocks" if wrong == "size" else "its sum is"):
        checked(coding, cache, url=server.url())


def test_what_ensembl_does_not_have(server, tmp_path):
    with pytest.raises(NameNotFoundError, match="release 99 has no cdna of 'homo_sapiens'"):
        fetch_ensembl("homo_sapiens", 99, cache_in(tmp_path), url=server.url())


def test_a_list_that_is_none(server, tmp_path):
    server.bodies[f"{FOLDER}/CHECKSUMS"] = b"please log in"
    cache = cache_in(tmp_path)
    with pytest.raises(FileFormatError, match="names 0 files"):
        fetch_ensembl("homo_sapiens", 107, cache, url=server.url())
    server.bodies |= ensembl_bodies(MADE_UP)  # nothing of it stays
    assert fetch_ensembl("homo_sapiens", 107, cache, url=server.url())[0].name == CODING


def test_a_portal_in_the_way(server, tmp_path):
    server.fail(f"{FOLDER}/CHECKSUMS", captive_portal, times=None)
    with pytest.raises(OSError, match="web page"):
        fetch_ensembl("homo_sapiens", 107, cache_in(tmp_path), url=server.url())


@given(st.binary(max_size=3000))
def test_sum(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("s") / "f"
    path.write_bytes(body)
    assert bsd_sum(path) == naive_sum(body)


@pytest.mark.skipif(os.system("sum --version >/dev/null 2>&1") != 0, reason="no sum here")
def test_sum_is_that_of_the_program(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(5000))
    value, blocks = os.popen(f"sum {path}").read().split()[:2]
    assert (bsd_sum(path), 5) == (int(value), int(blocks))
    (listed,) = read_checksums(f"{value} {blocks} f").values()
    assert listed.check(path) is None


def test_md5_lists(tmp_path):
    (tmp_path / "f").write_bytes(b"hello")
    right, wrong = (
        read_checksums(f"{md5}  ./f")["f"] for md5 in ("5d41402abc4b2a76b9719d911017c592", "0" * 32)
    )
    assert right.check(tmp_path / "f") is None
    assert "md5" in wrong.check(tmp_path / "f")


@pytest.mark.parametrize("species", ["humans", "../x", "", "homo_sapiens/cdna"])
def test_species_that_cannot_be(species):
    with pytest.raises(OptionError, match="human, mouse"):
        ensembl_species(species)
