"""Every layout, told by lengths."""

import h5py
import numpy as np
import pytest
from archs4_files import FLAT, LAYOUTS, READ_DEPTH, REAL, naive_matrix, write_archs4

from intake_tcga.archs4.layout import read_layout
from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File


def layout_of(path):
    file = Hdf5File(path)
    try:
        return read_layout(file)
    finally:
        file.close()


@pytest.mark.parametrize(("version", "level"), LAYOUTS)
def test_each_version_is_understood(tmp_path, version, level):
    layout = layout_of(write_archs4(tmp_path / "a.h5", version, level=level, n_samples=7, n_features=11))
    assert (layout.n_samples, layout.n_features) == (7, 11)
    assert layout.samples_axis == (0 if version in FLAT else 1)
    assert layout.level == ("gene" if level == "gene" else "transcript")
    assert layout.variable == ("tpm" if level == "tpm" else "counts")
    assert layout.left_out == {}
    assert {"geo_accession", "series_id", "title"} <= layout.fields.keys()
    assert layout.fields["geo_accession"] == layout.accession


@pytest.mark.parametrize("version", READ_DEPTH)
def test_read_depth_has_one_name_beside_its_own(tmp_path, version):
    fields = layout_of(write_archs4(tmp_path / "a.h5", version)).fields
    assert fields["aligned_reads"] == fields[READ_DEPTH[version]] == f"/meta/samples/{READ_DEPTH[version]}"


def test_no_read_depth_where_there_is_none(tmp_path):
    assert "aligned_reads" not in layout_of(write_archs4(tmp_path / "a.h5", "2.5")).fields


@pytest.mark.parametrize(
    ("version", "level", "ensembl", "symbol", "biotype"),
    [
        ("1.0", "gene", None, "/meta/genes", None),
        ("1.8", "gene", "/meta/gene_ensemblid", "/meta/genes", None),
        ("1.9", "gene", "/meta/genes/ensembl_gene_id", "/meta/genes/genes", "/meta/genes/gene_biotype"),
        ("2.1.2", "gene", None, "/meta/genes/gene_symbol", None),
        ("2.2", "gene", "/meta/genes/ensembl_gene_id", "/meta/genes/symbol", "/meta/genes/biotype"),
        ("2.5", "gene", "/meta/genes/ensembl_gene", "/meta/genes/symbol", "/meta/genes/biotype"),
        ("latest", "transcript", "/meta/transcripts/ensembl_gene", None, None),
    ],
)
def test_gene_fields_have_one_name(tmp_path, version, level, ensembl, symbol, biotype):
    fields = layout_of(write_archs4(tmp_path / "a.h5", version, level=level)).feature_fields
    assert fields.get("ensembl_gene") == ensembl
    assert fields.get("symbol") == symbol
    assert fields.get("biotype") == biotype
    assert fields.get("ensembl_transcript") == (None if level == "gene" else "/meta/transcripts/ensembl_id")


def test_a_field_called_like_the_dimension_gets_another_name(tmp_path):
    fields = layout_of(write_archs4(tmp_path / "a.h5", "2.5")).fields
    assert fields["sample_"] == "/meta/samples/sample"
    assert "sample" not in fields


@pytest.mark.parametrize(("version", "axis"), [("1.8", 0), ("1.9", 1), ("2.5", 1)])
def test_square_files_are_told_by_how_their_fields_lie(tmp_path, version, axis):
    layout = layout_of(write_archs4(tmp_path / "a.h5", version, n_samples=6, n_features=6))
    assert layout.samples_axis == axis
    assert "symbol" in layout.feature_fields
    assert "symbol" not in layout.fields
    assert "title" not in layout.feature_fields


def test_names_and_versions_decide_nothing(tmp_path):
    """A file of version 2.5 whose matrix is turned: its shape says so."""
    path = write_archs4(tmp_path / "a.h5", "2.5", n_samples=7, n_features=11)
    values = naive_matrix(path)
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file["data/expression"] = values
    assert layout_of(path).samples_axis == 0


def test_a_matrix_of_another_name_is_found(tmp_path):
    path = write_archs4(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.move("data/expression", "data/tpm")
    assert layout_of(path).matrix.path == "/data/tpm"


def test_transcripts_beside_genes_are_told_by_the_matrix(tmp_path):
    path = write_archs4(tmp_path / "a.h5", "latest", level="transcript", n_features=11)
    with h5py.File(path, "a") as file:
        file["meta/genes/symbol"] = [b"A"] * 5
    assert layout_of(path).level == "transcript"
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file["data/expression"] = np.zeros((5, 7), "u4")
    assert layout_of(path).level == "gene"


def test_lists_that_fit_no_axis_are_left_out_and_said_to_be(tmp_path):
    path = write_archs4(tmp_path / "a.h5", n_samples=7, samples={"short": [b"a", b"b"]})
    layout = layout_of(path)
    assert "short" not in layout.fields
    assert layout.left_out == {"/meta/samples/short": "its shape is (2,), its type object"}


def test_a_matrix_of_which_nothing_was_written_may_be_of_any_size(tmp_path):
    """Others may not claim more than the file could hold; a matrix is only ever read in parts."""
    fields = dict.fromkeys(
        ("characteristics_ch1", "extract_protocol_ch1", "title", "status", "last_update_date")
    )
    path = write_archs4(
        tmp_path / "a.h5", n_samples=9_000, n_features=67_186, sparse=True, fixed=True, samples=fields
    )
    with h5py.File(path, "a") as file:
        file["data/expression"].resize(9_000_000, axis=1)
        assert file["data/expression"].nbytes > 100 * path.stat().st_size
    with pytest.raises(FileFormatError, match=r"\(67186, 9000000\), and there are 9000 sample"):
        layout_of(path)


def test_a_list_that_claims_more_than_the_file_could_hold(tmp_path):
    path = write_archs4(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["meta/samples"].create_dataset("much", (2**31 - 1,), "f8", chunks=(1000,))
    with pytest.raises(FileFormatError, match="much.*claims the shape"):
        layout_of(path)


def lose_matrix(file):
    del file["data/expression"]


def lose_accessions(file):
    del file["meta/samples/geo_accession"]


def lose_genes(file):
    del file["meta/genes"]


def lose_samples(file):
    del file["meta/samples"]


def other_length(file):
    del file["data/expression"]
    file["data/expression"] = np.zeros((11, 8), "u4")


def text_matrix(file):
    del file["data/expression"]
    file["data/expression"] = [b"a"]


def link_outside(file):
    del file["meta/samples/title"]
    file["meta/samples/title"] = h5py.ExternalLink("other.h5", "/title")


def numbers_for_accessions(file):
    del file["meta/samples/geo_accession"]
    file["meta/samples/geo_accession"] = np.arange(7)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose_matrix, "there is no matrix '/data/expression'"),
        (lose_accessions, "no sample accessions"),
        (lose_samples, "no sample accessions"),
        (lose_genes, "no list of genes"),
        (other_length, r"\(11, 8\), and there are 7 sample accessions and 11 features"),
        (text_matrix, "not a matrix of numbers"),
        (link_outside, "link to another file"),
        (numbers_for_accessions, "not a list of texts"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said(tmp_path, damage, said):
    path = write_archs4(tmp_path / "a.h5", n_samples=7, n_features=11)
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=said):
        layout_of(path)


def test_all_problems_are_in_one_message(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["something"] = 1
    with pytest.raises(FileFormatError, match="no matrix.*no sample accessions"):
        layout_of(path)


def test_a_cohort_file_is_no_archs4_file(sample_file):
    with pytest.raises(FileFormatError, match="not an ARCHS4 file"):
        layout_of(sample_file)


@pytest.mark.parametrize("name", ["notes.txt", "cut.h5"])
def test_what_is_no_hdf5_file(tmp_path, name):
    path = tmp_path / name
    body = write_archs4(tmp_path / "a.h5").read_bytes()
    path.write_bytes(b"hello" if name == "notes.txt" else body[: len(body) // 2])
    with pytest.raises(FileFormatError):
        layout_of(path)


@pytest.mark.parametrize(
    ("name", "shape", "axis", "n_fields"),
    [
        ("mouse_matrix.h5", (3, 32544), 0, 2),
        ("human_matrix_v9_sample_100_100_1.h5", (100, 100), 1, 32),
        ("mouse_matrix_v9_sample_100_100_12.h5", (100, 100), 1, 32),
    ],
)
def test_real_excerpts(name, shape, axis, n_fields):
    layout = layout_of(REAL / name)
    assert (layout.n_samples, layout.n_features) == shape
    assert layout.samples_axis == axis
    assert len(layout.fields) == n_fields
    assert layout.feature_fields["symbol"] in {"/meta/genes", "/meta/genes/genes"}
    assert layout.left_out == {}
