"""What can be browsed, told before anything is opened."""

import sys

import intake
import pytest
import xarray as xr
import yaml
from faulty_server import FaultyServer

import intake_tcga
from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.sample import catalogs_folder, sample_collection
from intake_tcga.drivers.opening import open_shared
from intake_tcga.errors import (
    FileFormatError,
    MissingDependencyError,
    MissingFileError,
    NameNotFoundError,
    OfflineError,
    OptionError,
)
from intake_tcga.explorer.shelves import sample_shelf, shelves_of


def test_the_sample_opens():
    shelf = sample_shelf()
    assert shelf.names() == ["PRAD", "GTEx lung (ARCHS4 layout)", "CMU-1-Small-Region"]
    assert [shelf.entry(name).cost for name in shelf.names()] == ["", "", ""]
    prad, lung, slide = (shelf.entry(name).open() for name in shelf.names())
    assert prad.sizes["feature"] == 120
    assert lung.sizes["sample"] == 30
    assert "scale0" in slide.children
    assert shelf.names("prostate") == ["PRAD"]
    with pytest.raises(NameNotFoundError, match="PRAD"):
        shelf.entry("BRCA")


def test_a_catalog_of_cohorts(sample_manifest):
    (shelf,) = shelves_of(intake.open_tcga(sample_manifest, offline=True))
    assert (shelf.names(), shelf.names("breast")) == (["PRAD"], [])
    entry = shelf.entry("PRAD")
    assert entry.cost == "1.0 MB to download"
    assert entry.about["cancer_name"] == "Prostate Adenocarcinoma"
    with entry.open() as ds:
        assert ds.sizes["sample"] == 77
    assert shelf.entry("PRAD").cost == ""


def test_a_narrowed_catalog_and_a_collection(sample_manifest):
    cat = intake.open_tcga(sample_manifest, offline=True)
    assert shelves_of(cat.search("no such cancer"))[0].names() == []
    assert shelves_of(sample_collection())[0].names() == ["PRAD"]


def test_a_catalog_of_catalogs():
    shelves = shelves_of(intake.open_catalog(str(catalogs_folder() / "sample.yaml")))
    assert [(shelf.label, shelf.names()) for shelf in shelves] == [
        ("sample", ["PRAD"]),
        ("sample, other entries", ["archs4", "slide"]),
    ]
    assert (shelves[1].entry("slide").cost, shelves[1].entry("slide").about["size"]) == ("", 1_938_955)
    assert shelves[1].entry("archs4").open().sizes["feature"] == 818
    assert [shelf.label for shelf in shelves_of(intake.cat.tcga)] == ["mirna", "rnaseq", "archs4", "slides"]


def test_one_broken_entry_hides_no_other(tmp_path, sample_manifest):
    entries = {
        "good": {"driver": "tcga", "args": {"urlpath": str(sample_manifest), "offline": True}},
        "slides": {"driver": "tcga_slides", "args": {"manifest": str(tmp_path / "absent.tsv")}},
        "nested": {"driver": "yaml_file_cat", "args": {"path": str(tmp_path / "absent.yaml")}},
        "unknown": {"driver": "no_such_driver"},
    }
    place = tmp_path / "shared.yaml"
    place.write_text(yaml.safe_dump({"sources": entries}, sort_keys=False))
    good, rest = shelves_of(open_shared(str(place)))
    assert (good.names(), rest.names()) == (["PRAD"], ["slides", "nested", "unknown"])
    assert "absent.tsv" in rest.entry("slides").about["problem"]
    assert rest.names("no_such_driver") == ["unknown"]
    with pytest.raises(MissingFileError, match="absent.tsv"):
        rest.entry("slides").open()


def test_shared_catalogs_and_manifests(sample_manifest, tmp_path):
    assert shelves_of(open_shared(str(sample_manifest), offline=True))[0].names() == ["PRAD"]
    catalog = catalogs_folder() / "sample.yaml"
    for place in (str(catalog), catalog.as_uri()):
        assert len(shelves_of(open_shared(place, offline=True))) == 2
    with pytest.raises(OptionError, match=r"manifest \(.json\)"):
        open_shared("BRCA")
    with pytest.raises(MissingFileError, match="absent"):
        open_shared(str(tmp_path / "absent.yaml"))
    with pytest.raises(OfflineError, match="path of a copy"):
        open_shared("https://host/a.yaml?sig=secret", offline=True)
    (tmp_path / "list.yaml").write_text("[1, 2")
    with pytest.raises(FileFormatError, match="list.yaml"):
        open_shared(str(tmp_path / "list.yaml"))


def test_a_shared_catalog_on_a_server():
    body = (catalogs_folder() / "sample.yaml").read_bytes()
    with FaultyServer({"sample.yaml": body}) as server:
        assert list(open_shared(server.url("sample.yaml") + "?sig=secret")) == ["sample", "archs4", "slide"]


def test_files_of_archs4():
    (shelf,) = shelves_of(intake.open_tcga_archs4(offline=True))
    assert shelf.names("mouse")
    entry = shelf.entry("human_gene_v2.5")
    assert entry.cost
    assert entry.about["samples"] > 500_000


def test_a_dataset_stays_the_users():
    ds = open_sample(normalization="TC")
    (shelf,) = shelves_of(ds)
    shelf.entry(shelf.names()[0]).open().close()
    assert float(ds["real"].max()) > 0
    assert shelves_of(xr.DataTree(name="x"))[0].names() == ["x"]


@pytest.mark.parametrize("wrong", [3, "BRCA", intake.open_tcga_cohort("PRAD")])
def test_nothing_to_browse(wrong):
    with pytest.raises(OptionError, match="cannot be browsed"):
        shelves_of(wrong)


@pytest.mark.parametrize("name", ["panel", "matplotlib.pyplot"])
def test_without_panel(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        intake_tcga.explore()
