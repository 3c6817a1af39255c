import threading
from contextlib import ExitStack

import pytest

from imagegen.errors import TooBusy
from imagegen.waiting import WaitingRoom


def test_processes_count_together(settings):
    settings.EASEL_MAX_WAITING, settings.EASEL_THREADS = 3, 100
    counts, one, other = [0, 0], WaitingRoom(), WaitingRoom()
    one.share(counts, 0)
    other.share(counts, 1)
    with one.place(), one.place(), other.place():
        with pytest.raises(TooBusy), other.place():
            pass
        assert (counts, one.inside, other.inside) == ([2, 1], 3, 3)
    assert counts == [0, 0]


def test_a_process_keeps_threads_for_the_rest(settings):
    settings.EASEL_MAX_WAITING, settings.EASEL_THREADS = 100, 16
    room = WaitingRoom()
    with ExitStack() as inside:
        for _ in range(15):
            inside.enter_context(room.place())
        with pytest.raises(TooBusy), room.place():
            pass


def test_beyond_the_ceiling_is_refused_at_once(settings):
    settings.EASEL_MAX_WAITING = 2
    room = WaitingRoom()
    with room.place(), room.place():
        with pytest.raises(TooBusy, match="Too many") as refused, room.place():
            pass
        assert (room.inside, refused.value.retry_after) == (2, 5)
    with room.place():
        assert room.inside == 1


def test_a_place_is_given_back_whatever_happens():
    room = WaitingRoom()
    with pytest.raises(KeyError), room.place():
        raise KeyError
    assert room.inside == 0


def test_a_closed_room_takes_nobody_and_lets_everybody_out():
    room = WaitingRoom()
    with room.place():
        room.close()
        with pytest.raises(TooBusy, match="restarting"), room.place():
            pass
    assert room.inside == 0


def test_a_crowd_never_exceeds_the_ceiling(settings):
    settings.EASEL_MAX_WAITING = 5
    room, barrier, inside, refused = WaitingRoom(), threading.Barrier(40), [], []

    def come():
        barrier.wait()
        try:
            with room.place():
                inside.append(room.inside)
        except TooBusy:
            refused.append(1)

    threads = [threading.Thread(target=come) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) + len(refused) == 40
    assert max(inside) <= 5 and room.inside == 0
