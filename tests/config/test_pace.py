from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from config.pace import Limits, PacedSocket, Patience, TooSlow

LIMITS = Limits(seconds=10, pace=100, total=60)
QUICK = Limits(seconds=0.3, pace=100_000, total=60)


class TestPatience:
    def test_ends_where_nothing_comes(self) -> None:
        patience = Patience(LIMITS)
        patience.account(waited=9, moved=0)
        assert patience.left == 1
        patience.account(waited=1, moved=0)
        with pytest.raises(TooSlow):
            _ = patience.left

    def test_ends_where_bytes_drip(self) -> None:
        patience = Patience(LIMITS)
        for _ in range(3):
            patience.account(waited=3.3, moved=1)
        assert patience.left < 0.2

    def test_lasts_as_long_as_the_pace_is_kept(self) -> None:
        patience = Patience(LIMITS)
        for _ in range(1000):
            patience.account(waited=9, moved=900)
        assert patience.left == 10

    def test_nothing_is_saved_up(self) -> None:
        patience = Patience(LIMITS)
        patience.account(waited=0, moved=1_000_000)
        assert patience.left == 10

    def test_a_total_ends_it_at_any_pace(self) -> None:
        patience = Patience(LIMITS, LIMITS.total)
        for _ in range(60):
            assert patience.left > 0
            patience.account(waited=1, moved=1_000_000)
        with pytest.raises(TooSlow):
            _ = patience.left


class TestSockets:
    @pytest.fixture
    def client(self) -> Iterator[socket.socket]:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            yield sock

    @pytest.fixture
    def ours(self, client: socket.socket) -> Iterator[PacedSocket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client.connect(listener.getsockname())
            with PacedSocket.adopt(listener.accept()[0], QUICK) as ours:
                yield ours

    def test_nothing_comes(self, ours: PacedSocket) -> None:
        with pytest.raises(TooSlow):
            ours.recv(1)

    def test_what_is_there_is_read_and_an_end_is_an_end(
        self, ours: PacedSocket, client: socket.socket
    ) -> None:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert ours.recv(100) == b"hello"
        assert ours.recv(100) == b""

    def test_our_own_work_costs_the_client_nothing(self, ours: PacedSocket, client: socket.socket) -> None:
        client.sendall(b"a")
        ours.recv(1)
        time.sleep(QUICK.seconds * 2)
        client.sendall(b"b")
        assert ours.recv(1) == b"b"

    def test_a_client_that_is_too_slow_stays_so_until_another_request_begins(
        self, ours: PacedSocket, client: socket.socket
    ) -> None:
        with pytest.raises(TooSlow):
            ours.recv(1)
        client.sendall(b"a")
        with pytest.raises(TooSlow):
            ours.recv(1)
        ours.begin()
        assert ours.recv(1) == b"a"

    def test_nobody_reads(self, ours: PacedSocket) -> None:
        """The kernel takes megabytes before a write waits: they are no progress of the client's."""
        with pytest.raises(TooSlow):
            ours.sendall(bytes(50_000_000))

    def test_a_thin_line_goes_on_while_the_kernel_has_no_room(
        self, ours: PacedSocket, client: socket.socket
    ) -> None:
        """No write goes through until much of its megabytes has: longer than anybody is waited for."""
        ours.limits = Limits(seconds=1, pace=100_000, total=60)
        ours.begin()
        data, done = bytes(4_000_000), threading.Event()

        def read() -> None:
            while client.recv(30_000, socket.MSG_WAITALL):
                done.wait(0.1)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            ours.sendall(data)
        finally:
            done.set()
            ours.close()
            reader.join()

    def test_everything_arrives_once_and_in_order(self, ours: PacedSocket, client: socket.socket) -> None:
        data, got = bytes(range(256)) * 20_000, bytearray()

        def read() -> None:
            while piece := client.recv(1 << 16):
                got.extend(piece)

        reader = threading.Thread(target=read)
        reader.start()
        ours.sendall(data)
        ours.sendall(memoryview(b"end"))
        ours.shutdown(socket.SHUT_WR)
        reader.join()
        assert bytes(got) == data + b"end"
