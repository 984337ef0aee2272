"""The key–value service: its calls, and who is missing."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from covector.distributed.client import StoreClient
from covector.distributed.errors import (
    DistributedError,
    ForeignMessageError,
    ProcessFailedError,
    ProcessTimeoutError,
)
from covector.distributed.store import StoreServer
from covector.distributed.wire import Decoder, encode


@pytest.fixture
def server():
    server = StoreServer("127.0.0.1", 0, 3, 60.0)
    yield server
    server.stop()


def client(server, rank, size=3, silence=60.0):
    return StoreClient("127.0.0.1", server.port, rank, size, 60.0, silence)


@pytest.fixture
def clients(server):
    found = [client(server, rank) for rank in range(3)]
    yield found
    for c in found:
        c.leave()


def test_values(clients):
    a, b, _ = clients
    a.set("x", b"1")
    assert b.get("x", 60) == b"1"
    a.set("x", b"")
    assert b.get("x", 60) == b""
    big = bytes(range(256)) * 20000
    b.set("big", big)
    assert a.get("big", 5) == big


def test_a_value_is_waited_for(clients):
    a, b, c = clients
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(x.get, "late", 10) for x in (a, b)]
        time.sleep(0.1)
        assert not found[0].done()
        c.set("late", b"there")
        assert [f.result(60) for f in found] == [b"there"] * 2
    with pytest.raises(ProcessTimeoutError, match="nobody has set 'never' within 0.2 s"):
        a.get("never", 0.2)
    c.set("never", b"x")
    assert a.get("never", 60) == b"x"


def test_barriers(clients):
    with ThreadPoolExecutor() as pool:
        for _ in range(3):
            found = [pool.submit(c.barrier, "here", 60) for c in clients]
            for f in found:
                f.result(60)


def test_a_barrier_says_who_is_missing(clients):
    a, b, c = clients
    with ThreadPoolExecutor() as pool:
        other = pool.submit(b.barrier, "second", 30)
        first = pool.submit(a.barrier, "first", 0.5)
        with pytest.raises(ProcessTimeoutError) as e:
            first.result(60)
        assert "at the barrier 'first' there was no process 1 (" in str(e.value)
        assert "it waits at 'second'), no process 2 (" in str(e.value)
        rest = [pool.submit(x.barrier, "second", 60) for x in (a, c)]
        for f in (other, *rest):
            f.result(60)


def test_a_process_that_never_comes(server):
    a, b = client(server, 0), client(server, 1)
    with pytest.raises(ProcessTimeoutError, match=r"no process 2 \(it has not started\)"):
        with ThreadPoolExecutor() as pool:
            other = pool.submit(b.barrier, "start", 60)
            try:
                a.barrier("start", 0.3)
            finally:
                with pytest.raises(ProcessTimeoutError):
                    other.result(60)
    a.leave(), b.leave()


def test_who_may_join(server):
    a = client(server, 1)
    with pytest.raises(DistributedError, match="there is a process 1 already .*pid"):
        client(server, 1)
    with pytest.raises(DistributedError, match="one of 4, the coordinator as one of 3"):
        client(server, 2, size=4)
    with pytest.raises(DistributedError, match="no process 7 among 3"):
        client(server, 7)
    a.leave()


def test_a_port_in_use(server):
    with pytest.raises(DistributedError, match="is in use.*choose another port"):
        StoreServer("127.0.0.1", server.port, 2, 1.0)
    with pytest.raises(DistributedError, match="no address of this machine"):
        StoreServer("192.0.2.1", 0, 2, 1.0)


def test_nobody_at_the_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    before = time.monotonic()
    with pytest.raises(ProcessTimeoutError, match=f"reach the coordinator at 127.0.0.1:{port}"):
        StoreClient("127.0.0.1", port, 1, 2, 0.5, 1.0)
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad request\r\n\r\n", b"", None])
def test_another_program_at_the_address(answer):
    """It answers something, closes the connection, or says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve():
            conn, _ = listener.accept()
            held.append(conn)
            conn.recv(4096)
            if answer is not None:
                conn.sendall(answer)
                conn.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DistributedError, match="is no coordinator of Covector"):
            StoreClient("127.0.0.1", listener.getsockname()[1], 1, 2, 1.0, 1.0)
        thread.join()
        for conn in held:
            conn.close()


def test_other_programs_that_call(server):
    a = client(server, 0)
    for data in (
        b"GET / HTTP/1.0\r\n\r\n", b"\x80\x04\x95", b"CVD1\xff\xff\xff\xff\xff\xff\xff\xff",
        encode({"op": "set", "key": "x"}, b"1"), encode({"op": "beat"}), encode({}),
        encode({"op": "watch", "rank": 0, "token": "wrong"}),
        b"CVD1\x00\x00\x00\x02\x00\x00\x00\x00[]",
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(data)
            s.settimeout(5)
            assert data == b"\x80\x04\x95" or s.recv(10) == b""
    a.set("y", b"2")
    assert a.get("y", 1) == b"2"
    with pytest.raises(ProcessTimeoutError):
        a.get("x", 0.1)
    a.leave()


def test_messages_in_pieces():
    data = encode({"a": [1, "ä"]}, b"12") + encode({}, b"")
    decoder = Decoder()
    found = [m for i in range(len(data)) for m in decoder.feed(data[i : i + 1])]
    assert [(m.head, m.body) for m in found] == [({"a": [1, "ä"]}, b"12"), ({}, b"")]
    with pytest.raises(ForeignMessageError):
        list(Decoder().feed(b"CVD2...."))
    with pytest.raises(ValueError, match="at most"):
        encode({"x": "y" * 70000})


def test_a_process_that_falls_silent():
    """Its connection stays, but nothing comes over it."""
    server = StoreServer("127.0.0.1", 0, 3, 3.0)
    a, b, c = (client(server, rank, silence=1.0) for rank in range(3))
    try:
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(a.get, "never", 60)
            c.watch._closing = True  # ends the thread; the socket stays open
            with pytest.raises(ProcessFailedError, match="process 2 .* not answered for 3 s") as e:
                waiting.result(60)
        assert e.value.process == 2
        with pytest.raises(ProcessFailedError, match="process 2"):
            b.barrier("x", 60)
        with pytest.raises(ProcessFailedError, match="process 2"):
            b.watch.verdict(60)
    finally:
        for member in (a, b, c):
            member.leave()
        server.stop()


def test_a_process_whose_connection_ends(clients):
    a, b, c = clients
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(a.barrier, "x", 60)
        time.sleep(0.1)
        c.watch._closing = True
        c.watch._sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ProcessFailedError, match="process 2 .* has ended"):
            waiting.result(60)


def test_a_coordinator_that_ends(clients, server):
    a, _, _ = clients
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(a.get, "never", 60)
        time.sleep(0.1)
        server.stop()
        with pytest.raises(ProcessFailedError, match="process 0, the coordinator") as e:
            waiting.result(60)
    assert e.value.process == 0


def test_leaving_is_no_failure(server, clients):
    a, b = clients[:2]
    clients.pop().leave()
    a.set("x", b"1")
    assert b.get("x", 60) == b"1"
    assert a.watch.failure is None
    assert server.wait_until_all_left(0.1) == [1]
    clients.remove(b)
    b.leave()
    assert server.wait_until_all_left(60) == []
