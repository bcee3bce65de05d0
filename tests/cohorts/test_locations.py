import os
from pathlib import Path

import pytest

from intake_tcga.cohorts.locations import absolute_url, beside, copy_key, resolve, same_origin


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("https://host/v1/manifest.json", "https://host/v1/A%20%231.h5"),
        ("https://host/v1/manifest.json?sig=a/b&sv=1#x", "https://host/v1/A%20%231.h5?sig=a/b&sv=1"),
        ("https://host/api/manifest", "https://host/api/A%20%231.h5"),
        ("https://host/v1/", "https://host/v1/A%20%231.h5"),
        ("https://host", "https://host/A%20%231.h5"),
        ("https://me:pw@host:8443/m.json", "https://me:pw@host:8443/A%20%231.h5"),
        ("http://[::1]:80/v/m.json", "http://[::1]:80/v/A%20%231.h5"),
        ("s3://bucket/v1/manifest.json", "s3://bucket/v1/A #1.h5"),
        ("s3://bucket/v1/manifest.json?versionId=a/b", "s3://bucket/v1/A #1.h5"),
        ("memory://manifest.json", "memory://A #1.h5"),
        ("memory://deep/er/manifest.json", "memory://deep/er/A #1.h5"),
        ("/data/x/manifest.json", "/data/x/A #1.h5"),
        ("/data/what?/m.json", "/data/what?/A #1.h5"),
        ("manifest.json", "A #1.h5"),
        ("file:///data/x/manifest.json", "file:///data/x/A #1.h5"),
        ("file:///C:/data/manifest.json", "file:///C:/data/A #1.h5"),
        (r"C:\data\manifest.json", r"C:\data\A #1.h5"),
        (r"\\server\share\manifest.json", r"\\server\share\A #1.h5"),
        (
            "simplecache::https://host/v1/manifest.json?sig=1",
            "simplecache::https://host/v1/A%20%231.h5?sig=1",
        ),
        ("filecache::/data/manifest.json", "filecache::/data/A #1.h5"),
        ("zip://in/manifest.json::https://host/b.zip?sig=1", "zip://in/A #1.h5::https://host/b.zip?sig=1"),
        ("simplecache::zip://manifest.json::s3://b/b.zip", "simplecache::zip://A #1.h5::s3://b/b.zip"),
    ],
)
def test_a_file_lies_beside_its_manifest(manifest, expected):
    assert beside(manifest, "A #1.h5") == expected


def test_local_paths_outlive_a_change_of_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_url("sub/../manifest.json") == os.fspath(tmp_path / "manifest.json")
    assert absolute_url(Path("manifest.json")) == os.fspath(tmp_path / "manifest.json")
    assert absolute_url("simplecache::m.json") == f"simplecache::{tmp_path / 'm.json'}"
    if os.name == "posix":
        assert absolute_url("~/m.json") == os.fspath(tmp_path / "home" / "m.json")
    for url in ("https://h/a/../m.json?x=~", "s3://b/m.json", "memory://m.json", r"D:\x\m.json"):
        assert absolute_url(url) == url


M = "https://host/v1/manifest.json?sig=1"


@pytest.mark.parametrize(
    ("manifest", "url", "expected"),
    [
        (M, "sub/A.h5", "https://host/v1/sub/A.h5?sig=1"),
        (M, "https://host/v1/../v2/A.h5", "https://host/v1/../v2/A.h5"),
        (M, "A..h5?own=../1", "https://host/v1/A..h5?own=../1"),
        (M, "A.h5?own=1", "https://host/v1/A.h5?own=1"),
        (M, "/top/A.h5", "https://host/top/A.h5?sig=1"),
        (M, "https://host/A.h5", "https://host/A.h5"),
        (M, "https://other/A.h5", "https://other/A.h5"),
        (M, "//other/A.h5", "https://other/A.h5"),
        (M, "s3://bucket/A.h5", "s3://bucket/A.h5"),
        (f"simplecache::{M}", "sub/A.h5", "simplecache::https://host/v1/sub/A.h5?sig=1"),
        (f"simplecache::{M}", "https://other/A.h5", "https://other/A.h5"),
        ("s3://bucket/v1/m.json", "sub/A.h5", "s3://bucket/v1/sub/A.h5"),
        ("/data/m.json", "sub/A.h5", "/data/sub/A.h5"),
        ("/data/m.json", "/elsewhere/A.h5", "/elsewhere/A.h5"),
    ],
)
def test_an_entrys_own_url_is_resolved_against_its_manifest(manifest, url, expected):
    assert resolve(manifest, url) == expected


@pytest.mark.parametrize(
    ("manifest", "url"),
    [
        (M, ""),
        (M, "file:///etc/passwd"),
        (M, "FILE:///etc/passwd"),
        (M, "local:///etc/passwd"),
        (M, "memory://x"),
        (M, "data:text/plain,x"),
        (M, "simplecache::https://host/A.h5"),
        (M, "https://host/A B.h5"),
        (M, "https://host\\@evil/A.h5"),
        (M, "A.h5\n"),
        (M, "https://[::1/A.h5"),
        (M, "https://host:99999/A.h5"),
        (M, "../v2/A.h5"),
        (M, "sub/../A.h5"),
        (M, "/v1/../v2/A.h5"),
        (M, "https:../v2/A.h5"),
        (M, "%2e%2e/v2/A.h5"),
        (M, ".%252E/v2/A.h5"),
        (M, "..%5Cv2/A.h5"),
        (f"simplecache::{M}", "../v2/A.h5"),
        ("/data/m.json", "%2e%2e/A.h5"),
        ("s3://bucket/v1/m.json", "/etc/passwd"),
        ("s3://bucket/v1/m.json", "../A.h5"),
        ("/data/m.json", "../A.h5"),
        ("memory://a/m.json", "../A.h5"),
    ],
)
def test_some_urls_are_never_usable(manifest, url):
    with pytest.raises(ValueError, match="^(is|points|climbs) "):
        resolve(manifest, url)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://host/a", "https://HOST:443/b?x", True),
        ("https://host/a", "https://me:pw@host/b", True),
        ("https://host/a", "https://host:8443/b", False),
        ("https://host/a", "http://host/a", False),
        ("https://host/a", "https://host.evil/a", False),
        ("https://host/a", "https://host@evil/a", False),
        ("https://host/a", "https://[::1/a", False),
        ("s3://bucket/a", "s3://bucket/b/c", True),
        ("s3://bucket/a", "s3://other/a", False),
        ("/data/a", "file:///data/b", True),
        ("/data/a", r"\\evil\share\a", False),
        ("/data/a", "//evil/share/a", False),
        ("/data/a", "file://evil/share/a", False),
        ("/data/a", "file:////evil/share/a", False),
        ("/data/a", "memory://a", False),
        ("/data/a", "https://host/a", False),
    ],
)
def test_same_origin(one, other, same):
    assert same_origin(one, other) is same
    assert same_origin(other, one) is same


def test_copies_are_found_again_when_tokens_are_renewed():
    base = copy_key("https://host/v1/m.json?id=7")
    for same in (
        "https://me:secret@host/v1/m.json?id=7",
        "https://HOST/v1//m.json?id=7#part",
        "https://host/v1/m.json?id=7&sv=2024&se=tomorrow&sp=r&sig=abc",
        "https://host/v1/m.json?X-Amz-Signature=1&id=7&X-Amz-Date=2",
        "https://host/v1/m.json?id=7&access_token=abc",
    ):
        assert copy_key(same) == base
    for other in (
        "https://host/v1/m.json?id=8",
        "https://host/v2/m.json?id=7",
        "http://host/v1/m.json?id=7",
        "https://host/v1/m.json?id=7&sp=r",  # no signature: an ordinary field
        "simplecache::https://host/v1/m.json?id=7",
    ):
        assert copy_key(other) != base
    assert len({copy_key("https://[::1/m"), copy_key("\ud800"), copy_key("/a/m.json")}) == 3
