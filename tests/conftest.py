"""Every test has a cache of its own, no environment of the user's, and no way to the internet."""

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is, and what else it does, is no property of what is tested.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

_connect = socket.socket.connect


def _connect_to_this_machine_only(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
        raise OSError(f"a test tried to reach {address}")
    return _connect(self, address)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("INTAKE_TCGA_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("SYNG_BTS_CACHE_DIR", str(folder / "no-syng-bts"))
    monkeypatch.delenv("INTAKE_TCGA_OFFLINE", raising=False)
    monkeypatch.delenv("INTAKE_TCGA_READ_ONLY_ROOTS", raising=False)
    for name in ("INTAKE_TCGA_GDC_URL", "GDC_TOKEN", "GDC_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    if "network" not in request.keywords:
        monkeypatch.setattr(socket.socket, "connect", _connect_to_this_machine_only)


@pytest.fixture
def cache_dir(_isolated, monkeypatch) -> Path:
    """Return the folder that this test's cache uses by default (not made yet)."""
    import os

    return Path(os.environ["INTAKE_TCGA_CACHE_DIR"])


@pytest.fixture(scope="session")
def sample_file() -> str:
    """Return the path of the offline sample's cohort file."""
    from intake_tcga.cohorts.sample import catalogs_folder

    return str(catalogs_folder() / "sample" / "PRAD_sample_type.h5")


@pytest.fixture(scope="session")
def sample_manifest() -> str:
    """Return the URL of the offline sample's manifest."""
    from intake_tcga.cohorts.sample import catalogs_folder

    return (catalogs_folder() / "sample" / "manifest.json").as_uri()


@pytest.fixture(scope="session")
def sample_archs4() -> str:
    """Return the path of the offline sample's file in ARCHS4's layout."""
    from intake_tcga.cohorts.sample import catalogs_folder

    return str(catalogs_folder() / "sample" / "gtex_lung.h5")


@pytest.fixture(scope="session")
def sample_slide() -> str:
    """Return the path of the offline sample's slide."""
    from intake_tcga.cohorts.sample import catalogs_folder

    return str(catalogs_folder() / "sample" / "CMU-1-Small-Region.svs")
