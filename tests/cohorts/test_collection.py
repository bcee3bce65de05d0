"""The collection: one value under every adapter."""

import pickle
import re
import shutil

import pytest
from cohort_files import write_mirna, write_rnaseq
from manifests import as_bytes, manifest_for, mirna_entry, mirna_manifest

from intake_tcga.cohorts.access import (
    cohort_path,
    cohort_table,
    list_cohorts,
    open_cohort,
    open_cohort_tree,
    open_sample,
    prefetch,
)
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.errors import (
    FileFormatError,
    IntegrityError,
    ManifestError,
    NameNotFoundError,
    OptionError,
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("BRCA_er_status", "OV_grade"):
        write_mirna(folder / f"{name}.h5")
    return folder


@pytest.fixture
def url(folder):
    return manifest_for(folder).as_uri()


def damage(path, where=3000):
    with open(path, "r+b") as file:
        file.seek(where)
        file.write(b"\xff" * 64)


def test_provenance(url, folder):
    attrs = open_cohort("BRCA", manifest=url).attrs
    assert attrs["intake_tcga:source_url"] == (folder / "BRCA_er_status.h5").as_uri()
    assert attrs["intake_tcga:digest"].startswith("sha256:")
    assert {"intake_tcga:manifest_version", "intake_tcga:package_version"} <= set(attrs)


def test_functions_are_the_collection(url):
    assert list_cohorts(manifest=url) == ["BRCA", "OV"]
    assert list_cohorts(manifest=url, short=False) == ["BRCA_er_status", "OV_grade"]
    assert cohort_table(manifest=url)["code"].tolist() == ["BRCA", "OV"]
    assert cohort_path("OV", manifest=url).name == "OV_grade.h5"
    assert list(prefetch(["OV"], manifest=url)) == ["OV"]
    assert "raw" in open_cohort_tree("OV", manifest=url).children
    assert open_cohort("OV_grade", manifest=url, chunks={})["real"].chunks is not None


def test_modality_is_checked_before_any_download(tmp_path, cache_dir):
    write_rnaseq(tmp_path / "SKCM_x.h5")
    url = manifest_for(tmp_path).as_uri()
    assert open_cohort("SKCM", modality="rnaseq", manifest=url)["real"].ndim == 3
    shutil.rmtree(cache_dir)
    with pytest.raises(ManifestError, match="rnaseq"):
        open_cohort("SKCM", modality="mirna", manifest=url)
    assert not list(cache_dir.rglob("*.h5"))


def test_pickle_carries_the_manifest_that_was_read(url, folder):
    collection = CohortCollection(url)
    collection.names()
    (folder / "manifest.json").unlink()
    assert pickle.loads(pickle.dumps(collection)).names() == ["BRCA", "OV"]


def test_where_the_cache_is_does_not_travel(url, monkeypatch, tmp_path):
    collection = CohortCollection(url)
    collection.fetch("OV")
    sent = pickle.dumps(collection)
    monkeypatch.setenv("INTAKE_TCGA_CACHE_DIR", str(tmp_path / "worker"))
    assert pickle.loads(sent).fetch("OV").is_relative_to(tmp_path / "worker")


def test_versions_do_not_touch(folder):
    old = CohortCollection(manifest_for(folder, version="1").as_uri()).fetch("OV")
    before = old.read_bytes()
    write_mirna(folder / "OV_grade.h5", seed=5)
    new = CohortCollection(manifest_for(folder, version="2").as_uri()).fetch("OV")
    assert old != new
    assert old.read_bytes() == before != new.read_bytes()


def test_pinning_reads_the_old_versions_own_folder(folder):
    url = manifest_for(folder, version="1").as_uri()
    old = CohortCollection(url).fetch("OV")
    manifest_for(folder, version="2")
    assert CohortCollection(url).manifest.version == "2"
    pinned = CohortCollection(url, version="1")
    assert pinned.manifest.version == "1"
    assert pinned.fetch("OV") == old


@pytest.mark.parametrize("version", [1.0, 2])
def test_a_version_is_a_text(url, version):
    with pytest.raises(OptionError, match=f"must be a text.* quote it: '{version}'"):
        CohortCollection(url, version=version)


def test_a_file_damaged_here_is_fetched_anew(url):
    collection = CohortCollection(url)
    path = collection.fetch("OV")
    good = path.read_bytes()
    damage(path)
    assert collection.fetch("OV").read_bytes() == good


def test_a_file_damaged_here_is_an_error_when_its_source_is_gone(url, folder):
    path = cohort_path("OV", manifest=url)
    damage(path)
    (folder / "OV_grade.h5").unlink()
    with pytest.raises(OSError, match="OV_grade"):
        open_cohort("OV", manifest=url)


def test_a_file_that_was_published_damaged_says_so(folder):
    url = _manifest_with_bad_file(folder)
    with pytest.raises(FileFormatError, match="published like this"):
        open_cohort("OV", manifest=url)


def _manifest_with_bad_file(folder):
    """Return a manifest whose digest is that of a file which is no cohort."""
    import hashlib
    import json

    bad = folder / "OV_grade.h5"
    path = manifest_for(folder)
    damage(bad, where=0)
    manifest = json.loads(path.read_text())
    for entry in manifest["datasets"]:
        if entry["file"] == bad.name:
            entry["sha256"] = hashlib.sha256(bad.read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))
    return path.as_uri()


def test_verify_says_what_is_wrong(url):
    collection = CohortCollection(url)
    path = collection.fetch("OV")
    assert collection.verify_files() == {"BRCA": "not cached", "OV": "verified"}
    damage(path)
    assert "sha256" in collection.verify_files(["OV"])["OV"]


def test_prefetch_keeps_what_succeeded(url, folder):
    (folder / "OV_grade.h5").write_bytes(b"x" * (folder / "OV_grade.h5").stat().st_size)
    collection = CohortCollection(url)
    with pytest.raises((IntegrityError, OSError), match="OV_grade"):
        collection.prefetch()
    assert collection.is_cached(collection.cohort("BRCA"))
    assert not collection.is_cached(collection.cohort("OV"))


def test_a_file_is_no_cohorts_name(url, folder, monkeypatch):
    file = str(folder / "OV_grade.h5")
    opened = re.escape(f'xarray.open_dataset({file!r}, engine="tcga")')
    for name in (file, folder / "OV_grade.h5"):
        for options in ({"manifest": url}, {"manifest": "https://host/manifest.json"}, {}):
            with pytest.raises(NameNotFoundError, match=opened):
                open_cohort(name, **options)
    monkeypatch.chdir(folder)
    with pytest.raises(NameNotFoundError, match=r"open_dataset\('OV_grade.h5'"):
        open_cohort("OV_grade.h5", manifest=url)
    for name in ("missing.h5", "data/PRAD", "PRAD.HDF5"):
        for options in ({"manifest": url}, {"modality": "rnaseq"}):
            with pytest.raises(NameNotFoundError, match=re.escape(f"open_dataset({name!r}")):
                open_cohort(name, **options)
    for options in ({"manifest": url}, {}):
        with pytest.raises(
            NameNotFoundError, match=r"open_local\('tcgacache::https://host/a.h5'\)"
        ) as caught:
            open_cohort("https://me:secret@host/a.h5", **options)
        assert "secret" not in str(caught.value)


def test_a_cohort_may_be_named_like_a_file(tmp_path):
    entry = mirna_entry("BRCA/er.h5", file="a.h5")
    (tmp_path / "manifest.json").write_bytes(as_bytes(mirna_manifest(entry)))
    assert CohortCollection(str(tmp_path / "manifest.json")).cohort("BRCA/er.h5").file == "a.h5"


@pytest.mark.parametrize("place", ["OV_grade.h5", "https://me:secret@host/OV_grade.h5?sig=1"])
def test_a_file_is_no_manifest(folder, monkeypatch, place):
    monkeypatch.chdir(folder)
    with pytest.raises(OptionError, match=r"OV_grade.h5 is a data file, not a manifest. .*engine=") as caught:
        list_cohorts(manifest=place)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("threads", [0, -1, "4", 1.5, True, None])
def test_prefetch_takes_a_file_at_a_time_at_least(url, threads, cache_dir):
    with pytest.raises(OptionError, match=f"threads={threads!r} is not possible"):
        prefetch(manifest=url, threads=threads)
    assert not cache_dir.exists()


def test_unknown_cohort(url):
    with pytest.raises(NameNotFoundError, match="BRCA"):
        open_cohort("BRCX", manifest=url)


def test_cache_storage_is_read_only_roots_then_the_writable(url, tmp_path):
    shared = tmp_path / "shared"
    CohortCollection(url, cache_storage=str(shared)).fetch("OV")
    own = CohortCollection(url, cache_storage=[str(shared), str(tmp_path / "own")])
    assert own.fetch("OV").is_relative_to(shared)
    assert own.fetch("BRCA").is_relative_to(tmp_path / "own")


@pytest.mark.parametrize("wrong", ["urlpath", "manifest_url", "normalisation"])
def test_a_wrong_option_lists_those_of_the_function(url, wrong):
    with pytest.raises(OptionError, match=f"open_cohort has no option '{wrong}'") as caught:
        open_cohort("OV", **{wrong: url})
    listed = str(caught.value).partition("There are: ")[2].rstrip(".").split(", ")
    assert {"manifest", "normalization", "model", "chunks", "force", "offline"} <= set(listed)
    assert "urlpath" not in listed
    assert len(listed) == len(set(listed))
    for function in (cohort_path, open_cohort_tree):
        with pytest.raises(OptionError, match=f"{function.__name__} has no option '{wrong}'"):
            function("OV", **{wrong: url})
    for function in (list_cohorts, cohort_table, prefetch, open_sample):
        with pytest.raises(OptionError, match=f"{function.__name__} has no option '{wrong}'"):
            function(**{wrong: url})


def test_a_cache_that_is_no_folder(url):
    with pytest.raises(OptionError, match="cache_storage=5 is no folder"):
        open_cohort("OV", manifest=url, cache_storage=5)
