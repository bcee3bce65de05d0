"""A slide's value: what is told by its barcode, and what cannot be one."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import AccessDeniedError, IntakeTcgaError, OptionError
from intake_tcga.remote import name_problem
from intake_tcga.slides.endpoint import GDC, gdc_endpoint
from intake_tcga.slides.slide import _USUAL_NAME, Slide

ID = "3b6a3f5e-8a4c-4c53-9a52-0a2b3c4d5e6f"
MD5 = "0" * 32


def slide(name="TCGA-EY-A1H0-01Z-00-DX1.BDA2E1F5.svs", **fields):
    return Slide(**{"file_id": ID, "file_name": name, "size": 9, "md5": MD5, **fields})


@pytest.mark.parametrize(
    ("name", "case", "sample_type", "kind"),
    [
        ("TCGA-EY-A1H0-01Z-00-DX1.B.svs", "TCGA-EY-A1H0", "Primary Tumor", "diagnostic"),
        ("TCGA-EY-A1H0-11A-01-TS1.B.svs", "TCGA-EY-A1H0", "Solid Tissue Normal", "tissue"),
        ("TCGA-EY-A1H0-06A-01-BSA.B.svs", "TCGA-EY-A1H0", "Metastatic", "tissue"),
        ("TCGA-EY-A1H0-99A-01-MS1.B.svs", "TCGA-EY-A1H0", None, "tissue"),
        ("CMU-1-Small-Region.svs", None, None, None),
    ],
)
def test_the_barcode_tells_what_nobody_else_does(name, case, sample_type, kind):
    told = slide(name)
    assert (told.case, told.sample_type, told.kind) == (case, sample_type, kind)
    assert told.barcode == name.partition(".")[0]
    listed = slide(name, case="X", sample_type="Y", kind="tissue")
    assert (listed.case, listed.sample_type, listed.kind) == ("X", "Y", "tissue")


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_id": "../../etc"},
        {"file_id": ID.upper()},
        {"file_id": ""},
        {"file_name": "a/b.svs"},
        {"file_name": "..%2fa.svs"},
        {"file_name": "a\nb.svs"},
        {"file_name": ""},
        {"size": -1},
        {"md5": "0" * 31},
        {"md5": "sha256:" + "0" * 64},
    ],
)
def test_what_cannot_be_a_slide_is_refused(wrong):
    with pytest.raises(OptionError):
        slide(**wrong)


def test_its_file_is_where_the_gdc_has_it_and_stays_where_the_cache_has_it():
    file = slide(project="TCGA-UCEC").remote_file("https://host/v0/")
    assert file.url == f"https://host/v0/data/{ID}"
    assert (file.folder, file.size, str(file.digest)) == ("gdc/slides", 9, f"md5:{MD5}")
    renewed = slide(project="TCGA-UCEC", file_id=ID.replace("3", "4")).remote_file("https://host")
    assert (renewed.folder, renewed.name, renewed.digest) == (file.folder, file.name, file.digest)
    unlisted = slide(project=None).remote_file("https://host")  # of a manifest, with no network
    assert unlisted.folder == slide(project="../..").remote_file("https://host").folder == file.folder


def test_it_pickles():
    assert pickle.loads(pickle.dumps(slide())) == slide()


def test_what_would_be_refused_is_not_asked_for():
    slide(access="controlled").check_readable(with_token=True)
    slide(state="validated").check_readable(with_token=False)  # a manifest's own word
    with pytest.raises(AccessDeniedError, match="controlled"):
        slide(access="controlled").check_readable(with_token=False)
    with pytest.raises(AccessDeniedError, match="'submitted', not as released"):
        slide(state="submitted", data_release="43").check_readable(with_token=False)


def test_the_gdc_is_where_the_argument_says_then_the_environment(monkeypatch):
    assert gdc_endpoint() == GDC
    monkeypatch.setenv("INTAKE_TCGA_GDC_URL", "http://mirror:80/")
    assert gdc_endpoint() == "http://mirror:80"
    assert gdc_endpoint("https://other/v0") == "https://other/v0"


@pytest.mark.parametrize(
    "address",
    ["ftp://host", "host", "https://", "https://me:s3cr3t@host", "https://host/?a=s3cr3t", "https://host#a",
     "http://host:x", "http://[::1", "file:///etc"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_showing_secrets(address):
    with pytest.raises(IntakeTcgaError, match="cannot be the GDC's address") as caught:
        gdc_endpoint(address)
    assert "s3cr3t" not in str(caught.value)


@given(st.from_regex(_USUAL_NAME, fullmatch=True))
def test_usual_names_are_plain_file_names(name):
    assert name_problem(name) is None
    assert slide(name).barcode == name.partition(".")[0]
