"""One YAML for everybody on a platform: served over HTTP with a mirror, a token, and a shared folder to read."""

import pickle
import shutil

import intake
import numpy as np
import pytest
from archs4_files import made_up_samples, write_archs4
from cohort_files import write_mirna
from faulty_server import FaultyServer, status
from gdc_server import GdcServer, gdc_slide
from manifests import manifest_for
from slide_files import write_slide

from intake_tcga.archs4.access import open_archs4
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.mirror import mirror
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import AccessDeniedError
from intake_tcga.slides.opening import open_slide

TOKEN = "a-token-of-the-platform"


class Platform(FaultyServer):
    """A server that lets in only those who have the token; the catalog and the manifest of slides are for all."""

    def next_fault(self, name):
        asked = [request for request in self.requests if request.name == name][-1]
        allowed = asked.headers.get("authorization") == f"Bearer {TOKEN}"
        return super().next_fault(name) if allowed or name.endswith((".yaml", ".tsv")) else status(401)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """What the platform's folder holds, made as its keepers would."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "bundle").mkdir()
    for seed, name in enumerate(("BRCA_er_status", "OV_grade")):
        write_mirna(folder / "bundle" / f"{name}.h5", seed=seed)
    theirs = CohortCollection(str(manifest_for(folder / "bundle")), cache_storage=str(folder / "cache"))
    mirror(theirs, folder / "www" / "mirna")
    (folder / "www" / "archs4").mkdir()
    fields = made_up_samples(12, "2.5")
    fields["series_id"] = ["GSE64016" if at % 3 == 0 else f"GSE{at},GSE640160" for at in range(12)]
    write_archs4(folder / "www" / "archs4" / "human_gene_v2.5.h5", n_samples=12, samples=fields)
    shutil.copy(catalogs_folder() / "examples" / "platform.yaml", folder / "www")
    write_slide(folder / "lung.svs", width=700, height=500)
    return folder


@pytest.fixture
def gdc(published, monkeypatch):
    slides = [gdc_slide(1, body=(published / "lung.svs").read_bytes()), gdc_slide(2)]
    with GdcServer(slides) as server:
        monkeypatch.setenv("INTAKE_TCGA_GDC_URL", server.endpoint)
        yield server


@pytest.fixture
def platform(published, gdc, tmp_path, monkeypatch):
    """The platform's server, and the environment of a user of it."""
    www = published / "www"
    bodies = {
        path.relative_to(www).as_posix(): path.read_bytes() for path in www.rglob("*") if path.is_file()
    }
    header = "\t".join(["id", "filename", "md5", "size", "state"])
    bodies["slides/lung.tsv"] = f"{header}\n{gdc.files[0].manifest_line()}\n".encode()
    monkeypatch.setenv("TCGA_TOKEN", TOKEN)
    monkeypatch.setenv("TCGA_SHARED", str(tmp_path / "shared"))
    monkeypatch.setenv("TCGA_SCRATCH", str(tmp_path / "scratch"))
    with Platform(bodies) as server:
        yield server


@pytest.fixture
def cat(platform):
    return intake.open_catalog(platform.url("platform.yaml"))


def asked(platform, start):
    return [request.name for request in platform.requests if request.name.startswith(start)]


def test_opening_it_reads_nothing_else(cat, platform):
    assert list(cat) == ["mirna", "brca", "myoblasts", "lung_slides"]
    assert set(asked(platform, "")) == {"platform.yaml"}


def test_cohorts(cat, platform, tmp_path, published):
    assert list(cat.mirna) == ["BRCA", "OV"]
    with cat.mirna["OV"].to_dask() as ds:
        assert ds.attrs["intake_tcga:source_url"] == platform.url("mirna/OV_grade.h5")
    kept = {path.name for path in (tmp_path / "scratch").rglob("*.h5")}
    assert kept == {"OV_grade.h5"}
    assert not (tmp_path / "shared").exists()
    with (
        cat.brca.to_dask() as ds,
        CohortCollection(str(published / "bundle" / "manifest.json")).open("BRCA") as all_,
    ):
        wanted = all_["synthetic"].sel(normalization="TC", model="CVAE1_20")
        np.testing.assert_array_equal(ds["synthetic"], wanted)


def test_what_the_shared_folder_has_is_not_downloaded(cat, platform, tmp_path):
    keeper = CohortCollection(
        platform.url("mirna/manifest.json"),
        cache_storage=str(tmp_path / "shared"),
        storage_options={"headers": {"Authorization": f"Bearer {TOKEN}"}},
    )
    keeper.prefetch()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    platform.requests.clear()
    with cat.mirna["BRCA"].to_dask() as ds:
        assert ds["real"].sum().compute() > 0
    assert asked(platform, "mirna/BRCA") == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").rglob("*")} == before
    assert not list((tmp_path / "scratch").rglob("*.h5"))
    for path in before:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_series_of_archs4(cat, platform, published):
    with cat.myoblasts.to_dask() as ds, open_archs4(published / "www/archs4/human_gene_v2.5.h5") as whole:
        wanted = whole.archs4.series("GSE64016")
        assert wanted.sizes["sample"] == 4
        assert ds["sample"].values.tolist() == wanted["sample"].values.tolist()
        np.testing.assert_array_equal(ds["counts"], wanted["counts"])
        np.testing.assert_array_equal(ds["title"], wanted["title"])
    assert cat.myoblasts(series=None, draw=2).to_dask().sizes["sample"] == 2


def test_slides_of_a_manifest(cat, gdc, published):
    slides = cat.lung_slides
    assert slides.collection.df["file_name"].tolist() == [gdc.files[0].file_name]
    assert list(slides) == [gdc.files[0].file_name.partition(".")[0]]
    image = slides.collection.open(gdc.files[0].file_id, mpp=4.0)["image"]
    np.testing.assert_array_equal(image, open_slide(published / "lung.svs", mpp=4.0)["image"])


def test_the_token_is_in_nothing_that_is_shown_or_saved(cat, platform):
    sources = [cat.mirna, cat.mirna["OV"], cat.brca, cat.myoblasts, cat.lung_slides]
    shown = "".join(repr(source) + source.yaml() for source in sources)
    assert TOKEN not in shown
    assert pickle.loads(pickle.dumps(cat.brca)).to_dask()["real"].ndim == 2


def test_without_the_token(cat, monkeypatch):
    monkeypatch.setenv("TCGA_TOKEN", "another")
    for name in ("mirna", "brca", "myoblasts"):
        with pytest.raises(AccessDeniedError) as caught:
            list(cat.mirna) if name == "mirna" else cat[name].to_dask()
        assert "another" not in str(caught.value)


def test_on_a_shared_disk_it_is_the_same(published, gdc, platform):
    cat = intake.open_catalog(str(published / "www" / "platform.yaml"))
    assert list(cat.mirna) == ["BRCA", "OV"]
    assert cat.brca.to_dask()["real"].ndim == 2
    assert cat.myoblasts.to_dask().sizes["sample"] == 4
    assert platform.requests == []
