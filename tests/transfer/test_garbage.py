"""No collection begins in a pause, and the one under way has ended before."""

import gc
import os
import threading

import pytest

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
    def often():
        for _ in range(3000):
            with no_collection():
                assert not gc.isenabled()

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


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
