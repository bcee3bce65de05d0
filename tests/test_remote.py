"""Remote files: no name leaves the cache, no credential is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import OptionError
from intake_tcga.remote import RemoteFile, name_problem, redact, without_credentials

BAD_NAMES = [
    *("", " ", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "C:\\x", "C:x", "file:x", "~root", ".hidden"),
    *(
        "a%2fb",
        "a%2Fb",
        "%2e%2e",
        "a%5cb",
        "a%252fb",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "x ",
        "x.",
        "nul",
        "COM1.h5",
        "com¹.h5",
        "LPT³",
        "COM%C2%B2.h5",
    ),
    *("a" * 201, "é" * 101, "a*b", "a?b", "a|b", "\ud800"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_plain_file_names(name):
    assert name_problem(name)
    with pytest.raises(OptionError):
        RemoteFile("https://host/x", name)
    with pytest.raises(OptionError):
        RemoteFile("https://host/x", "x", version=name)


@pytest.mark.parametrize(
    "name", ["BRCA.h5", "BRCA_breast_carcinoma_er-status.h5", "é.h5", "a b.h5", "v1.0", "100%.h5"]
)
def test_plain_names(name):
    assert name_problem(name) is None


@given(st.text(max_size=40))
def test_an_accepted_name_stays_in_its_folder(name):
    import posixpath

    if name_problem(name) is None:
        joined = posixpath.normpath(posixpath.join("/root/folder", name))
        assert posixpath.dirname(joined) == "/root/folder"


def test_negative_size():
    with pytest.raises(OptionError, match="-1"):
        RemoteFile("https://host/x", "x", size=-1)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@host/x?sig=s3cret#s3cret",
        "simplecache::https://me:s3cret@host/x?token=s3cret",
        "s3://key:s3cret@bucket/x",
        "https://[::1?s3cret",
    ],
)
def test_redacted_urls_show_no_secret(url):
    assert "s3cret" not in redact(url)
    assert "s3cret" not in RemoteFile(url, "x").shown_url


def test_redacted_urls_keep_the_rest():
    assert redact("https://[::1]:8080/x?sig=1") == "https://[::1]:8080/x"
    assert redact("filecache::simplecache::https://me:pw@host/x") == "filecache::simplecache::https://host/x"
    assert redact("simplecache::/data/x") == "simplecache::/data/x"


def test_without_credentials_goes_deep():
    options = {
        "s3": {
            "key": "K",
            "client_kwargs": {"endpoint_url": "http://u:p@h/", "aws_session_token": "T"},
            "anon": False,
        }
    }
    assert without_credentials(options) == {
        "s3": {"client_kwargs": {"endpoint_url": "http://h/"}, "anon": False}
    }
