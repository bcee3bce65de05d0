"""Measure images of slides behind a slow server, against whole downloads, tifffile and tiffslide; print the tables."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slide_scans import write_scan
from slide_server import LATENCY, RATE

HERE = Path(__file__).parent
TARGETS = {"74 MB": (12, 1.0), "1.14 GB": (12, 5.0)}
LARGE = {"width": 109_559, "height": 89_665, "factors": (1, 4, 16, 32), "repeated": (1,), "hole": 908_000_000}
SMALL = {"width": 16_800, "height": 12_480, "factors": (1, 4, 16)}
OF_BATCH = {"width": 2_400, "height": 1_920, "factors": (1, 4), "beside": ("thumbnail",)}


class Server:
    """The slow server, and the processes that are measured against it."""

    def __init__(self, folder: Path, plan: list[dict[str, Any]]) -> None:
        command = [sys.executable, str(HERE / "slide_server.py"), json.dumps(plan)]
        self.folder = folder
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self._said()
        self.endpoint, self.slides = said["endpoint"], said["slides"]

    def _said(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        return json.loads(line) if line else sys.exit("The server has ended.")

    def counts(self) -> dict[str, int]:
        """Return the requests and bytes since the last call."""
        assert self._process.stdin
        print(file=self._process.stdin, flush=True)
        return self._said()

    def measure(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Run an action in a new process: its time from when it is ready, and what it asked of the server."""
        given = {"tiny": str(self.folder / "tiny.svs"), "endpoint": self.endpoint, **arguments}
        command = [sys.executable, str(HERE / "slide_actions.py"), action, json.dumps(given)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as process:
            if process.stdout.readline() == "ready\n":
                self.counts()
                out, errors = process.communicate("go\n")
            else:
                out, errors = process.communicate()
        if process.returncode:
            sys.exit(f"{action} failed:\n{errors}")
        return json.loads(out.splitlines()[-1]) | self.counts()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*cells: str) -> None:
    print()
    row(*cells)
    row(*("---" for _ in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="compute the download of 1.14 GB, which takes a minute; 25 in the batch",
    )
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; "
        f"{LATENCY * 1000:.0f} ms a request, {RATE / 1e6:.0f} MB/s a connection"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_scan(folder / "tiny.svs", width=1200, height=960, factors=(1, 4))
        one_slide(folder, quick=options.quick)
        many_slides(folder, 25 if options.quick else 100)


def one_slide(folder: Path, *, quick: bool) -> None:
    scans = {}
    for first, layout in (
        ("data", "directories behind their data"),
        ("directory", "directories before their data"),
    ):
        scans["74 MB", layout] = write_scan(folder / f"small {first}.svs", **SMALL, first=first), SMALL
        scans["1.14 GB", layout] = write_scan(folder / f"large {first}.svs", **LARGE, first=first), LARGE
    plan = [
        {"path": str(path), "size": [of["width"], of["height"]], "copies": 1} for path, of in scans.values()
    ]
    server = Server(folder, plan)
    try:
        for slide, (name, layout) in zip(server.slides, scans, strict=True):
            ways(server, folder, name, layout, slide, quick=quick)
    finally:
        server.close()


def ways(server: Server, folder: Path, name: str, layout: str, slide: list[Any], *, quick: bool) -> None:
    size = slide[2]
    most_requests, most_mb = TARGETS[name]
    print(
        f"\n{name} ({size / 1e6:.0f} MB), {layout}; at most {most_requests} requests and {most_mb:g} MB wanted"
    )
    head("way", "requests", "MB", "s", "times faster than the download", "its extra MiB", "image")
    cache = str(folder / f"cache of {slide[0]}")
    first = layout == "directories behind their data"
    found = [
        ("ours, the first time", server.measure("ours", slide=slide, cache=cache)),
        ("ours, again", server.measure("ours", slide=slide, cache=cache)),
    ]
    if first:
        found.append(
            (
                'ours, `method="tiles"`',
                server.measure("ours", slide=slide, cache=f"{cache} 2", method="tiles"),
            )
        )
    found.append(("tifffile over fsspec", server.measure("theirs_tifffile", slide=slide)))
    found.append(("tiffslide over fsspec", server.measure("theirs_tiffslide", slide=slide)))
    if first and not (quick and name == "1.14 GB"):
        download = server.measure("ours", slide=slide, cache=cache, method="download", keep=False)
        found.append(('the whole file, `method="download"`', download))
        whole = download["seconds"]
    else:
        whole = LATENCY + size / RATE
    for way, of in found:
        shape = f"{of['shape'][1]} × {of['shape'][0]}"
        row(
            way, of["requests"], f"{of['bytes'] / 1e6:.2f}", f"{of['seconds']:.2f}", f"{whole / of['seconds']:.1f}×",
            f"{of['MiB']:.0f}", shape,
        )  # fmt: skip
    if not (first and way.startswith("the whole")):
        row(
            "the whole file, computed from size and rate",
            1,
            f"{size / 1e6:.0f}",
            f"{whole:.1f}",
            "1×",
            "",
            "",
        )


def many_slides(folder: Path, many: int) -> None:
    path = write_scan(folder / "of batch.svs", **OF_BATCH)
    server = Server(
        folder, [{"path": str(path), "size": [OF_BATCH["width"], OF_BATCH["height"]], "copies": many}]
    )
    try:
        head(
            f"{many} slides of {path.stat().st_size / 1e6:.1f} MB", "s", "requests", "its extra MiB", "faster"
        )
        alone = None
        for workers in (1, 4):
            given = {"slides": server.slides, "cache": str(folder / "batch"), "out": str(folder / "images")}
            of = server.measure("batch", workers=workers, **given)
            alone = alone or of["seconds"]
            way = "one by one" if workers == 1 else f"{workers} workers"
            row(
                way,
                f"{of['seconds']:.1f}",
                of["requests"],
                f"{of['MiB']:.0f}",
                f"{alone / of['seconds']:.1f}×",
            )
    finally:
        server.close()


if __name__ == "__main__":
    main()
