import json
import os
import threading

import pytest
from manifests import as_bytes, mirna_entry, mirna_manifest, rnaseq_manifest

from intake_tcga.cohorts.bundles import BUNDLES
from intake_tcga.cohorts.manifest import parse_manifest
from intake_tcga.cohorts.manifest_store import ManifestStore

URL = "https://me:secret@host/v1/manifest.json?sig=token"
MIRNA = BUNDLES["mirna"].url


def keep(store, manifest):
    body = as_bytes(manifest)
    store.keep(body, parse_manifest(body, store.url))


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("url", [URL, MIRNA, "/data/manifest.json", "memory://m.json"])
def test_what_is_kept_is_found_again(tmp_path, url):
    store = ManifestStore(url, tmp_path)
    assert store.last() is None
    assert store.versions() == {}
    keep(store, mirna_manifest(version="1.0"))
    keep(store, mirna_manifest(version="2.0"))
    assert store.last().manifest.version == "2.0"
    assert store.last().manifest.url == url
    assert sorted(store.versions()) == ["1.0", "2.0"]
    assert ManifestStore("https://other/manifest.json", tmp_path).last() is None


def test_no_credentials_are_written(tmp_path):
    keep(ManifestStore(URL, tmp_path), mirna_manifest())
    for path in tmp_path.rglob("*"):
        assert "secret" not in str(path)
        assert path.is_dir() or b"token" not in path.read_bytes()


def test_copies_serve_renewed_tokens_and_the_new_url(tmp_path):
    keep(ManifestStore(URL, tmp_path), mirna_manifest())
    renewed = ManifestStore("https://host/v1/manifest.json?sig=renewed", tmp_path).last().manifest
    assert renewed.cohorts[0].url == "https://host/v1/BRCA_status.h5?sig=renewed"


def test_a_default_bundle_is_kept_where_syng_bts_reads_it(tmp_path):
    keep(ManifestStore(MIRNA, tmp_path), mirna_manifest(version="1.1"))
    assert (tmp_path / "tcga/mirna/1.1/manifest.json").read_bytes() == as_bytes(mirna_manifest(version="1.1"))
    assert json.loads((tmp_path / "tcga/mirna/.url_index.json").read_text()) == {MIRNA: "1.1"}


def test_another_url_never_writes_there(tmp_path):
    keep(ManifestStore(URL, tmp_path), mirna_manifest())
    assert not (tmp_path / "tcga").exists()


def test_syng_bts_own_cache_is_read_and_never_written(tmp_path):
    shared = tmp_path / "syng-bts"
    folder = shared / "tcga/rnaseq"
    for version in ("1.0", "0.9"):
        (folder / version).mkdir(parents=True)
        (folder / version / "manifest.json").write_bytes(as_bytes(rnaseq_manifest(version=version)))
    (folder / ".url_index.json").write_text(json.dumps({BUNDLES["rnaseq"].url: "1.0", "https://x": 3}))
    before = files_in(shared)
    store = ManifestStore(BUNDLES["rnaseq"].url, tmp_path / "own", [shared], "rnaseq")
    assert store.last().manifest.version == "1.0"
    assert sorted(store.versions()) == ["0.9", "1.0"]
    keep(store, rnaseq_manifest(version="1.2"))
    assert store.last().manifest.version == "1.2"  # the writable root's is newer
    assert files_in(shared) == before


def test_the_index_keeps_what_others_wrote_in_it(tmp_path):
    folder = tmp_path / "tcga/mirna"
    folder.mkdir(parents=True)
    (folder / ".url_index.json").write_text(json.dumps({"https://other": "7"}))
    keep(ManifestStore(MIRNA, tmp_path), mirna_manifest())
    assert json.loads((folder / ".url_index.json").read_text()) == {"https://other": "7", MIRNA: "1.0"}


@pytest.mark.parametrize(
    "index", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"a": ', json.dumps({MIRNA: "../../evil"}).encode()]
)
def test_a_damaged_or_hostile_index_says_nothing(tmp_path, index):
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "manifest.json").write_bytes(as_bytes(mirna_manifest()))
    root = tmp_path / "root"
    (root / "tcga/mirna").mkdir(parents=True)
    (root / "tcga/mirna/.url_index.json").write_bytes(index)
    store = ManifestStore(MIRNA, root)
    assert store.last() is None
    keep(store, mirna_manifest())
    assert json.loads((root / "tcga/mirna/.url_index.json").read_text())[MIRNA] == "1.0"


@pytest.mark.parametrize("damage", [b"", b"{", b"<html>", b"x" * 100, b"\x00" * 5000])
def test_a_damaged_copy_is_passed_over(tmp_path, damage):
    store = ManifestStore(URL, tmp_path / "own", [tmp_path / "shared"])
    keep(ManifestStore(URL, tmp_path / "shared"), mirna_manifest(version="0.9"))
    keep(store, mirna_manifest(version="1.0"))
    store.last().path.write_bytes(damage)
    assert store.last().manifest.version == "0.9"
    assert sorted(store.versions()) == ["0.9", "1.0"]
    keep(store, mirna_manifest(version="1.0"))
    assert store.last().manifest.version == "1.0"


def test_a_copy_of_another_modality_is_no_copy(tmp_path):
    keep(ManifestStore(URL, tmp_path), rnaseq_manifest())
    assert ManifestStore(URL, tmp_path, modality="mirna").last() is None


def test_a_copy_is_held_to_the_same_rules_as_what_was_served(tmp_path):
    elsewhere = as_bytes(mirna_manifest(mirna_entry(url="https://elsewhere/A.h5")))
    trusting = ManifestStore(URL, tmp_path, allow_other_hosts=True)
    trusting.keep(elsewhere, parse_manifest(elsewhere, URL, allow_other_hosts=True))
    assert trusting.last().manifest.cohorts[0].url == "https://elsewhere/A.h5"
    assert ManifestStore(URL, tmp_path).last() is None


def test_nothing_is_left_beside_the_copies(tmp_path):
    store = ManifestStore(MIRNA, tmp_path)
    for _ in range(3):
        keep(store, mirna_manifest())
    key = next((tmp_path / "manifests").iterdir()).name
    assert files_in(tmp_path) == sorted(
        [
            f"manifests/{key}/last.json",
            f"manifests/{key}/versions/1.0.json",
            "tcga/mirna/.url_index.json",
            "tcga/mirna/1.0/manifest.json",
        ]
    )


def test_an_unwritable_root_has_no_copies(tmp_path):
    root = tmp_path / "file"
    root.write_text("in the way")
    store = ManifestStore(URL, root)
    with pytest.raises(OSError, match="file"):
        keep(store, mirna_manifest())
    assert store.last() is None
    assert store.versions() == {}


def test_a_write_that_fails_leaves_the_old_copy_whole(tmp_path, monkeypatch):
    store = ManifestStore(URL, tmp_path)
    keep(store, mirna_manifest(version="1.0"))
    before = files_in(tmp_path)

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left on device"):
        keep(store, mirna_manifest(version="2.0"))
    assert files_in(tmp_path) == before
    assert store.last().manifest.version == "1.0"


def test_many_writers_and_readers_see_whole_copies_only(tmp_path):
    store = ManifestStore(MIRNA, tmp_path)
    keep(store, mirna_manifest())
    failures = []

    def work(number):
        try:
            for _ in range(10):
                keep(store, mirna_manifest(version=f"{number}", note="x" * 1000 * number))
                assert store.last() is not None
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(store.versions()) == ["1", "1.0", "2", "3", "4", "5", "6"]
    assert not list(tmp_path.rglob(".last*"))


def test_the_same_manifest_again_only_renews_the_copys_age(tmp_path):
    store = ManifestStore(URL, tmp_path)
    keep(store, mirna_manifest())
    path = store.last().path
    os.utime(path, (1e9, 1e9))
    inode = path.stat().st_ino
    keep(store, mirna_manifest())
    assert path.stat().st_ino == inode
    assert store.last().age == "a moment"


def test_the_age_is_that_of_the_copy(tmp_path):
    store = ManifestStore(URL, tmp_path)
    keep(store, mirna_manifest())
    path = store.last().path
    assert store.last().age == "a moment"
    os.utime(path, (path.stat().st_mtime - 3 * 86400 - 60,) * 2)
    assert store.last().age == "3 days"
