"""Measure the cohorts against SyNG-BTS's own loader, h5py and a bare GET, and print the tables."""

import argparse
import http.server
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from cohort_bundle import write_manifest, write_mirna, write_rnaseq

ACTIONS = Path(__file__).with_name("actions.py")


class CountingServer(http.server.ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1 and counts the bytes of its files that it sends."""

    def __init__(self, folder: Path) -> None:
        self.sent = 0
        self.lock = threading.Lock()
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else an answer in two writes waits 40 ms for an ACK

            def __init__(self, *args, **kwargs):
                super().__init__(*args, directory=str(folder), **kwargs)

            def copyfile(self, source, target):
                while chunk := source.read(1 << 20):
                    target.write(chunk)
                    if self.path.endswith(".h5"):
                        with server.lock:
                            server.sent += len(chunk)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def measure(action: str, repetitions: int = 5, **arguments: object) -> dict:
    """Run an action in a process of its own; the median of its repetitions."""
    command = [sys.executable, str(ACTIONS), action, json.dumps(arguments), str(repetitions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{action} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def import_seconds(code: str, repetitions: int = 15) -> float:
    """Return the median seconds that a new interpreter takes for ``code``."""
    taken = []
    for _ in range(repetitions):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*cells: str) -> None:
    print()
    row(*cells)
    row(*("---" for _ in cells))


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # imports are measured as users have them, compiled
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival", help="the wheel of syng-bts")
    parser.add_argument("--quick", action="store_true", help="leave the 550 MB cohort out")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        run(Path(temporary), options.rival, quick=options.quick)


def run(folder: Path, wheel: str | None, *, quick: bool) -> None:
    (folder / "mirna").mkdir()
    (folder / "rnaseq").mkdir()
    entries = [
        write_mirna(folder / "mirna/PRAD_like.h5", samples=533, raw_samples=550, features=326),
        write_mirna(folder / "mirna/BRCA_like.h5", samples=1144, raw_samples=1207, features=570),
        write_mirna(folder / "mirna/TINY.h5", samples=9, raw_samples=10, features=20),
    ]
    write_manifest(folder / "mirna", "mirna", entries)
    cohorts = [("PRAD_like", "mirna"), ("BRCA_like", "mirna")]
    if not quick:
        entry = write_rnaseq(folder / "rnaseq/LAML_like.h5", samples=151, features=850, synthetic=10000)
        tiny = write_rnaseq(folder / "rnaseq/TINY.h5", samples=9, features=20, synthetic=10)
        write_manifest(folder / "rnaseq", "rnaseq", [entry, tiny])
        cohorts.append(("LAML_like", "rnaseq"))
    rival = None
    if wheel:
        with zipfile.ZipFile(wheel) as archive:
            rival = archive.extract("syng_bts/tcga.py", folder / "rival")
    server = CountingServer(folder)
    try:
        loading(folder, server.url, cohorts, rival)
        reading(folder, cohorts)
        importing()
        downloading(folder, server, cohorts)
    finally:
        server.shutdown()
        server.server_close()


def loading(folder: Path, url: str, cohorts: list[tuple[str, str]], rival: str | None) -> None:
    head("cohort", "MB", "what", "SyNG-BTS", "this", "faster", "its extra MiB", "ours", "part")
    for cohort, modality in cohorts:
        size = (folder / modality / f"{cohort}.h5").stat().st_size / 1e6
        manifest = f"{url}/{modality}/manifest.json"
        repetitions = 5 if size < 100 else 3
        common = {"manifest": manifest, "cohort": cohort, "modality": modality}
        for what, theirs, ours in (
            ("open", "rival_load", "our_open"),
            ("open, one normalization with labels", "rival_load_and_take", "our_open_and_take"),
            ("the same, the first time", "rival_load_and_take", "our_first_open_and_take"),
        ):
            measure(ours, 3, cache=str(folder / "ours"), **common)  # downloads, and finds the barcodes
            mine = measure(ours, repetitions, cache=str(folder / "ours"), **common)
            if rival is None:
                row(cohort, f"{size:.0f}", what, "", ms(mine["seconds"]), "", "", f"{mine['MiB']:.1f}", "")
                continue
            other = measure(theirs, repetitions, cache=str(folder / "theirs"), rival=rival, **common)
            row(
                cohort,
                f"{size:.0f}",
                what,
                ms(other["seconds"]),
                ms(mine["seconds"]),
                f"{other['seconds'] / mine['seconds']:.0f}×",
                f"{other['MiB']:.0f}",
                f"{mine['MiB']:.1f}",
                f"1/{other['MiB'] / max(mine['MiB'], 0.1):.0f}",
            )


def reading(folder: Path, cohorts: list[tuple[str, str]]) -> None:
    head("cohort", "every matrix: h5py read_direct", "this", "faster")
    for cohort, modality in cohorts:
        path = str(folder / modality / f"{cohort}.h5")
        other, mine = (
            measure("h5py_read_everything", 5, path=path),
            measure("our_read_everything", 5, path=path),
        )
        row(cohort, ms(other["seconds"]), ms(mine["seconds"]), f"{other['seconds'] / mine['seconds']:.1f}×")


def importing() -> None:
    head("import", "over", "more")
    nothing = import_seconds("pass")
    row("`import intake_tcga`", "`python -c pass`", ms(import_seconds("import intake_tcga") - nothing))
    row("what our entry points import with intake", "`import intake` without", ms(entry_point_seconds()))


def entry_point_seconds(repetitions: int = 15) -> float:
    """Return the median seconds that our part of ``import intake`` takes: the rest of it varies by more than that."""
    code = (
        "import time, intake, sys\n"
        "assert 'intake_tcga.readers' not in sys.modules\n"
        "start = time.perf_counter()\nimport intake_tcga.readers\nprint(time.perf_counter() - start)"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as conf:
        conf.write("import_block_list: [intake_tcga]")
        conf.flush()
        env = {**os.environ, "INTAKE_CONF_FILE": conf.name}
        return statistics.median(
            float(subprocess.check_output([sys.executable, "-c", code], env=env)) for _ in range(repetitions)
        )


def downloading(folder: Path, server: CountingServer, cohorts: list[tuple[str, str]]) -> None:
    head("cold download on loopback", "bare GET, write, hash, sync", "this", "ratio")
    for cohort, modality in cohorts:
        manifest = f"{server.url}/{modality}/manifest.json"
        file = f"{server.url}/{modality}/{cohort}.h5"
        bares, mines = [], []
        for _ in range(5):  # by turns: disks and neighbours are slower at one time than at another
            bares.append(measure("bare_get", 5, url=file, target=str(folder / "bare"))["seconds"])
            given = {"manifest": manifest, "cohort": cohort, "cache": str(folder / "cold")}
            mines.append(measure("our_download", 5, **given)["seconds"])
        bare, mine = statistics.median(bares), statistics.median(mines)
        row(cohort, ms(bare), ms(mine), f"{mine / bare:.2f}")
    head("8 processes, one cold file", "bytes sent / bytes of the file")
    cohort, modality = cohorts[-1]
    server.sent = 0
    arguments = json.dumps(
        {
            "manifest": f"{server.url}/{modality}/manifest.json",
            "cohort": cohort,
            "cache": str(folder / "eight"),
        }
    )
    command = [sys.executable, str(ACTIONS), "fetch_once", arguments, "1"]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(8)]
    statuses = [process.wait() for process in processes]
    size = (folder / modality / f"{cohort}.h5").stat().st_size
    row(f"{cohort}, {statuses.count(0)} of 8 succeed", f"{server.sent / size:.2f}×")


if __name__ == "__main__":
    main()
