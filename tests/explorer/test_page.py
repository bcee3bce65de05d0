"""The served page, end to end: a command, a browser, and what a person sees when something is picked."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from intake_tcga.cli import main

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        yield browser
        browser.close()


@contextmanager
def serving(tmp_path_factory, *arguments):
    """Run the command; give the address that it prints, and the process."""
    environment = os.environ | {
        "INTAKE_TCGA_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "intake_tcga", "explore", "--no-browser", "--offline", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process.stdout.readline().split()[0], process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory) as address_and_process:
        yield address_and_process


@pytest.fixture
def page(chromium, served):
    """Return the page, its first pictures drawn; no request of it leaves this machine, and no script fails."""
    problems = []
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: _check_host(request.url, problems))
    page.goto(served[0])
    page.wait_for_selector("img[alt^='Real and synthetic']")
    page.wait_for_selector("img[alt^='Feature']")
    yield page
    page.close()
    assert problems == []


def _check_host(url, problems):
    if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
        problems.append(url)


def source(page, label):
    return page.locator(f"img[alt^='{label}']").get_attribute("src")


def test_another_model_is_another_picture(page):
    first, feature = source(page, "Real and synthetic"), source(page, "Feature")
    page.get_by_label("Normalization").select_option("TC")
    page.get_by_label("Model").select_option("CVAE1_20")
    page.wait_for_selector("img[alt='Real and synthetic, TC, CVAE1_20']")
    page.wait_for_selector("img[alt^='Feature, TC, CVAE1_20']")
    assert source(page, "Real and synthetic") != first
    assert source(page, "Feature") != feature
    page.get_by_role("button", name="Correlations").click()
    page.wait_for_selector("img[alt='Correlations, TC, CVAE1_20']")


def test_a_feature_is_found_by_a_part_of_its_name(page):
    field = page.get_by_label("Feature")
    field.fill("")
    field.press_sequentially("mir.21")
    page.get_by_text("hsa.mir.21", exact=True).click()
    page.wait_for_selector("img[alt$='hsa.mir.21']")


@pytest.mark.parametrize("leave", ["Enter", "Tab"])
def test_what_is_no_feature_is_said(page, leave):
    field = page.get_by_label("Feature")
    field.fill("")
    field.press_sequentially("hsa-mir-21x")
    field.press(leave)
    said = page.get_by_role("alert")
    said.wait_for()
    assert "There is no feature 'hsa-mir-21x'" in said.inner_text()
    assert "hsa.mir.21" in said.inner_text()
    assert page.locator("img[alt^='Feature']").count() == 0
    field.fill("")
    field.press_sequentially("hsa.mir.21")
    page.get_by_text("hsa.mir.21", exact=True).click()
    page.wait_for_selector("img[alt$='hsa.mir.21']")
    assert page.get_by_role("alert").count() == 0


def test_entries_of_all_kinds(page):
    assert page.get_by_text("Prostate Adenocarcinoma").is_visible()
    page.get_by_label("Entry").select_option("GTEx lung (ARCHS4 layout)")
    page.wait_for_selector("img[alt='Samples']")
    page.get_by_role("button", name="Metadata").click()
    page.get_by_label("Field").select_option("source_name_ch1")
    page.wait_for_selector("img[alt='Metadata, source_name_ch1']")
    page.get_by_label("Entry").select_option("CMU-1-Small-Region")
    page.wait_for_selector("img[alt='Slide']")
    assert not page.get_by_label("Feature").is_visible()


def test_what_cannot_be_had_is_a_sentence(page):
    page.get_by_label("Collection").select_option("miRNA cohorts")
    said = page.get_by_role("alert")
    said.wait_for()
    assert "Offline" in said.inner_text()
    assert "Traceback" not in page.content()
    page.get_by_label("Collection").select_option("ARCHS4")
    page.get_by_text("Not on this machine").wait_for()
    page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Collection").select_option("Offline sample")
    page.wait_for_selector("img[alt^='Real and synthetic']")
    assert page.get_by_role("alert").count() == 0


def test_a_shared_catalog(chromium, tmp_path_factory, sample_manifest):
    place = tmp_path_factory.mktemp("shared") / "shared.yaml"
    good = f"{{driver: tcga, args: {{urlpath: {sample_manifest}}}}}"
    broken = "{driver: tcga_slides, args: {manifest: /absent.tsv}}"
    place.write_text(f"sources:\n  good: {good}\n  broken: {broken}\n")
    with serving(tmp_path_factory, str(place)) as (address, _):
        page = chromium.new_page()
        page.set_default_timeout(30_000)
        page.goto(address)
        page.get_by_text("1.0 MB to download").wait_for()
        assert (
            page.locator("div", has=page.get_by_text("cached", exact=True)).last.inner_text() == "cached\nno"
        )
        page.get_by_role("button", name="Open").click()
        page.wait_for_selector("img[alt^='Real and synthetic']")
        assert (
            page.locator("div", has=page.get_by_text("cached", exact=True)).last.inner_text() == "cached\nyes"
        )
        page.get_by_label("Collection").select_option("shared, other entries")
        said = page.get_by_role("alert")
        said.wait_for()
        assert "absent.tsv" in said.inner_text()
        assert page.get_by_text("About this entry").is_visible()
        page.close()


def test_the_sample_and_a_catalog_are_two():
    done = CliRunner().invoke(main, ["explore", "--sample", "--no-browser", "platform.yaml"])
    assert done.exit_code == 2
    assert "leave it out" in done.output


def test_a_phone_scrolls_one_way(chromium, served):
    phone = chromium.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
    phone.goto(served[0])
    phone.wait_for_selector("img[alt^='Feature']")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    phone.close()


def test_other_pages_are_refused(served):
    from tornado.httpclient import HTTPClientError, HTTPRequest
    from tornado.ioloop import IOLoop
    from tornado.websocket import websocket_connect

    async def connect(origin):
        address = served[0].replace("http", "ws") + "ws"
        return await websocket_connect(HTTPRequest(address, headers={"Origin": origin}))

    with ThreadPoolExecutor(1) as beside:  # this thread's loop is playwright's
        refused = beside.submit(lambda: IOLoop().run_sync(lambda: connect("http://evil.example.org")))
        with pytest.raises(HTTPClientError, match="403"):
            refused.result()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, ["explore", "--sample", "--no-browser", "--port", port])
    assert done.exit_code == 2
    assert "choose another" in done.output


def test_an_interrupt_ends_it(served):
    """The last test of the server: it ends it."""
    served[1].send_signal(signal.SIGINT)
    assert served[1].wait(timeout=30) == 0
