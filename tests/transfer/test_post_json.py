"""Questions that are posted: retried, bounded, and never carried elsewhere."""

import faulty_server as faults
import pytest
from faulty_server import FaultyServer
from gdc_server import GdcServer, answers, gdc_slide

from intake_tcga.errors import (
    AccessDeniedError,
    IntegrityError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import download, post_json
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.parts import Part

QUICK = Budget(attempts=3, stall_timeout=0.6, backoff=0.01, longest_wait=0.3)


@pytest.fixture
def gdc():
    with GdcServer([gdc_slide(1)]) as gdc:
        yield gdc


def test_the_document_arrives_and_its_answer_comes_back(gdc):
    answer = post_json(gdc.url("files"), {"size": 1, "fields": "file_name"}, limit=10_000)
    assert gdc.files[0].file_name.encode() in answer
    assert gdc.requests[0].method == "POST"
    assert gdc.requests[0].document == {"size": 1, "fields": "file_name"}
    assert gdc.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "fault",
    [faults.status(500), faults.status(429, "0"), faults.drop(0.5), faults.stall, faults.chunked_cut],
)
def test_bad_moments_are_waited_for(gdc, fault):
    gdc.fail("files", fault, times=2)
    assert gdc.files[0].file_id.encode() in post_json(gdc.url("files"), {}, limit=10_000, budget=QUICK)
    assert [request.method for request in gdc.requests] == ["POST"] * 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(500), TransferError),
        (answers({"message": "invalid filter"}, 400), TransferError),
        (answers({"message": "no"}, 403), AccessDeniedError),
        (faults.not_found, RemoteNotFoundError),
        (faults.endless, IntegrityError),
        (answers(b" " * 20_000), IntegrityError),
    ],
)
def test_bad_days_end_in_a_typed_error(gdc, fault, kind):
    gdc.fail("files", fault, times=None)
    with pytest.raises(kind):
        post_json(gdc.url("files"), {}, limit=10_000, budget=QUICK)


def test_nothing_is_sent_offline_nor_to_what_is_no_service(gdc, tmp_path):
    with pytest.raises(OfflineError, match="offline"):
        post_json(gdc.url("files"), {}, limit=100, offline=True)
    for url in ("file:///etc/hosts", "memory://a", str(tmp_path), "simplecache::" + gdc.url("files")):
        with pytest.raises(OptionError, match="not the address of a service"):
            post_json(url, {}, limit=100)
    assert gdc.requests == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_question_is_not_taken_elsewhere(gdc, code):
    with FaultyServer({"files": b"{}"}) as elsewhere:
        gdc.fail("files", faults.redirect(elsewhere.url("files"), code))
        with pytest.raises(TransferError, match="redirects elsewhere"):
            post_json(gdc.url("files"), {}, limit=100, budget=QUICK)
        assert elsewhere.requests == []


def test_the_services_token_is_not_taken_elsewhere(gdc, tmp_path):
    name = f"data/{gdc.files[0].file_id}"
    file = RemoteFile(gdc.url(name), "a.svs", size=gdc.files[0].length)
    with FaultyServer({"a.svs": gdc.files[0].content}) as elsewhere:
        gdc.fail(name, faults.redirect(elsewhere.url("a.svs")), times=None)
        part = Part(tmp_path / "a.svs")
        with pytest.raises(TransferError, match="redirects elsewhere") as caught:
            download(file, part, storage_options={"headers": {"X-Auth-Token": gdc.token}}, budget=QUICK)
        part.discard()
        assert gdc.token not in str(caught.value)
        assert elsewhere.requests == []
    assert gdc.requests[0].headers["x-auth-token"] == gdc.token
