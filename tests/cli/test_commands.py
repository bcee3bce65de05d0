"""What all commands share: help, exit status, errors in words, output that goes nowhere."""

import os
import signal
import subprocess
import sys
import time

import click
import pytest
from faulty_server import FaultyServer, silent

from intake_tcga.cli import main


def commands(group=main, path=()):
    """Yield the words of every command, groups included."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def typed(line, **options):
    """Run a line of shell, in which ``intake-tcga`` is ours."""
    ours = f'intake-tcga() {{ {sys.executable} -m intake_tcga "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", ours + line], capture_output=True, text=True, check=False, timeout=60, **options
    )


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_a_terminal(invoke, words, columns):
    shown = invoke(*words, "--help", terminal_width=columns).stdout
    assert shown.startswith("Usage: ")
    assert max(map(len, shown.splitlines())) <= columns
    assert "..." not in shown.partition("Commands:")[2]  # each is summed up in a sentence that fits
    for name in getattr(main if not words else main.commands[words[0]], "commands", []):
        assert len(words) == 2 or f"\n  {name} " in shown


def test_help_tells_the_exit_status(invoke):
    assert "Exit status" in invoke("--help").stdout


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["archs4", "nonsense"], ["slides", "draw"], ["list", "--nonsense"], ["archs4", "counts"]],
)
def test_a_wrong_line_is_status_2(invoke, words):
    assert "Error: " in invoke(*words, status=2).stderr


def test_options_are_called_as_they_are_typed():
    group = main.commands["slides"]
    said = group._as_typed("give upsample=True, mpp_base=, mpp_from='pixels' or level=3")
    assert said == "give --upsample, --mpp-base, --mpp-from pixels or level=3"
    said = main.commands["archs4"]._as_typed("Correct it, or pass regex=False to find it as it stands.")
    assert said == "Correct it, or pass --literal to find it as it stands."


@pytest.mark.parametrize("group", ["slides", "archs4", None])
def test_offline_is_left_out_not_false(group):
    commands = main.commands[group] if group else main
    said = commands._as_typed(
        "cannot be read in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE."
    )
    assert "; leave out --offline or unset" in said
    said = commands._as_typed("fetch it once with network (offline=False, INTAKE_TCGA_OFFLINE unset).")
    assert said == "fetch it once with network (without --offline, INTAKE_TCGA_OFFLINE unset)."


def test_no_memory_is_a_sentence(invoke, monkeypatch, sample_archs4):
    def failing(*_, **__):
        raise MemoryError

    monkeypatch.setattr("intake_tcga.archs4.collection.open_archs4", failing)
    assert "not enough memory" in invoke("archs4", "fields", sample_archs4, status=1).stderr


@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_a_closed_pipe_is_no_error(sample_archs4, reader):
    done = typed(f"intake-tcga archs4 search {sample_archs4} | {reader}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("redirection", "status"), [("> /dev/full", 1), (">&-", 0)])
def test_output_that_goes_nowhere_is_no_traceback(sample_archs4, redirection, status):
    done = typed(f"intake-tcga archs4 search {sample_archs4} {redirection}")
    assert "Traceback" not in done.stderr
    assert done.returncode == status


def test_an_interruption_is_a_sentence(tmp_path):
    with FaultyServer() as server:
        server.fail("manifest.json", silent, times=None)
        words = [sys.executable, "-m", "intake_tcga", "list", "-m", server.url("manifest.json")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not server.requests and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert "Interrupted" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.name == "nt", reason="a terminal of Unix")
def test_a_terminal_of_its_own(sample_archs4):
    import pty

    main_end, other_end = pty.openpty()
    environment = os.environ | {"COLUMNS": "70", "TERM": "xterm-256color"}
    words = [sys.executable, "-m", "intake_tcga", "archs4", "search", sample_archs4, "--draw", "3"]
    process = subprocess.Popen(words, stdout=other_end, stderr=subprocess.PIPE, env=environment)
    os.close(other_end)
    shown = b""
    while True:
        try:
            more = os.read(main_end, 2**16)
        except OSError:  # Linux says so at the end
            break
        if not more:
            break
        shown += more
    os.close(main_end)
    assert process.wait() == 0
    lines = shown.decode().splitlines()
    assert len(lines) == 4
    assert "\t" not in shown.decode()
    assert "GTEX-" in lines[1]
