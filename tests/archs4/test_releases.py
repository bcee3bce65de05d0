"""The table of known files, and what the version service adds to it."""

import json

import pytest

from intake_tcga.archs4.releases import KNOWN, Release, find_release, release_at
from intake_tcga.archs4.version_service import known_releases, merged, parse_versions, refresh_releases
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import ManifestError, NameNotFoundError, OfflineError, OptionError, TransferError

SHA1 = "0123456789abcdef0123456789abcdef01234567"


def test_names_are_unique_and_whole():
    names = [release.name for release in KNOWN]
    assert len(set(names)) == len(names)
    assert {
        "human_gene_v2.5",
        "mouse_transcript_v2.2",
        "human_tpm_v2.2",
        "human_gene_v2.1.2",
        "human_gene_v1.11",
    } <= {*names}
    assert {f"{s}_{level}_latest" for s in ("human", "mouse") for level in ("gene", "transcript", "tpm")} <= {
        *names
    }


def test_the_table_is_sound():
    for release in KNOWN:
        assert release.url.startswith("https://s3.")
        assert release.sha1 is None or release.digest == Digest.parse(f"sha1:{release.sha1}")
        assert (release.version == "latest") == (
            release.bytes is None and release.sha1 is None
        ) or release.version == "1.11"
        if release.version.startswith("2"):
            assert release.fallback.startswith("https://s3.amazonaws.com/mssm-data/")
            assert release.fallback.rpartition("/")[2] == release.url.rpartition("/")[2]
    sha1s = [release.sha1 for release in KNOWN if release.sha1]
    assert len(set(sha1s)) == len(sha1s) == 14


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("human_gene_v2.5", "https://s3.dev.maayanlab.cloud/archs4/files/human_gene_v2.5.h5"),
        ("human_transcript_v2.2", "https://s3.dev.maayanlab.cloud/archs4/files/human_transcript_v2.2.h5"),
        ("mouse_gene_v2.1.2", "https://s3.dev.maayanlab.cloud/archs4/archs4_gene_mouse_v2.1.2.h5"),
        ("mouse_gene_v1.11", "https://s3.amazonaws.com/mssm-seq-matrix/mouse_matrix_v11.h5"),
        ("human_gene_latest", "https://s3.dev.maayanlab.cloud/archs4/files/human_gene_v2.latest.h5"),
    ],
)
def test_where_each_is(name, url):
    release = find_release(name)
    assert release.url == url
    assert release_at(url) is release


@pytest.mark.parametrize("name", ["human_gene_v2.5", " Human_Gene_v2.5.h5", "HUMAN_GENE_V2.5"])
def test_names_may_be_spelt_freely(name):
    assert find_release(name).name == "human_gene_v2.5"


@pytest.mark.parametrize(
    ("wrong", "near"), [("human_genes_v2.5", "human_gene_v2.5"), ("mouse_tpm", "mouse_tpm_v2.2")]
)
def test_a_wrong_name_says_the_nearest_and_the_others(wrong, near):
    with pytest.raises(NameNotFoundError, match=f"{wrong}.*did you mean '{near}'.*human_gene_latest"):
        find_release(wrong)


def test_where_its_verified_copy_belongs():
    file = find_release("human_gene_v2.5").remote_file()
    assert (file.folder, file.name, file.size) == ("archs4/2.5", "human_gene_v2.5.h5", 47_865_298_452)
    assert str(file.digest) == "sha1:ae96de0519b9f008b0dc3a9f944ee9007daf2f6a"


def test_latest_is_a_file_of_its_own_for_each_content():
    latest = find_release("mouse_gene_latest")
    with pytest.raises(OptionError, match="changes under its URL"):
        latest.remote_file()
    one, other = (latest.remote_file(pinned=pin, size=5) for pin in ("aa", "bb"))
    assert one.folder == "archs4/latest-aa" != other.folder
    assert (one.size, one.digest) == (5, None)


def entry(**changed):
    return {
        "id": 1, "version_major": 2, "version_minor": 6, "species": "human", "data_level": "gene", "checksum": SHA1,
        "ensembl_annotation": "107", "file_size": 123456, "samples": 1000, "timestamp": "2026-01-01",
    } | changed  # fmt: skip


def answer(*entries):
    return json.dumps({"versionfiles": list(entries)}).encode()


class TestService:
    @pytest.fixture
    def served(self, tmp_path):
        def serve(body):
            (tmp_path / "versions.json").write_bytes(body)
            return (tmp_path / "versions.json").as_uri()

        return serve

    def test_new_files_come_first_and_are_remembered(self, served, tmp_path):
        cache = VerifiedFileCache(tmp_path / "cache")
        body = answer(entry(), entry(version_minor=7, data_level="TPM", species="Mouse", checksum=None))
        releases = refresh_releases(cache=cache, url=served(body))
        assert [release.name for release in releases[:2]] == ["mouse_tpm_v2.7", "human_gene_v2.6"]
        new = find_release("human_gene_v2.6", releases)
        assert new.url == "https://s3.dev.maayanlab.cloud/archs4/files/human_gene_v2.6.h5"
        assert (new.size, new.samples, new.sha1, new.ensembl) == (123456, 1000, SHA1, "107")
        assert known_releases(cache) == releases
        assert known_releases(VerifiedFileCache(tmp_path / "other")) == KNOWN

    def test_it_fills_in_what_is_not_known_and_changes_nothing_else(self):
        own = find_release("mouse_gene_v2.4")
        found = parse_versions(answer(entry(species="mouse", version_minor=4, checksum=own.sha1)), "here")
        release = find_release("mouse_gene_v2.4", merged(KNOWN, found))
        assert (release.size, release.samples, release.sha1) == (123456, 1000, own.sha1)
        assert release.url == own.url

    def test_the_same_bytes_under_another_version_are_the_known_file(self):
        own = find_release("human_gene_v2.4")
        releases = merged(KNOWN, parse_versions(answer(entry(version_minor=9, checksum=own.sha1)), "here"))
        assert len(releases) == len(KNOWN)
        assert find_release("human_gene_v2.4", releases).size == 123456

    def test_another_sha1_for_a_known_file_is_not_believed(self, caplog):
        releases = merged(KNOWN, parse_versions(answer(entry(version_minor=5)), "here"))
        assert releases == KNOWN
        assert "human_gene_v2.5 has the SHA1 0123" in caplog.text

    @pytest.mark.parametrize(
        "wrong",
        [
            entry(species="zebrafish"), entry(data_level="exon"), entry(checksum="a7b21b55"),
            entry(version_minor="../x"), entry(version_major=None), {"species": "human"}, 7, None,
        ],
    )  # fmt: skip
    def test_entries_that_cannot_be_are_left_out_and_logged(self, wrong, caplog):
        assert [release.name for release in parse_versions(answer(wrong, entry()), "here")] == [
            "human_gene_v2.6"
        ]
        assert "an entry is left out" in caplog.text

    @pytest.mark.parametrize(
        ("size", "bytes_"), [("41G", None), (-5, None), (True, None), ("77", 77), (12.0, 12), (2**60, None)]
    )
    def test_sizes_that_are_not_exact_are_none(self, size, bytes_):
        (release,) = parse_versions(answer(entry(file_size=size)), "here")
        assert release.size == bytes_

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>", b"[]", b'{"versionfiles": 5}', answer(), answer({"species": "fish"}), b"[" * 10**5],
    )
    def test_an_answer_of_another_kind_changes_nothing(self, served, tmp_path, body):
        cache = VerifiedFileCache(tmp_path / "cache")
        before = refresh_releases(cache=cache, url=served(answer(entry())))
        with pytest.raises(ManifestError, match="releases"):
            refresh_releases(cache=cache, url=served(body))
        assert known_releases(cache) == before

    def test_offline(self, tmp_path):
        with pytest.raises(OfflineError, match="archs4.org.*offline"):
            refresh_releases(cache=VerifiedFileCache(tmp_path, offline=True))

    def test_a_service_that_is_not_there(self, tmp_path):
        with pytest.raises(TransferError):
            refresh_releases(cache=VerifiedFileCache(tmp_path), url=(tmp_path / "none.json").as_uri())

    def test_a_damaged_memory_is_as_none(self, tmp_path, served):
        cache = VerifiedFileCache(tmp_path / "cache")
        refresh_releases(cache=cache, url=served(answer(entry())))
        next((tmp_path / "cache").rglob("archs4-versions.json")).write_bytes(b"{")
        assert known_releases(cache) == KNOWN


def test_releases_say_bytes_exact_or_not():
    assert Release("human", "gene", "9", "u", size=5, about_bytes=7).bytes == 5
    assert find_release("human_gene_v2.4").bytes == 43 * 2**30
