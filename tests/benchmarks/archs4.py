"""Measure ARCHS4 against archs4py, a loop over columns and h5py over fsspec, and print the tables."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archs4_bundle import write_archs4
from cohorts import head, ms, row

HERE = Path(__file__).parent
PARTS = ("local", "metadata", "open", "remote")
TERM = "myoblast"

FILES: dict[str, dict[str, Any]] = {
    "tiny": {"features": 2000, "samples": 30, "chunks": (2000, 1)},
    "local": {"features": 35_000, "samples": 3000, "chunks": (2000, 1)},
    "metadata": {"features": 67_186, "samples": 888_821, "chunks": (2000, 1), "written": False},
    "metadata_quick": {"features": 67_186, "samples": 88_882, "chunks": (2000, 1), "written": False},
    "columns": {"features": 67_186, "samples": 20_000, "chunks": (2000, 1)},
    "whole_columns": {"features": 20_000, "samples": 10_000, "chunks": (20_000, 1)},
    "tiles": {"features": 20_000, "samples": 10_000, "chunks": (100, 100)},
    "large_tiles": {"features": 20_000, "samples": 10_000, "chunks": (2000, 2000)},
}


@dataclass(frozen=True)
class Bench:
    """Where everything is, and how much of it to measure."""

    data: Path
    work: Path
    rival: str | None
    quick: bool

    @property
    def far(self) -> int:
        """Samples that are read from afar: h5py takes minutes for a hundred."""
        return 20 if self.quick else 100

    def file(self, name: str) -> str:
        """Return a generated file's path; written the first time."""
        path = self.data / f"{name}.h5"
        if not path.exists():
            start = time.perf_counter()
            write_archs4(path, **FILES[name])
            print(f"(wrote {path}, {path.stat().st_size / 1e6:.0f} MB, {time.perf_counter() - start:.0f} s)")
        return str(path)

    def measure(
        self,
        action: str,
        *,
        cache: str = "cache",
        begin: Callable[[], Any] = lambda: None,
        watcher: Callable[[subprocess.Popen[str]], float] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Run an action in a process of its own; what it took, and the memory of it and its children."""
        given = json.dumps({"tiny": self.file("tiny"), **arguments})
        environment = os.environ | {"INTAKE_TCGA_CACHE_DIR": str(self.work / cache)}
        with subprocess.Popen(
            [sys.executable, str(HERE / "archs4_actions.py"), action, given],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        ) as process:  # fmt: skip
            assert process.stdin
            assert process.stdout
            ready = process.stdout.readline().split()
            if ready[:1] == ["ready"]:
                begin()
                process.stdin.write("\n")
                process.stdin.flush()
            together = (watcher or watch)(process)
            output, errors = process.communicate()
        if process.returncode:
            sys.exit(f"{action} failed:\n{errors}")
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        result["MiB"] = max(result["MiB"], together - float(ready[1]))
        return result

    def shared(self, action: str, **arguments: Any) -> float:
        """Return what a process and its children take, with pages that they share counted once; not its time."""
        return float(self.measure(action, watcher=watch_shared, **arguments)["MiB"])

    def by_turns(self, times: int, actions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Measure several actions by turns, since neighbours are louder at one time than another; the medians."""
        taken: dict[str, list[dict[str, Any]]] = {name: [] for name in actions}
        for _ in range(times):
            for name, arguments in actions.items():
                taken[name].append(self.measure(name, **arguments))
        return {
            name: {key: statistics.median(one[key] for one in results) for key in ("seconds", "MiB", "peak")}
            for name, results in taken.items()
        }


def watch(process: subprocess.Popen[str]) -> float:
    """Return the most that a process and its children have resident, summed as `ps` shows it, in MiB."""

    def resident(pid: str) -> float:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    return most_together(process, resident)


def watch_shared(process: subprocess.Popen[str]) -> float:
    """Return the same with pages that they share counted once; asking for it takes the kernel a while."""

    def share(pid: str) -> float:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0]) / 1024

    return most_together(process, share)


def most_together(process: subprocess.Popen[str], memory: Callable[[str], float]) -> float:
    most = 0.0
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        with suppress(OSError, IndexError):  # one of them has just ended
            most = max(most, sum(memory(pid) for pid in (str(process.pid), *children.read_text().split())))
        time.sleep(0.02)
    return most


def times(slower: float, faster: float) -> str:
    ratio = slower / max(faster, 1e-9)
    return f"{ratio:.1f}×" if ratio < 10 else f"{ratio:.0f}×"


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def local(bench: Bench) -> None:
    """Read samples of a local file."""
    path = bench.file("local")
    head(
        "random samples of 35,000 × 3,000", "archs4py", "column loop", "this",
        "faster than archs4py (≥ 6×; 1000: ≥ 8×)", "of the loop's time (≤ 1.2)",
        "archs4py's extra MiB", "shared pages once", "the loop's", "ours", "part (≤ 1/10)",
    )  # fmt: skip
    for n in (100, 1000):
        actions: dict[str, dict[str, Any]] = {
            name: {"path": path, "n": n} for name in ("column_loop", "our_samples", "our_accessions")
        }
        if bench.rival:
            actions["rival_samples"] = {"path": path, "n": n, "folder": bench.rival}
        found = bench.by_turns(3 if bench.quick else 5, actions)
        once = bench.shared("rival_samples", path=path, n=n, folder=bench.rival) if bench.rival else 0
        loop, theirs = found["column_loop"], found.get("rival_samples")
        for label, mine in ((f"{n}", found["our_samples"]), (f"{n}, by accession", found["our_accessions"])):
            row(
                label,
                ms(theirs["seconds"]) if theirs else "",
                ms(loop["seconds"]),
                ms(mine["seconds"]),
                times(theirs["seconds"], mine["seconds"]) if theirs else "",
                f"{mine['seconds'] / loop['seconds']:.2f}",
                f"{theirs['MiB']:.0f}" if theirs else "",
                f"{once:.0f}" if theirs else "",
                f"{loop['MiB']:.0f}",
                f"{mine['MiB']:.0f}",
                f"1/{theirs['MiB'] / mine['MiB']:.0f}" if theirs else "",
            )


def metadata(bench: Bench) -> None:
    """Search the texts of all samples."""
    path = bench.file("metadata_quick" if bench.quick else "metadata")
    samples = FILES[Path(path).stem]["samples"]
    given = {"path": path, "term": TERM}
    theirs = bench.measure("rival_search", folder=bench.rival, **given) if bench.rival else None
    head(
        f"a regular expression in 6 fields of {samples:,} samples", "found", "archs4py", "this", "faster",
        "target", "archs4py's extra MiB", "ours",
    )  # fmt: skip
    first, later = [], []
    for turn in range(3):
        first.append(bench.measure("our_search", cache=f"search{turn}", **given))
        later += [bench.measure("our_search", cache=f"search{turn}", **given) for _ in range(3)]
    for label, results, target in (("the first time", first, "≥ 20×"), ("later", later, "≥ 200×")):
        mine = sorted(results, key=lambda one: one["seconds"])[len(results) // 2]
        if theirs and mine["shape"] != theirs["shape"]:
            print(f"(archs4py's table is of {theirs['shape']}, ours of {mine['shape']})")
        row(
            label,
            f"{mine['shape'][0]:,}",
            f"{theirs['seconds']:.1f} s" if theirs else "",
            ms(mine["seconds"]),
            times(theirs["seconds"], mine["seconds"]) if theirs else "",
            target,
            f"{theirs['MiB']:.0f}" if theirs else "",
            f"{mine['MiB']:.0f}",
        )


def opening(bench: Bench) -> None:
    """Open files of few and of many samples."""
    few, many = bench.file("local"), bench.file("metadata_quick" if bench.quick else "metadata")
    head("open", "3,000 samples", f"{FILES[Path(many).stem]['samples']:,}", "ratio (≤ 2)")
    for label, action in (("open", "our_open"), ("open and print", "our_print")):
        taken: dict[str, list[float]] = {few: [], many: []}
        for _ in range(3):
            for path, seconds in taken.items():
                seconds.append(bench.measure(action, path=path, repetitions=15)["seconds"])
        small, large = (statistics.median(seconds) for seconds in taken.values())
        row(label, ms(small), ms(large), f"{large / small:.2f}")


def remote(bench: Bench) -> None:
    """Read 100 samples from afar: 50 ms a request, 50 MB/s a connection."""
    names = (
        ["columns", "whole_columns"] if bench.quick else ["columns", "whole_columns", "tiles", "large_tiles"]
    )
    paths = {name: bench.file(name) for name in names}
    bench.file("tiny")
    with serving(bench.data) as url:
        head("opening from afar", "requests (≤ 12)", "kB", "seconds", "peak MiB")
        for name, path in paths.items():
            shape = FILES[name]
            given = {"path": path, "url": f"{url}/{Path(path).name}"}
            mine = fetched(bench, url, "our_open", f"open_{name}", given)
            row(
                f"{shape['features']:,} × {shape['samples']:,}, chunks {shape['chunks']}",
                mine["requests"],
                f"{mine['bytes'] / 1e3:.0f}",
                f"{mine['seconds']:.2f}",
                f"{mine['peak']:.0f}",
            )
        head(
            f"{bench.far} random samples from afar", "", "seconds", "requests", "MB", "faster", "target", "fewer bytes",
            "peak MiB (≤ 300)",
        )  # fmt: skip
        for name, path in paths.items():
            reading(bench, url, name, path)


def reading(bench: Bench, url: str, name: str, path: str) -> None:
    shape = FILES[name]
    label = f"{shape['features']:,} × {shape['samples']:,}, chunks {shape['chunks']}"
    given = {"path": path, "n": bench.far, "url": f"{url}/{Path(path).name}"}
    theirs = fetched(bench, url, "h5py_remote", "none", given)
    row(label, "h5py over fsspec", *told(theirs), "", "", "", f"{theirs['peak']:.0f}")
    first, later = [], []
    for turn in range(3):
        first.append(fetched(bench, url, "our_samples", f"far_{name}{turn}", given))
        later.append(fetched(bench, url, "our_samples", f"far_{name}{turn}", given))
    for what, results, target in (("this, the first time", first, "≥ 5×"), ("this, later", later, "≥ 10×")):
        mine = sorted(results, key=lambda one: one["seconds"])[1]
        fewer = f"{theirs['bytes'] / mine['bytes']:.0f}×" + (" (≥ 50×)" if shape["chunks"][1] == 1 else "")
        peak = max(one["peak"] for one in results)
        row(
            label, what, *told(mine), times(theirs["seconds"], mine["seconds"]), target, fewer, f"{peak:.0f}",
        )  # fmt: skip


def told(result: dict[str, Any]) -> tuple[str, ...]:
    return f"{result['seconds']:.2f}", f"{result['requests']:,}", f"{result['bytes'] / 1e6:.1f}"


def fetched(bench: Bench, url: str, action: str, cache: str, given: dict[str, Any]) -> dict[str, Any]:
    """Measure, and count what the server is asked for meanwhile."""
    result = bench.measure(action, cache=cache, begin=lambda: asked(url), **given)
    return result | asked(url)


def asked(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/counts") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder from a process of its own, which has a GIL of its own."""
    command = [sys.executable, str(HERE / "range_server.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival", help="the folder that archs4py was installed in")
    parser.add_argument("--data", help="where generated files are kept for the next run; 5 GB", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer samples to search, fewer files from afar")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"load {load:.1f}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary, "data")
        data.mkdir(parents=True, exist_ok=True)
        bench = Bench(data, Path(temporary), options.rival, options.quick)
        for name in PARTS:
            if name in options.only:
                {"local": local, "metadata": metadata, "open": opening, "remote": remote}[name](bench)
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
