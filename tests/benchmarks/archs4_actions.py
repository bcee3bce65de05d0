"""What is measured of ARCHS4. Each action runs in a process of its own: ``python archs4_actions.py NAME JSON``.

Prints ``ready`` and what it has in memory, then, when it is done, one JSON object: the seconds it took, how much the
process's peak memory grew, and that peak. Everybody reads a tiny file first, so that imports do not count.
"""

import importlib
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from actions import memory
from archs4_bundle import TEXT

Action = Callable[[], Any]


def chosen(path: str, n: int) -> list[int]:
    """Draw samples by their positions; the same for everybody."""
    import h5py

    with h5py.File(path) as file:
        samples = file["data/expression"].shape[1]
    return np.random.default_rng(1).choice(samples, n, replace=False).tolist()


def beside(url: str, path: str) -> str:
    """Return the URL of another file in the same folder."""
    return f"{url.rpartition('/')[0]}/{Path(path).name}"


# ── this package ──────────────────────────────────────────────────────────────────────────────────────────────────


def our_samples(path: str, n: int, tiny: str, url: str | None = None) -> Action:
    """Read samples by their positions: from a file, or from where it is served."""
    import intake_tcga

    positions = chosen(path, n)

    def read(where: str = url or path, rows: list[int] = positions) -> Any:
        with intake_tcga.open_archs4(where) as ds:
            return ds.isel(sample=rows)["counts"].values

    read(tiny if url is None else beside(url, tiny), [3, 1, 2])
    return read


def our_accessions(path: str, n: int, tiny: str) -> Action:
    """Read samples by their names."""
    import h5py

    import intake_tcga

    with h5py.File(path) as file:
        names = file["meta/samples/geo_accession"].asstr()[()]
    names = names[chosen(path, n)].tolist()

    def read() -> Any:
        with intake_tcga.open_archs4(path) as ds:
            return ds.archs4.samples(names)["counts"].values

    with intake_tcga.open_archs4(tiny) as ds:
        _ = ds.archs4.draw(3)["counts"].values
    return read


def our_search(path: str, term: str, tiny: str) -> Action:
    """Find samples, and make the table that archs4py makes."""
    import intake_tcga

    def find(where: str = path) -> Any:
        with intake_tcga.open_archs4(where) as ds:
            return ds.archs4.search(term, TEXT, metadata_only=True)

    find(tiny)
    return find


def our_open(path: str, tiny: str, url: str | None = None) -> Action:
    """Open, and nothing else."""
    import intake_tcga

    where = url or path

    def open_() -> Any:
        intake_tcga.open_archs4(where).close()

    intake_tcga.open_archs4(tiny if url is None else beside(url, tiny)).close()
    return open_


def our_print(path: str, tiny: str) -> Action:
    """Open, and show it."""
    import intake_tcga

    def show() -> Any:
        with intake_tcga.open_archs4(path) as ds:
            return repr(ds)

    with intake_tcga.open_archs4(tiny) as ds:
        repr(ds)
    show()
    return show


# ── others ────────────────────────────────────────────────────────────────────────────────────────────────────────


def rival(folder: str, module: str) -> Any:
    """Import a module of archs4py as it is; not the package, which wants what only its other modules use."""
    package = types.ModuleType("archs4py")
    package.__path__ = [str(Path(folder, "archs4py"))]
    sys.modules["archs4py"] = package
    return importlib.import_module(f"archs4py.{module}")


def rival_samples(path: str, n: int, tiny: str, folder: str) -> Action:
    index = rival(folder, "data").index
    positions = chosen(path, n)
    index(tiny, [3, 1, 2], silent=True)
    return lambda: index(path, positions, silent=True)


def rival_search(path: str, term: str, tiny: str, folder: str) -> Action:
    meta = rival(folder, "meta").meta
    meta(tiny, term, list(TEXT), silent=True)
    return lambda: meta(path, term, list(TEXT), silent=True)


def column_loop(path: str, n: int, tiny: str) -> Action:
    """Read column after column: the least that h5py can do."""
    positions = chosen(path, n)

    def read(where: str = path, rows: list[int] = positions) -> Any:
        import h5py

        with h5py.File(where) as file:
            return by_columns(file["data/expression"], rows)

    read(tiny, [3, 1, 2])
    return read


def h5py_remote(path: str, n: int, url: str, tiny: str) -> Action:
    """Read through h5py over a file of fsspec's, the faster way for the chunks."""
    import fsspec
    import h5py

    positions = chosen(path, n)

    def read(where: str = url, rows: list[int] = positions) -> Any:
        with fsspec.open(where) as remote, h5py.File(remote) as file:
            matrix = file["data/expression"]
            if matrix.dtype.itemsize * np.prod(matrix.chunks) <= 2**20:  # in the order of the file
                return by_columns(matrix, sorted(rows))
            return matrix[:, sorted(rows)]  # a chunk that HDF5 does not cache is inflated once

    read(beside(url, tiny), [3, 1, 2])
    return read


def by_columns(matrix: Any, rows: list[int]) -> np.ndarray:
    values = np.empty((len(rows), matrix.shape[0]), matrix.dtype)
    for at, row in enumerate(rows):
        values[at] = matrix[:, row]
    return values


def main() -> None:
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    repetitions = arguments.pop("repetitions", 1)
    action: Action = globals()[name](**arguments)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = memory("VmRSS")
    print("ready", before, flush=True)
    sys.stdin.readline()
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - start)
    peak = memory("VmHWM")
    found = list(getattr(result, "shape", ()))
    print(json.dumps({"seconds": min(seconds), "MiB": peak - before, "peak": peak, "shape": found}))


if __name__ == "__main__":
    main()
