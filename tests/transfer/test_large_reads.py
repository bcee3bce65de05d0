"""What is said before large reads, and by whom."""

import logging
import os
import threading
import time

import pytest
from faulty_server import FaultyServer, good

from intake_tcga.transfer import large_reads
from intake_tcga.transfer.large_reads import Prospect, announced
from intake_tcga.transfer.ranged import RangedFile

SIZE = 300_000


@pytest.fixture(autouse=True)
def _small(monkeypatch, caplog):
    monkeypatch.setattr(large_reads, "_LARGE", 200_000)
    monkeypatch.setattr(large_reads, "_SMALL", 1000)
    caplog.set_level(logging.INFO, "intake_tcga.transfer.large_reads")


@pytest.fixture
def server():
    with FaultyServer({"a.h5": os.urandom(SIZE)}) as server:
        yield server


def said(caplog):
    return [
        record.getMessage() for record in caplog.records if record.name == "intake_tcga.transfer.large_reads"
    ]


def read(file, length, show=None):
    with announced(file, length, str, show=show):
        file.read([(0, length)])


@pytest.mark.parametrize(
    ("prospect", "large"),
    [
        (Prospect(49_999_999, 10**9), False),
        (Prospect(50_000_000, 10**12), True),
        (Prospect(9_000_000, 18_000_000), True),
        (Prospect(9_000_000, 18_000_001), False),
        (Prospect(7_000_000, 7_000_000), False),
    ],
)
def test_large_is_much_or_most_of_a_file_that_is_not_small(prospect, large, monkeypatch):
    monkeypatch.undo()
    assert prospect.large is large


@pytest.mark.parametrize(
    ("wanted", "rate", "time_"),
    [
        (50_000_000, None, "about 1 s at 50 MB/s"),
        (5_900_000_000, None, "about 118 s at 50 MB/s"),
        (47_865_298_452, None, "about 16 min at 50 MB/s"),
        (47_865_298_452, 2e6, "about 6.6 h at the 2.0 MB/s seen so far"),
        (100, None, "about 1 s at 50 MB/s"),
    ],
)
def test_time(wanted, rate, time_):
    assert Prospect(wanted, 10**12, rate).time_of(wanted) == time_


def test_it_is_said_before_the_first_byte_comes(server, caplog):
    file = RangedFile(server.url("a.h5"))
    _ = file.identity
    before = server.sent
    with announced(file, 250_000, str):
        assert said(caplog) == ["250 kB of its 300 kB, about 1 s at 50 MB/s"]
        assert server.sent == before


def test_what_is_not_large_is_read_silently(server, caplog, capsys):
    read(RangedFile(server.url("a.h5")), 100_000, show=True)
    assert said(caplog) == []
    assert capsys.readouterr().err == ""


def test_each_large_read_of_the_main_thread_is_said_with_the_rate_of_the_one_before(server, caplog):
    def slow(reply):
        time.sleep(0.25)
        good(reply)

    file = RangedFile(server.url("a.h5"))
    _ = file.identity
    server.fail("a.h5", slow, times=1)
    read(file, 250_000)
    read(file, 250_000)
    first, second = said(caplog)
    assert first.endswith("at 50 MB/s")
    rate = float(second.split("at the ")[1].split(" kB/s seen so far")[0])
    assert 10 < rate <= 1000  # kB/s: a quarter of a megabyte took a quarter of a second at least


def test_a_read_that_failed_tells_no_rate(server, caplog):
    file = RangedFile(server.url("a.h5"))

    def begin():
        file.read([(0, 10)])
        raise RuntimeError

    with pytest.raises(RuntimeError), announced(file, 250_000, str):
        begin()
    read(file, 250_000)
    assert all(sentence.endswith("at 50 MB/s") for sentence in said(caplog))


def test_threads_say_it_once_when_their_reads_have_come_to_much(server, caplog):
    file = RangedFile(server.url("a.h5"))
    _ = file.identity

    def some():
        for _ in range(3):
            read(file, 50_000)

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (sentence,) = said(caplog)
    assert 150_000 <= int(sentence.split(" kB")[0]) * 1000 <= SIZE
    read(file, 250_000)  # and the main thread's own reads go on being said
    assert len(said(caplog)) == 2


def test_what_is_read_once_is_said_in_any_thread_and_shown_for_one_at_a_time(server, caplog, capsys):
    file = RangedFile(server.url("a.h5"))
    gate = threading.Barrier(2)

    def whole():
        with announced(file, 250_000, str, once=True, show=True):
            gate.wait(10)
            file.read([(0, 250_000)])

    threads = [threading.Thread(target=whole) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said(caplog)) == 2
    assert capsys.readouterr().err.count("100%") == 1
    read(file, 250_000, show=True)
    assert "100%" in capsys.readouterr().err


def test_other_bytes_under_the_same_name_are_another_file(server, caplog):
    def in_a_thread():
        file = RangedFile(server.url("a.h5"))
        thread = threading.Thread(target=read, args=(file, 250_000))
        thread.start()
        thread.join()

    in_a_thread()
    in_a_thread()
    assert len(said(caplog)) == 1
    server.bodies["a.h5"] = os.urandom(SIZE)
    in_a_thread()
    assert len(said(caplog)) == 2


def test_progress_is_shown_where_it_shall_be(server, capsys):
    file = RangedFile(server.url("a.h5"))
    read(file, 250_000, show=False)
    assert capsys.readouterr().err == ""
    read(file, 250_000, show=True)
    shown = capsys.readouterr().err
    assert shown.startswith("250 kB of its 300 kB")
    assert "a.h5: 100%" in shown
    with pytest.raises(RuntimeError), announced(file, 250_000, str, show=True):
        raise RuntimeError
    assert "a.h5: 100%" not in capsys.readouterr().err
    assert not [thread for thread in threading.enumerate() if thread.name == "intake-tcga-progress"]
