"""What is measured. Each action runs in a process of its own: ``python actions.py NAME ARGUMENTS-AS-JSON``.

Prints one JSON object: the median seconds of the repetitions, and how much the process's peak memory grew over
what it was before the first one. Both packages open a tiny cohort first, so that imports do not count.
"""

import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

NORMALIZATION = "DESeq"


def load_rival(module: str):
    spec = importlib.util.spec_from_file_location("rival", module)
    rival = importlib.util.module_from_spec(spec)
    sys.modules["rival"] = rival
    spec.loader.exec_module(rival)
    return rival


def ours(manifest: str, cache: str):
    from intake_tcga.cohorts.collection import CohortCollection

    return CohortCollection(manifest, cache_storage=cache, progress=False)


def rival_load(manifest: str, cohort: str, modality: str, rival: str, cache: str):
    os.environ["SYNG_BTS_CACHE_DIR"] = cache
    module = load_rival(rival)
    module.load_tcga_dataset("TINY", modality=modality, manifest_url=manifest).real(
        normalization=NORMALIZATION
    )
    return lambda: module.load_tcga_dataset(cohort, modality=modality, manifest_url=manifest)


def rival_load_and_take(manifest: str, cohort: str, modality: str, rival: str, cache: str):
    load = rival_load(manifest, cohort, modality, rival, cache)
    return lambda: load().real(normalization=NORMALIZATION)


def our_open(manifest: str, cohort: str, cache: str, **_):
    our_open_and_take(manifest, "TINY", cache)()
    return lambda: ours(manifest, cache).open(cohort).close()


def our_open_and_take(manifest: str, cohort: str, cache: str, **_):
    def take(name: str = cohort):
        with ours(manifest, cache).open(name) as dataset:
            return dataset.tcga.real(NORMALIZATION)

    take("TINY")
    return take


def our_first_open_and_take(manifest: str, cohort: str, cache: str, **_):
    """As the first time ever: the barcodes of the samples are not kept yet."""
    take = our_open_and_take(manifest, cohort, cache)

    def take_anew():
        take()

    take_anew.before = lambda: shutil.rmtree(Path(cache, ".intake-tcga/derived"), ignore_errors=True)
    return take_anew


def our_read_everything(path: str, **_):
    from intake_tcga.cohorts.dataset import open_dataset

    def read():
        with open_dataset(path) as dataset:
            for name in ("real", "synthetic", "raw"):
                if name in dataset:
                    _ = dataset[name].values

    return read


def h5py_read_everything(path: str, **_):
    import h5py
    import numpy as np

    def read():
        with h5py.File(path) as file:
            matrices = []
            file.visititems(
                lambda name, item: matrices.append(item) if name.endswith("/expression") else None
            )
            for matrix in matrices:
                out = np.empty(matrix.shape, matrix.dtype)
                matrix.read_direct(out)

    return read


def our_download(manifest: str, cohort: str, cache: str, **_):
    collection = ours(manifest, cache)
    path = collection.fetch(cohort)

    def fetch():
        collection.fetch(cohort)

    fetch.before = path.unlink  # as for the bare GET, whose folder is there, too
    return fetch


def bare_get(url: str, target: str, **_):
    """Ask, write, hash and sync: the least that a download can do."""

    def get():
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request("GET", parts.path)
        response = connection.getresponse()
        digest = hashlib.sha256()
        with Path(target).open("wb") as file:
            while chunk := response.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        connection.close()

    get()
    get.before = Path(target).unlink
    return get


def fetch_once(manifest: str, cohort: str, cache: str, **_):
    return lambda: ours(manifest, cache).fetch(cohort)


def memory(field: str) -> float:
    """Return a field of this process's status (Linux), in MiB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def main() -> None:
    name, arguments, repetitions = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    action = globals()[name](**arguments)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = memory("VmRSS")
    seconds = []
    for _ in range(repetitions):
        getattr(action, "before", lambda: None)()
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    grown = memory("VmHWM") - before
    print(json.dumps({"seconds": statistics.median(seconds), "first": seconds[0], "MiB": grown}))


if __name__ == "__main__":
    main()
