"""No collection begins in a pause, and the one under way has ended before."""

import gc
import os
import sys
import threading
import time

import pytest

from intake_tcga.transfer import garbage
from intake_tcga.transfer.garbage import no_collection, no_collection_at_all


@pytest.fixture(autouse=True)
def _enabled():
    assert gc.isenabled()
    yield
    gc.enable()


@pytest.mark.parametrize("pause", [no_collection, no_collection_at_all])
def test_a_pause_ends_as_it_began(pause):
    with pause():
        assert not gc.isenabled()
        with pause():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()  # the user's own wish
    with pause():
        pass
    assert not gc.isenabled()


def test_pauses_of_many_threads_leave_it_as_it_was():
    enabled_inside, left_disabled = [], []

    def often():
        for _ in range(200):
            with no_collection():
                enabled_inside.append(gc.isenabled())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # a switch between any two steps
    try:
        for _ in range(60):
            threads = [threading.Thread(target=often) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            left_disabled.append(not gc.isenabled())
            gc.enable()
    finally:
        sys.setswitchinterval(interval)
    assert (sum(enabled_inside), sum(left_disabled)) == (0, 0)


def step_by_step(monkeypatch, name, after):
    """Let something happen right after one of gc's functions was called by this thread."""
    plain, mine, done = getattr(gc, name), threading.get_ident(), []

    def called():
        result = plain()
        if threading.get_ident() == mine and not done:
            done.append(True)
            after()
        return result

    monkeypatch.setattr(garbage.gc, name, called)


def in_a_thread(do):
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def test_a_pause_that_begins_while_another_one_ends(monkeypatch):
    seen, inside, leave = [], threading.Event(), threading.Event()

    def pause():
        with no_collection():
            seen.append(gc.isenabled())
            inside.set()
            leave.wait(30)

    def begin():
        threads.append(in_a_thread(pause))
        assert not inside.wait(0.1)  # it waits until this one has seen it

    threads = []
    step_by_step(monkeypatch, "enable", begin)
    with no_collection():
        pass
    assert inside.wait(30)
    assert (seen, gc.isenabled()) == ([False], False)
    leave.set()
    threads[0].join()
    assert gc.isenabled()


def test_a_pause_that_ends_while_another_one_begins(monkeypatch):
    """The new one has seen that collection is disabled, and the old one has to leave it so."""
    begun, leave = threading.Event(), threading.Event()

    def pause():
        with no_collection():
            begun.set()
            leave.wait(30)

    def end():
        leave.set()
        thread.join()

    thread = in_a_thread(pause)
    assert begun.wait(30)
    step_by_step(monkeypatch, "isenabled", end)
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_pause_waits_no_longer_than_the_longest_for_one_that_never_ends(monkeypatch):
    monkeypatch.setattr(garbage, "_LONGEST_WAIT", 0.05)
    monkeypatch.setattr(garbage, "_ending", {(0, object())})
    begun = time.monotonic()
    with no_collection():
        assert 0.05 <= time.monotonic() - begun < 10


def test_a_collection_under_way_is_waited_for():
    collecting, finish, paused = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        def __del__(self):
            collecting.set()
            finish.wait(30)

    def collect():
        ring = [Slow()]
        ring.append(ring)
        del ring
        gc.collect()

    def pause():
        with no_collection_at_all():
            paused.set()

    with no_collection_at_all():  # from now on collections are seen
        pass
    one, other = threading.Thread(target=collect), threading.Thread(target=pause)
    one.start()
    assert collecting.wait(30)
    other.start()
    assert not paused.wait(0.2)
    finish.set()
    assert paused.wait(30)
    one.join()
    other.join()


def test_a_pause_inside_a_collection_waits_for_nothing():
    seen = []

    class Reads:
        def __del__(self):
            with no_collection_at_all():
                seen.append(True)

    ring = [Reads()]
    ring.append(ring)
    del ring
    gc.collect()
    assert seen == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_collects():
    with no_collection_at_all():
        child = os.fork()
        if child == 0:
            os._exit(0 if gc.isenabled() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
