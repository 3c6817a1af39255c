import errno
import resource
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from gunicorn.config import Config
from gunicorn.workers import gthread

from config import gunicorn
from imagegen.errors import TooBusy
from imagegen.landing import Slots
from imagegen.waiting import WaitingRoom
from tests.config.production import SECRETS, run


@pytest.fixture
def limits(monkeypatch):
    """Sets this process's limit of descriptors as the arbiter sees it, and collects what it asks for."""
    asked = []

    def pretend(soft, hard):
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: asked.append((kind, limits)))
        return asked

    return pretend


def test_too_few_descriptors_refuse_the_start(limits):
    limits(1024, 4095)
    with pytest.raises(SystemExit, match=r"^Easel cannot start: it may open 4095 files and needs 4096\."):
        gunicorn.on_starting(None)


def test_the_limit_is_raised_to_what_is_allowed(limits):
    asked = limits(1024, 100_000)
    gunicorn.on_starting(None)
    assert asked == [(resource.RLIMIT_NOFILE, (100_000, 100_000))]


def test_a_limit_that_is_high_already_stays(limits):
    asked = limits(8192, 8192)
    gunicorn.on_starting(None)
    assert asked == []


@pytest.fixture
def worker(monkeypatch):
    """A worker that has not begun to serve."""
    room = WaitingRoom()
    monkeypatch.setattr("imagegen.waiting.room", room)
    config = Config()
    config.set("worker_class", gunicorn.Worker)
    made = gunicorn.Worker(0, 0, [], SimpleNamespace(), 1, config, SimpleNamespace(debug=print))
    made.place = 1
    yield made, room
    made.tmp.close()


def test_stopping_refuses_new_generations_and_lets_others_finish(worker):
    worker, room = worker
    worker.method_queue = SimpleNamespace(defer=lambda callback: None)
    with room.place():
        worker.handle_exit(signal.SIGTERM, None)
        assert room.inside == 1 and not worker.alive
        with pytest.raises(TooBusy, match="restarting") as refused, room.place():
            pass
    assert refused.value.retry_after
    assert room.inside == 0


def test_while_stopping_it_looks_up_every_second(worker):
    worker, _ = worker
    waits = []
    worker.poller = SimpleNamespace(select=lambda timeout: waits.append(timeout) or [])
    for timeout in (120.0, 0.3):
        worker.wait_for_and_dispatch_events(timeout)
    assert waits == [1.0, 0.3]


@pytest.fixture
def connected(monkeypatch):
    """What each worker has; the one under test is at place 1."""
    counts = [gunicorn.NOT_HERE] * 4
    monkeypatch.setattr(gunicorn, "connected", counts)
    return counts


@pytest.mark.parametrize(("own", "others", "waits"), [(3, 2, True), (2, 2, False), (0, 5, False)])
def test_who_has_more_connections_leaves_one_to_others(worker, connected, monkeypatch, own, others, waits):
    worker, _ = worker
    slept = []
    monkeypatch.setattr(gunicorn.time, "sleep", slept.append)
    connected[0] = others
    worker.nr_conns = own
    worker.accept(Mock(accept=Mock(side_effect=BlockingIOError(errno.EAGAIN, "another took it"))))
    assert slept == [gunicorn.LEFT_TO_OTHERS] * waits


@pytest.mark.parametrize("accepts", [True, False])
def test_who_takes_no_connections_is_waited_for_by_nobody(worker, connected, monkeypatch, accepts):
    worker, _ = worker
    monkeypatch.setattr(gthread.ThreadWorker, "wait_for_and_dispatch_events", Mock())
    worker.nr_conns, worker._accepting = 7, accepts
    worker.wait_for_and_dispatch_events(1)
    assert connected[1] == (7 if accepts else gunicorn.NOT_HERE)


def test_a_dead_worker_is_waited_for_by_nobody(connected):
    connected[1] = 0
    gunicorn.child_exit(None, SimpleNamespace(place=1, slots=Slots(0)))
    assert connected[1] == gunicorn.NOT_HERE


def test_what_a_dead_worker_had_is_kept_or_said_to_be_lost(connected, settings, tmp_path):
    slots, server = Slots(3), Mock()
    for name in ("one.answer", "no-such-folder/two.answer"):
        slots.take(3).fill(name, [b"abc"])
    settings.EASEL_INCOMING_DIR = tmp_path
    gunicorn.child_exit(server, SimpleNamespace(place=1, slots=slots))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("one.answer", b"abc")]
    ((_, kept),), ((_, lost, why),) = (
        (call.args for call in server.log.warning.call_args_list),
        (call.args for call in server.log.error.call_args_list),
    )
    assert (kept, lost) == ("one.answer", "no-such-folder/two.answer") and why.errno == errno.ENOENT


def test_a_new_worker_does_not_hold_the_memory_of_others():
    """Else it would stay taken when they are gone."""
    mine, other = Slots(1), Slots(1)
    slot = other.take(1)
    server = SimpleNamespace(WORKERS={7: SimpleNamespace(slots=other)})
    gunicorn.post_fork(server, SimpleNamespace(place=1, slots=mine))
    assert slot.memory.closed and not mine.take(1).memory.closed


def test_what_gunicorn_is_told():
    assert gunicorn.bind == "127.0.0.1:8005"
    assert (gunicorn.workers, gunicorn.threads, gunicorn.worker_connections) == (2, 800, 2000)
    assert (gunicorn.graceful_timeout, gunicorn.forwarded_allow_ips) == (120, "")


@pytest.mark.parametrize(("served", "watches"), [("config.wsgi", True), ("string", False)])
def test_overdue_generations_are_watched_for_where_easel_is_served(tmp_path, served, watches):
    """Not where bench/floor.py borrows this configuration."""
    program = (
        f"import {served}, threading, types; from config import gunicorn\n"
        "worker = types.SimpleNamespace(place=0, slots=gunicorn.landing.Slots())\n"
        "def watching(): return any(thread.name == 'overdue' for thread in threading.enumerate())\n"
        "gunicorn.post_worker_init(worker); print(watching())\n"
        "gunicorn.worker_exit(None, worker); print(watching())\n"
    )
    ended = run(tmp_path, "-c", program, **SECRETS)
    assert ended.stdout.split() == [str(watches), "False"], ended.stderr
