"""Tables for people, lines for pipes, JSON for programs, of the same rows."""

import json

import numpy as np
import pandas as pd
import pytest

from intake_tcga.cli.printing import print_json, print_rows

ROWS = [
    {"sample": "GSM1", "title": "a long title " * 20, "reads": 12_345, "path": "/very/long/" + "x" * 90},
    {"sample": "GSM22", "title": "with\ttabs\nand lines", "reads": None, "path": "/b"},
]


def test_a_pipe_gets_everything(capsys):
    print_rows(ROWS)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["sample", "title", "reads", "path"]
    assert lines[1] == ["GSM1", ROWS[0]["title"], "12345", ROWS[0]["path"]]
    assert lines[2] == ["GSM22", "with tabs and lines", "", "/b"]


def test_sizes_are_numbers_in_a_pipe_and_for_people_on_a_terminal(capsys, terminal):
    rows = [
        {"file": "a.h5", "samples": 12_345, "bytes": 17_315_818},
        {"file": "b.h5", "samples": None, "bytes": 9},
    ]
    print_rows(rows)
    assert capsys.readouterr().out == "file\tsamples\tbytes\na.h5\t12345\t17315818\nb.h5\t\t9\n"
    terminal(80)
    print_rows(rows)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [["a.h5", "12,345", "17", "MB"], ["b.h5", "9", "B"]]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_gets_lines_that_fit(capsys, terminal, columns):
    terminal(columns)
    print_rows([{key: row[key] for key in ("sample", "title", "reads")} for row in ROWS])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    assert lines[1].startswith("GSM1 ")
    assert "…" in lines[1]
    assert lines[1].rstrip().endswith("12345")  # numbers stand to the right, and are never cut
    assert len(lines[1].partition("…")[0]) > columns / 2


def test_paths_are_folded_not_cut(capsys, terminal):
    terminal(60)
    print_rows([{"sample": row["sample"], "path": row["path"]} for row in ROWS], whole={"path"})
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert shown.count("x") == 90


def test_a_terminal_gets_no_orders(capsys, terminal):
    terminal(80)
    print_rows([{"sample": "\x1b[31mred", "title": "[bold]not bold[/bold] \x9b2J 肝臓"}])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "[bold]not bold[/bold]" in shown
    assert "肝臓" in shown


def test_a_terminal_gets_the_first_lines(capsys, terminal):
    terminal(80)
    print_rows([{"n": n} for n in range(1000)])
    shown, said = capsys.readouterr()
    assert len(shown.splitlines()) == 201
    assert "800 more" in said


def test_nothing(capsys):
    print_rows([])
    assert capsys.readouterr() == ("", "There is nothing to show.\n")


def test_json_is_json(capsys):
    print_json(
        [
            {
                "n": np.int64(3),
                "x": np.float32(0.5),
                "gone": float("nan"),
                "none": None,
                "yes": np.True_,
                "when": pd.Timestamp("2020-01-02"),
                "list": ("a", np.int8(1)),
                "text": "µ\t",
            }
        ]
    )
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [
        {
            "n": 3,
            "x": 0.5,
            "gone": None,
            "none": None,
            "yes": True,
            "when": "2020-01-02 00:00:00",
            "list": ["a", 1],
            "text": "µ\t",
        }
    ]
