"""Progress bars: where they show, and that they count right."""

import io
import sys
import threading

import pytest

from intake_tcga.progress import Progress, can_show


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False), (lambda: None, False)])
def test_by_default_a_bar_shows_on_a_terminal_alone(monkeypatch, stream, shown):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys, "stderr", stream())
    assert can_show() is shown
    assert Progress("a.h5").shown is shown
    assert Progress("a.h5", show=True).shown
    assert not Progress("a.h5", show=False).shown


def test_a_notebooks_kernel_shows_bars(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert can_show()


def test_a_bar_follows_several_parts_and_restarts(capsys):
    with Progress("2 files", total=30, show=True) as progress:
        progress.at("a", 10, 10)
        progress.at("b", 15, 20)
        progress.at("b", 0, 20)  # started over
        progress.at("b", 20, 20)
        assert progress._bar.n == 30
    assert "2 files: 100%" in capsys.readouterr().err


def test_the_total_is_taken_from_the_first_answer(capsys):
    with Progress("a.h5", show=True) as progress:
        progress.at("a.h5", 5, 10)
        assert progress._bar.total == 10
    assert "50%" in capsys.readouterr().err


def test_nothing_is_shown_before_the_first_bytes_or_when_it_shall_not(capsys):
    with Progress("a.h5", 10, show=True):
        pass
    with Progress("a.h5", 10, show=False) as progress:
        progress.at("a.h5", 5)
        progress.say("hello")
    assert capsys.readouterr().err == ""


def test_many_threads_feed_one_bar(capsys):
    with Progress("files", total=8 * 1000, show=True) as progress:

        def feed(name):
            for done in range(1001):
                progress.at(name, done)

        threads = [threading.Thread(target=feed, args=(str(n),)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress._bar.n == 8000
