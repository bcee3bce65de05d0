"""A bundle copied elsewhere is a bundle: the same bytes, found by its own manifest, whatever happened on the way."""

import json
import threading
from dataclasses import replace

import fsspec
import pytest
from cohort_files import write_mirna
from faulty_server import FaultyServer, wrong_byte
from manifests import as_bytes, manifest_for, mirna_entry, mirna_manifest
from s3_server import s3_server

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.mirror import mirror
from intake_tcga.errors import (
    IntegrityError,
    NameNotFoundError,
    OfflineError,
    OptionError,
    TransferError,
)
from intake_tcga.transfer.destination import Destination

NAMES = ("BRCA_er_status", "OV_grade", "PRAD_sample_type")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    for seed, name in enumerate(NAMES):
        write_mirna(folder / f"{name}.h5", seed=seed)
    manifest_for(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(bundle):
    with FaultyServer(bundle) as server:
        yield server


@pytest.fixture
def collection(server):
    return CohortCollection(server.url("manifest.json"))


def test_a_folder(collection, bundle, server, tmp_path):
    made = mirror(collection, tmp_path / "srv" / "tcga")
    assert {path.name: path.read_bytes() for path in (tmp_path / "srv" / "tcga").iterdir()} == bundle
    assert made.copied == NAMES
    assert made.found == ()
    assert made.size == sum(len(body) for name, body in bundle.items() if name.endswith(".h5"))
    assert made.manifest_url == str(tmp_path / "srv" / "tcga" / "manifest.json")
    server.requests.clear()
    again = mirror(collection, tmp_path / "srv" / "tcga")
    assert (again.copied, again.found, again.size) == ((), NAMES, 0)
    assert server.requests == []


def test_a_mirror_opens_over_http(collection, tmp_path):
    mirror(collection, tmp_path / "srv")
    bodies = {path.name: path.read_bytes() for path in (tmp_path / "srv").iterdir()}
    with FaultyServer(bodies) as platform:
        ours = CohortCollection(platform.url("manifest.json"), cache_storage=str(tmp_path / "cache"))
        with ours.open("OV") as ds, collection.open("OV") as published:
            assert ds.attrs["intake_tcga:source_url"] == platform.url("OV_grade.h5")
            assert ds.drop_attrs().identical(published.drop_attrs())
        assert replace(ours.manifest, url="", cohorts=()) == replace(collection.manifest, url="", cohorts=())


def test_memory(collection, bundle):
    made = mirror(collection, "memory://a-mirror/of/it/")
    assert made.manifest_url == "memory://a-mirror/of/it/manifest.json"
    fs = fsspec.filesystem("memory")
    assert {path.rpartition("/")[2]: fs.cat(path) for path in fs.find("/a-mirror")} == bundle
    assert CohortCollection(made.manifest_url).open("BRCA")["raw"].shape == (14, 30)


@pytest.fixture(scope="module")
def s3():
    with s3_server("platform") as options:
        yield options


def test_a_bucket(collection, bundle, s3, tmp_path):
    import s3fs

    made = mirror(collection, "s3://platform/tcga/mirna", ["OV"], storage_options=s3)
    assert made.copied == ("OV_grade",)
    made = mirror(collection, "s3://platform/tcga/mirna", storage_options={"s3": s3})
    assert (made.copied, made.found) == ((NAMES[0], NAMES[2]), ("OV_grade",))
    fs = s3fs.S3FileSystem(**s3, skip_instance_cache=True)
    found = {path.rpartition("/")[2]: fs.cat(path) for path in fs.find("platform/tcga/mirna")}
    assert found == bundle
    ours = CohortCollection(
        "s3://platform/tcga/mirna/manifest.json", storage_options=s3, cache_storage=str(tmp_path / "cache")
    )
    assert ours.names() == ["BRCA", "OV", "PRAD"]
    assert ours.open("PRAD")["real"].sizes["sample"] == 12
    assert mirror(ours, tmp_path / "back").copied == NAMES  # and from a bucket to a folder


def test_a_bucket_that_is_none(collection, s3):
    with pytest.raises(TransferError, match="s3://no-such-bucket") as caught:
        mirror(collection, "s3://no-such-bucket/tcga", storage_options=s3)
    assert "s3cr3t" not in str(caught.value)


def test_credentials_are_never_shown(collection, tmp_path, caplog, capsys):
    caplog.set_level("DEBUG", "intake_tcga")
    made = mirror(
        replace(collection, progress=True), "memory://me:s3cr3t@host/folder", storage_options={"memory": {}}
    )
    assert "s3cr3t" not in repr(made) + caplog.text + "".join(capsys.readouterr())
    assert "s3cr3t" in made.manifest_url  # whoever gave it can open it


def test_some_cohorts(collection, bundle, tmp_path):
    made = mirror(collection, tmp_path, ["OV"])
    written = json.loads((tmp_path / "manifest.json").read_bytes())
    published = json.loads(bundle["manifest.json"])
    assert written == {**published, "datasets": [published["datasets"][1]]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["OV_grade.h5", "manifest.json"]
    assert CohortCollection(made.manifest_url).open("OV").attrs["intake_tcga:digest"]


def test_cohorts_that_are_there_stay(collection, bundle, tmp_path):
    mirror(collection, tmp_path, ["OV"])
    made = mirror(collection, tmp_path, ["BRCA"])
    assert (made.copied, made.found) == (("BRCA_er_status",), ("OV_grade",))
    assert CohortCollection(made.manifest_url).names() == ["BRCA", "OV"]  # in the published order
    mirror(collection, tmp_path, ["PRAD"])
    assert (tmp_path / "manifest.json").read_bytes() == bundle["manifest.json"]


def test_what_is_damaged_is_put_there_again(collection, bundle, tmp_path):
    mirror(collection, tmp_path)
    file = tmp_path / "OV_grade.h5"
    file.write_bytes(bundle["OV_grade.h5"][:-1] + b"?")
    assert mirror(collection, tmp_path, check="size").copied == ()
    assert mirror(collection, tmp_path).copied == ("OV_grade",)
    file.write_bytes(b"too short")
    assert mirror(collection, tmp_path, check="size").copied == ("OV_grade",)
    assert file.read_bytes() == bundle["OV_grade.h5"]


def test_another_version_is_not_overwritten(bundle, server, tmp_path):
    mirror(CohortCollection(server.url("manifest.json")), tmp_path)
    server.bodies["new.json"] = as_bytes({**json.loads(bundle["manifest.json"]), "version": "2.0"})
    new = CohortCollection(server.url("new.json"))
    with pytest.raises(OptionError, match="another manifest, of version 1.0"):
        mirror(new, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == bundle["manifest.json"]
    assert mirror(new, tmp_path, replace=True).found == NAMES
    assert CohortCollection(str(tmp_path / "manifest.json")).manifest.version == "2.0"
    (tmp_path / "manifest.json").write_text("<html>")
    with pytest.raises(OptionError, match="has a manifest.json that is none"):
        mirror(new, tmp_path)


@pytest.fixture
def next_version(bundle, server):
    """A later version, of which one file is another of the same size."""
    document = json.loads(bundle["manifest.json"])
    body = bundle["OV_grade.h5"]
    server.bodies["next/OV_grade.h5"] = body[:-1] + bytes([body[-1] ^ 1])
    entries = [
        mirna_entry(
            entry["dataset_name"], server.bodies.setdefault(f"next/{entry['file']}", bundle[entry["file"]])
        )
        for entry in document["datasets"]
    ]
    server.bodies["next/manifest.json"] = as_bytes({**document, "version": "2.0", "datasets": entries})
    return CohortCollection(server.url("next/manifest.json"))


def test_a_size_is_not_believed_of_another_version(collection, next_version, tmp_path):
    mirror(collection, tmp_path)
    assert mirror(next_version, tmp_path, check="size", replace=True).copied == ("OV_grade",)
    ours = CohortCollection(str(tmp_path / "manifest.json"))
    assert (ours.manifest.version, len(ours.prefetch())) == ("2.0", 3)
    assert mirror(next_version, tmp_path, check="size", replace=True).copied == ()
    (tmp_path / "manifest.json").write_text("<html>")
    (tmp_path / "OV_grade.h5").write_bytes(bytes(ours.cohort("OV").size))
    assert mirror(next_version, tmp_path, check="size", replace=True).copied == ("OV_grade",)


def test_an_interrupted_replacement_is_never_read_as_other_bytes(
    collection, next_version, tmp_path, monkeypatch
):
    mirror(collection, tmp_path / "srv")
    with monkeypatch.context() as patch:
        patch.setattr(Destination, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):  # after the files, before the manifest
            mirror(next_version, tmp_path / "srv", replace=True)
    half = CohortCollection(str(tmp_path / "srv" / "manifest.json"), cache_storage=str(tmp_path / "cache"))
    assert half.manifest.version == collection.manifest.version
    assert half.open("BRCA").sizes  # what both versions have alike
    with pytest.raises(IntegrityError, match="OV_grade"):
        half.open("OV")
    made = mirror(next_version, tmp_path / "srv", check="size", replace=True)
    assert (made.copied, made.found) == ((), NAMES)
    assert len(CohortCollection(made.manifest_url, cache_storage=str(tmp_path / "later")).prefetch()) == 3


def test_the_manifest_comes_last(bundle, server, tmp_path):
    collection = CohortCollection(server.url("manifest.json"))
    server.fail("OV_grade.h5", wrong_byte, times=None)
    with pytest.raises(TransferError, match="OV_grade.h5") as caught:
        mirror(collection, tmp_path / "srv")
    assert "1 of 3 files" in str(caught.value)
    assert not (tmp_path / "srv").exists()
    server._faults.clear()
    server.requests.clear()
    assert mirror(collection, tmp_path / "srv").copied == NAMES
    assert [request.name for request in server.requests] == ["OV_grade.h5"]  # the others were in the cache


@pytest.mark.parametrize("interruption", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["folder", "memory"])
def test_an_interrupted_copy_leaves_nothing(collection, bundle, tmp_path, monkeypatch, interruption, where):
    dest = str(tmp_path) if where == "folder" else f"memory://{tmp_path.name}"
    put = Destination._put_beside_and_move

    def interrupted(self, path, target, on_bytes):
        def on_some(done):
            if target.endswith("OV_grade.h5"):
                raise interruption
            on_bytes(done)

        put(self, path, target, on_some)

    monkeypatch.setattr(Destination, "_put_beside_and_move", interrupted)
    expected = KeyboardInterrupt if isinstance(interruption, KeyboardInterrupt) else TransferError
    with pytest.raises(expected, match="No space" if expected is TransferError else None) as caught:
        mirror(collection, dest)
    if expected is TransferError:
        assert "OV_grade.h5 cannot be written" in str(caught.value)
    fs, path = fsspec.url_to_fs(dest)
    left = {found.rpartition("/")[2] for found in fs.find(path)}
    assert left == {"BRCA_er_status.h5", "PRAD_sample_type.h5"}
    monkeypatch.undo()
    assert mirror(collection, dest).copied == ("OV_grade",)


def test_an_interrupted_upload_leaves_nothing(s3, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 5 * 2**20)  # the least S3 takes
    large = tmp_path / "large.h5"
    large.write_bytes(bytes(12 * 2**20))
    folder = Destination.of("s3://platform/cut", s3)
    done = []

    def stop(size):
        done.append(size)
        raise TransferError("cancelled")

    with pytest.raises(TransferError, match="cancelled"):
        folder.put(large, "large.h5", stop)
    assert done  # of one part, or more
    assert folder.size("large.h5") is None
    fs = s3fs.S3FileSystem(**s3, skip_instance_cache=True)
    assert fs.call_s3("list_multipart_uploads", Bucket="platform").get("Uploads") is None
    folder.put(large, "large.h5", done.append)
    assert done[-1] == folder.size("large.h5") == 12 * 2**20


def test_a_stop_reaches_all_threads(collection, tmp_path, monkeypatch):
    started, stop = threading.Event(), threading.Event()
    names = []

    def put(self, path, name, on_bytes=lambda _: None):
        names.append(name)
        started.set()
        stop.wait(5)
        on_bytes(1)

    monkeypatch.setattr(Destination, "put", put)
    from intake_tcga.cohorts import mirror as module

    def interrupted(_):
        started.wait(5)
        threading.Timer(0.2, stop.set).start()
        raise KeyboardInterrupt

    collection.prefetch()
    (tmp_path / "OV_grade.h5").write_bytes(b"")  # the first look finds none of them right
    monkeypatch.setattr(module, "_is_there", lambda *_: False)
    waited = []
    wait = module.wait
    monkeypatch.setattr(
        module,
        "wait",
        lambda tasks: wait(tasks) if not waited and not waited.append(1) else interrupted(tasks),
    )
    with pytest.raises(KeyboardInterrupt):
        mirror(collection, tmp_path, threads=1)
    assert len(names) == 1


def test_entries_with_urls_of_their_own(tmp_path):
    file = write_mirna(tmp_path / "a.h5").read_bytes()
    other = write_mirna(tmp_path / "b.h5", seed=1).read_bytes()
    with FaultyServer({"b2.h5": other}) as elsewhere, FaultyServer({"v1/data/a 1.h5": file}) as server:
        server.bodies["v1/data/A_x.h5"] = file
        server.bodies["v1/m.json"] = as_bytes(
            mirna_manifest(
                mirna_entry("A_x", file, url="data/A_x.h5"),
                mirna_entry("B_y", other, url=elsewhere.url("b2.h5")),
                extra={"kept": "ü"},
            )
        )
        collection = CohortCollection(server.url("v1/m.json"), allow_other_hosts=True)
        made = mirror(collection, tmp_path / "srv")
    written = json.loads((tmp_path / "srv" / "manifest.json").read_bytes())
    assert [entry.get("url") for entry in written["datasets"]] == ["data/A_x.h5", None]
    assert written["extra"] == {"kept": "ü"}
    assert (tmp_path / "srv" / "data" / "A_x.h5").read_bytes() == file
    assert (tmp_path / "srv" / "B_y.h5").read_bytes() == other
    ours = CohortCollection(made.manifest_url, cache_storage=str(tmp_path / "cache"))
    assert len(ours.prefetch()) == 2


def test_offline_from_the_cache(collection, server, tmp_path):
    collection.prefetch()
    away = replace(collection, offline=True)
    assert mirror(away, tmp_path).copied == NAMES
    with pytest.raises(OfflineError, match="s3://bucket"):
        mirror(away, "s3://bucket/x")


def test_onto_itself(bundle, tmp_path):
    for name, body in bundle.items():
        (tmp_path / name).write_bytes(body)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    assert mirror(CohortCollection(str(tmp_path / "manifest.json")), tmp_path).copied == ()
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("dest", "says"),
    [
        ("https://host/folder", "cannot be written to"),
        ("simplecache::s3://bucket/folder", "cannot be written to"),
        ("nonsense://bucket", "cannot be opened by fsspec"),
        ("/srv/manifest.json", "give the folder"),
        (" ", "empty"),
    ],
)
def test_places_that_cannot_be(collection, dest, says):
    with pytest.raises(OptionError, match=says):
        mirror(collection, dest)


def test_wrong_options(collection, tmp_path):
    with pytest.raises(NameNotFoundError, match="OV"):
        mirror(collection, tmp_path, ["OW"])
    with pytest.raises(OptionError, match="check='no'"):
        mirror(collection, tmp_path, check="no")
    with pytest.raises(OptionError, match="threads=0"):
        mirror(collection, tmp_path, threads=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(collection, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TransferError, match=r"cannot be (read|written)"):
        mirror(collection, tmp_path / "file" / "srv")
    (tmp_path / "srv" / "OV_grade.h5").mkdir(parents=True)
    with pytest.raises(TransferError, match="is a folder where a file should be"):
        mirror(collection, tmp_path / "srv")


def test_a_manifest_of_which_no_copy_could_be_kept(collection, bundle, tmp_path, monkeypatch, server):
    from intake_tcga.cohorts.manifest_store import ManifestStore

    monkeypatch.setattr(ManifestStore, "last", lambda self: None)
    monkeypatch.setattr(ManifestStore, "versions", lambda self: {})
    mirror(collection, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == bundle["manifest.json"]
    server.bodies["manifest.json"] = as_bytes(mirna_manifest(mirna_entry("KIRC_x")))
    with pytest.raises(IntegrityError, match="has just changed"):
        mirror(collection, tmp_path)
