"""The token goes to the GDC's own host, and is seen nowhere else."""

import copy
import pickle
import traceback

import pytest
import yaml
from gdc_server import GdcServer, gdc_slide

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import AccessDeniedError, MissingFileError, OptionError
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.slides.token import HEADER, Token
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.ranged import RangedFile

SECRET = "s3cr3t-token-0123456789"
GDC = "https://api.gdc.cancer.gov"


def everything_shown(token):
    headers = token.headers(f"{GDC}/data/1", endpoint=GDC)
    collection = SlideCollection(token=token)
    shown = [repr, str, lambda item: f"{item!r:>20}"]
    yield from (show(item) for item in (token, headers, collection, [token], {"a": token}) for show in shown)
    yield collection._repr_html_()
    yield from (pickle.dumps(item).decode("latin-1") for item in (token, headers, collection))
    for item in (token, collection, headers):
        try:
            yield yaml.dump(item)
        except (TypeError, yaml.YAMLError):  # what cannot be dumped shows nothing either
            yield traceback.format_exc()


@pytest.fixture(params=["text", "file", "env", "env file"])
def token(request, monkeypatch, tmp_path):
    (tmp_path / "token.txt").write_text(SECRET + "\n")
    if request.param == "text":
        return Token(SECRET)
    if request.param == "file":
        return Token(file=tmp_path / "token.txt")
    if request.param == "env":
        monkeypatch.setenv("GDC_TOKEN", SECRET)
    else:
        monkeypatch.setenv("GDC_TOKEN_FILE", str(tmp_path / "token.txt"))
    return Token()


def test_the_text_is_where_it_is_needed_and_nowhere_else(token):
    assert token.is_there
    assert dict(token.headers(f"{GDC}/data/1", endpoint=GDC)) == {HEADER: SECRET}
    assert [text for text in everything_shown(token) if SECRET in text] == []


def test_only_a_text_that_was_given_stays_in_its_process(token):
    elsewhere = pickle.loads(pickle.dumps(token))
    assert elsewhere.is_there
    if token == Token(SECRET):
        with pytest.raises(AccessDeniedError, match="not sent from one to another; set GDC_TOKEN"):
            elsewhere.text()
        with pytest.raises(AccessDeniedError):
            pickle.loads(pickle.dumps(elsewhere)).text()
    else:
        assert elsewhere.text() == SECRET
        assert elsewhere == token
    assert copy.deepcopy(token).text() == copy.copy(token).text() == SECRET


def test_headers_that_travel_read_the_token_where_they_arrive(token, monkeypatch):
    headers = pickle.loads(pickle.dumps(token.headers(f"{GDC}/data/1", endpoint=GDC)))
    if token == Token(SECRET):
        with pytest.raises(AccessDeniedError):
            dict(headers)
    else:
        assert dict(headers) == {HEADER: SECRET}


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.org/data/1",
        "https://api.gdc.cancer.gov.evil.org/data/1",
        "https://evil.org/?https://api.gdc.cancer.gov/",
        "http://api.gdc.cancer.gov/data/1",
        "https://api.gdc.cancer.gov:8443/data/1",
        "https://api.gdc.cancer.gov@evil.org/data/1",
    ],
)
def test_no_other_host_is_told(token, url):
    assert dict(token.headers(url, endpoint=GDC)) == {}


def test_the_same_host_is_told_however_it_is_written(token):
    assert dict(token.headers("https://API.gdc.cancer.gov:443/v0/data/1", endpoint=GDC)) == {HEADER: SECRET}


def test_nothing_is_told_in_the_clear_but_on_this_machine(token):
    with pytest.raises(AccessDeniedError, match="use https"):
        dict(token.headers("http://mirror.org/data/1", endpoint="http://mirror.org"))
    assert dict(token.headers("http://127.0.0.1:9/data/1", endpoint="http://127.0.0.1:9"))


def test_without_a_token_there_is_none():
    assert not Token().is_there
    assert dict(Token().headers(f"{GDC}/data/1", endpoint=GDC)) == {}
    assert repr(Token()) == "<Token not set, never shown>"
    with pytest.raises(AccessDeniedError, match="GDC_TOKEN_FILE"):
        Token().text()


@pytest.mark.parametrize("text", ["", " \n", "two words", "a\r\nX-Evil: 1", "naïve", "a\0b"])
def test_what_is_no_token_is_not_sent_nor_shown(text, tmp_path):
    (tmp_path / "token.txt").write_text(text)
    for token in (Token(text), Token(file=tmp_path / "token.txt")):
        with pytest.raises(OptionError, match="not a token") as caught:
            token.text()
        assert not text.strip() or text not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.txt"):
        Token(file=tmp_path / "none.txt").text()


def test_one_token_at_a_time(tmp_path):
    for given in (SECRET, Token(SECRET)):
        with pytest.raises(OptionError, match="give one of them") as caught:
            Token.of(given, tmp_path / "token.txt")
        assert SECRET not in str(caught.value)


def test_arguments_go_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GDC_TOKEN", "other")
    (tmp_path / "token.txt").write_text(SECRET)
    assert Token(SECRET).text() == Token(file=tmp_path / "token.txt").text() == SECRET


def test_a_controlled_slide_is_read_with_it_and_refused_without(tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    slide = gdc_slide(1, access="controlled")
    with GdcServer([slide], token=SECRET) as gdc:
        known = next(iter(SlideCollection(endpoint=gdc.endpoint, access="controlled")))
        with pytest.raises(AccessDeniedError, match="controlled.*GDC_TOKEN"):
            known.check_readable(with_token=False)
        url = known.data_url(gdc.endpoint)
        token = Token(SECRET)
        cache = VerifiedFileCache(tmp_path, budget=Budget(attempts=1))
        file = known.remote_file(gdc.endpoint)
        headers = token.headers(url, endpoint=gdc.endpoint)
        assert cache.fetch(file, storage_options={"headers": headers}).read_bytes() == slide.content
        ranged = RangedFile(url, size=known.size, headers=headers)
        assert bytes(ranged.read([(0, 5)])[0]) == slide.content[:5]
        wrong = Token("wrong-" + SECRET).headers(url, endpoint=gdc.endpoint)
        refused = RangedFile(url, size=known.size, headers=wrong)
        with pytest.raises(AccessDeniedError) as caught:
            refused.read([(0, 5)])
        assert all(SECRET in r.headers["x-auth-token"] for r in gdc.asked("data"))
        assert all("x-auth-token" not in r.headers for r in gdc.requests if not r.name.startswith("data"))
    left = [
        str(caught.value),
        "".join(traceback.format_exception(caught.value)),
        caplog.text,
        *capfd.readouterr(),
    ]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert [text for text in left if SECRET in text] == []
    assert [body for body in kept if SECRET.encode() in body] == []
