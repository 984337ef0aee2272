"""The key–value service at the coordinator: how processes find each other, and notice failures.

One thread serves all connections. A process has two of them: over one it calls (set, get, wait at
a barrier), over the other it says at intervals that it is there, and hears who is not. A process
has failed if that connection ends without a farewell, or if nothing comes over it for too long.
From then on every call is answered by that failure.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from covector.distributed.errors import DistributedError, ForeignMessageError
from covector.distributed.wire import Decoder, Message, encode

VERSION = 1
# What plugins of accelerators are told, by absl's numbers: they call from native code, which reads
# a number and the bytes behind it.
_CODES = {"timeout": 4, "absent": 5, "failure": 14}


class Member:
    """A process that has joined."""

    def __init__(self, host: str, pid: int) -> None:
        self.host, self.pid = host, pid
        self.heard: float | None = None  # none before its first sign of life
        self.left = False
        self.lost = False  # whether it has ended, or does not answer

    def __str__(self) -> str:
        return f"{self.host}, pid {self.pid}"


class Connection:
    """A connection to a process: what comes in, what is still to go out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.decoder = Decoder()
        self.out = bytearray()
        self.rank: int | None = None
        self.watched = False  # whether its end is the end of the process
        self.native = False  # whether it is answered by a number


class Waiting(NamedTuple):
    """A call that is answered later."""

    connection: Connection
    key: str
    deadline: float


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that takes connections; port 0 is any that is free.

    Raises
    ------
    DistributedError
        If the port is in use, or the address none of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, proto)
    except OSError as e:
        raise DistributedError(f"{host!r} is no address to listen at: {e}") from None
    try:
        # A port whose last connections are still closing is free; one with a listener is not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError as e:
        sock.close()
        if e.errno == errno.EADDRINUSE:
            why = "is in use, perhaps by a job that still runs; choose another port"
        elif e.errno == errno.EADDRNOTAVAIL:
            why = "is no address of this machine; the process with number 0 runs at the coordinator"
        else:
            why = f"cannot be listened at: {e}"
        raise DistributedError(f"{host or '*'}:{port} {why}") from None
    return sock


class StoreServer:
    """The service, in a thread of the coordinator.

    Parameters
    ----------
    host, port
        Where it listens; an empty host is all addresses of the machine, port 0 any free port.
    size : int
        How many processes there are.
    silence : float
        Seconds without a sign of life after which a process has failed.
    """

    def __init__(self, host: str, port: int, size: int, silence: float) -> None:
        self.size, self.silence = size, silence
        self.token = secrets.token_hex(16)
        self._listener = listen(host, port, 2 * size + 8)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._values: dict[str, bytes] = {}
        self._members: dict[int, Member] = {}
        self._connections: set[Connection] = set()
        self._gets: list[Waiting] = []
        self._barriers: dict[str, dict[int, Waiting]] = {}
        self._failure: dict[str, Any] | None = None
        self._changed = threading.Condition()
        self._stop = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        self._thread = threading.Thread(target=self._serve, name="covector store", daemon=True)
        self._thread.start()

    # --- for the coordinator

    def wait_until_all_left(self, timeout: float) -> list[int]:
        """Wait for all other processes' farewell; the numbers of those that have not come to it.

        After a failure others have still to hear of it, but the wait is short.
        """

        def remaining() -> list[int]:
            return [r for r in range(1, self.size) if not self._is_gone(r)]

        deadline = time.monotonic() + timeout
        with self._changed:
            while remaining() and time.monotonic() < deadline:
                if self._failure is not None:
                    deadline = min(deadline, time.monotonic() + 2 * self.silence)
                    self._changed.wait_for(lambda: not remaining(), deadline - time.monotonic())
                    break
                self._changed.wait(deadline - time.monotonic())
            return [] if self._failure is not None else remaining()

    def stop(self) -> None:
        """End the thread and close all connections."""
        self._stop = True
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        self._thread.join(10)

    def close_inherited(self) -> None:
        """Close what a forked process has no use for; the thread is not in it."""
        for sock in (self._listener, self._wake, self._woken, *(c.sock for c in self._connections)):
            sock.close()
        self._selector.close()

    def _is_gone(self, rank: int) -> bool:
        member = self._members.get(rank)
        return member is not None and (member.left or member.lost)

    # --- the thread

    def _serve(self) -> None:
        period = min(self.silence / 4, 1.0)
        last = time.monotonic()
        while not self._stop:
            for key, events in self._selector.select(period):
                key.data(key.fileobj, events)
            now = time.monotonic()
            if now - last > max(self.silence / 2, 2 * period):
                # This process was stopped itself: what others said meanwhile is still to be read.
                for member in self._members.values():
                    if member.heard is not None:
                        member.heard = now
            last = now
            self._look_for_silence(now)
            self._expire(now)
        self._flush_all()
        for connection in list(self._connections):
            self._close(connection)
        self._listener.close()
        self._wake.close()
        self._woken.close()
        self._selector.close()

    def _drain(self, sock: Any, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            sock.recv(64)

    def _accept(self, listener: Any, events: int) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, self._ready(connection))

    def _ready(self, connection: Connection) -> Callable[[Any, int], None]:
        def ready(sock: Any, events: int) -> None:
            if events & selectors.EVENT_WRITE:
                self._flush(connection)
            if events & selectors.EVENT_READ:
                self._read(connection)

        return ready

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(connection)
            return
        try:
            for message in connection.decoder.feed(data):
                self._answer(connection, message)
        except (ForeignMessageError, KeyError, TypeError, ValueError):
            # Some other program has come to this port: it is no concern of the job.
            self._close(connection)

    def _lost(self, connection: Connection) -> None:
        rank = connection.rank
        self._close(connection)
        if connection.watched and rank is not None and not self._members[rank].left:
            self._lose(rank)
            self._fail(rank, f"process {rank} ({self._members[rank]}) has ended", "ended")

    def _close(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._selector.unregister(connection.sock)
            connection.sock.close()

    def _flush(self, connection: Connection) -> None:
        try:
            while connection.out:
                del connection.out[: connection.sock.send(connection.out)]
        except BlockingIOError:
            pass
        except OSError:
            connection.out.clear()  # its end is noticed by reading
        if connection in self._connections:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.out else 0)
            self._selector.modify(connection.sock, events, self._ready(connection))

    def _flush_all(self) -> None:
        deadline = time.monotonic() + 1.0
        while any(c.out for c in self._connections) and time.monotonic() < deadline:
            for connection in list(self._connections):
                self._flush(connection)
            time.sleep(0.005)

    def _say(self, connection: Connection, head: dict[str, Any], body: bytes = b"") -> None:
        connection.out += encode(head, body)
        self._flush(connection)

    def _refuse(self, connection: Connection, kind: str, text: str, **more: Any) -> None:
        if connection.native:
            self._say(connection, {"code": _CODES[kind]}, text.encode())
        else:
            self._say(connection, {"error": kind, "text": text, **more})

    def _grant(self, connection: Connection, value: bytes = b"") -> None:
        self._say(connection, {"code": 0} if connection.native else {"ok": True}, value)

    # --- failures

    def _look_for_silence(self, now: float) -> None:
        for rank, member in list(self._members.items()):
            if member.heard is not None and not member.left and now - member.heard > self.silence:
                text = (
                    f"process {rank} ({member}) has not answered for {self.silence:g} s: it hangs, "
                    "is stopped, or its machine cannot be reached"
                )
                self._lose(rank)
                self._fail(rank, text, "silent")

    def _lose(self, rank: int) -> None:
        with self._changed:
            self._members[rank].lost = True
            self._changed.notify_all()

    def _fail(self, rank: int, text: str, kind: str) -> None:
        if self._failure is not None:
            return
        with self._changed:
            self._failure = {"process": rank, "text": text, "kind": kind}
            self._changed.notify_all()
        for connection in list(self._connections):
            if connection.watched:
                self._say(connection, {"failure": self._failure})
        for waiting in self._gets:
            self._refuse(waiting.connection, "failure", text, failure=self._failure)
        for waitings in self._barriers.values():
            for waiting in waitings.values():
                self._refuse(waiting.connection, "failure", text, failure=self._failure)
        self._gets.clear()
        self._barriers.clear()

    def _expire(self, now: float) -> None:
        for waiting in [w for w in self._gets if now > w.deadline]:
            self._gets.remove(waiting)
            self._refuse(waiting.connection, "timeout", f"nobody has set {waiting.key!r}")
        for name, waitings in list(self._barriers.items()):
            if any(now > w.deadline for w in waitings.values()):
                del self._barriers[name]
                text = self._missing(name, waitings)
                for waiting in waitings.values():
                    self._refuse(waiting.connection, "timeout", text)

    def _missing(self, name: str, there: dict[int, Waiting]) -> str:
        elsewhere = {r: other for other, ws in self._barriers.items() for r in ws}
        parts = []
        for rank in range(self.size):
            if rank in there:
                continue
            member = self._members.get(rank)
            if member is None:
                parts.append(f"process {rank} (it has not started)")
            elif member.left:
                parts.append(f"process {rank} ({member}; it has shut down)")
            elif rank in elsewhere:
                parts.append(f"process {rank} ({member}; it waits at {elsewhere[rank]!r})")
            else:
                parts.append(f"process {rank} ({member})")
        return f"at the barrier {name!r} there was no {', no '.join(parts)}"

    # --- calls

    def _answer(self, connection: Connection, message: Message) -> None:
        head = message.head
        op = head["op"]
        if op == "join":
            self._join(connection, head)
            return
        if head.get("token") != self.token and connection.rank is None:
            raise ForeignMessageError("a call by no member")
        connection.native = op in ("kv_get", "kv_try_get", "kv_put")
        if op == "watch":
            self._watch(connection, head)
        elif op == "beat":
            self._members[self._rank(connection)].heard = time.monotonic()
            self._say(connection, {"beat": True})
        elif op == "bye":
            self._leave(self._rank(connection))
            self._say(connection, {"ok": True})
        elif op == "report":
            self._fail(int(head["process"]), str(head["text"]), str(head["kind"]))
            self._say(connection, {"ok": True})
        elif self._failure is not None:
            self._refuse(connection, "failure", self._failure["text"], failure=self._failure)
        elif op == "set":
            self._set(connection, str(head["key"]), message.body)
        elif op == "get":
            self._get(connection, str(head["key"]), float(head["timeout"]))
        elif op == "barrier":
            self._arrive(connection, str(head["name"]), float(head["timeout"]))
        elif connection.native:
            self._answer_plugin(connection, head, message.body)
        else:
            raise ForeignMessageError(f"an unknown call {op!r}")

    @staticmethod
    def _rank(connection: Connection) -> int:
        if connection.rank is None:
            raise ForeignMessageError("a call by no member")
        return connection.rank

    def _join(self, connection: Connection, head: dict[str, Any]) -> None:
        rank, size = int(head["rank"]), int(head["size"])
        who = Member(str(head["host"]), int(head["pid"]))
        if rank in self._members and self._members[rank].left:
            # It has come for the next job, before the coordinator has ended this one.
            self._refuse(connection, "early", "the last job is not over")
            return
        if head["version"] != VERSION:
            text = f"the coordinator speaks version {VERSION} of the protocol, this process " + (
                f"{head['version']}: all need the same version of Covector"
            )
        elif size != self.size:
            text = (
                f"process {rank} was started as one of {size}, the coordinator as one of "
                f"{self.size}: num_processes must be the same for all"
            )
        elif not 0 <= rank < size:
            text = f"there is no process {rank} among {size}"
        elif rank in self._members:
            text = (
                f"there is a process {rank} already ({self._members[rank]}): process_id must "
                "differ for each"
            )
        elif head["byteorder"] != sys.byteorder:
            text = "processes on machines of different byte order cannot compute together"
        else:
            self._members[rank] = who
            connection.rank = rank
            self._say(connection, {"ok": True, "token": self.token})
            return
        self._refuse(connection, "refused", text)

    def _watch(self, connection: Connection, head: dict[str, Any]) -> None:
        rank = int(head["rank"])
        self._members[rank].heard = time.monotonic()
        connection.rank, connection.watched = rank, True
        self._say(connection, {"beat": True})
        if self._failure is not None:
            self._say(connection, {"failure": self._failure})

    def _leave(self, rank: int) -> None:
        with self._changed:
            self._members[rank].left = True
            self._changed.notify_all()
        # Whoever waits for it will wait in vain, but only its own deadline says so: it may be that
        # nobody waits for it in particular.

    def _set(self, connection: Connection, key: str, value: bytes) -> None:
        self._values[key] = value
        self._grant(connection)
        for waiting in [w for w in self._gets if w.key == key]:
            self._gets.remove(waiting)
            self._grant(waiting.connection, value)

    def _get(self, connection: Connection, key: str, timeout: float) -> None:
        if key in self._values:
            self._grant(connection, self._values[key])
        else:
            self._gets.append(Waiting(connection, key, time.monotonic() + timeout))

    def _answer_plugin(self, connection: Connection, head: dict[str, Any], body: bytes) -> None:
        """What a plugin calls (``native/pjrt/store.cc``); its keys are bytes, before the value."""
        size = int(head["key_size"])
        key = body[:size].decode("latin-1")
        if head["op"] == "kv_put":
            self._set(connection, key, body[size:])
        elif head["op"] == "kv_get" or key in self._values:
            self._get(connection, key, int(head["milliseconds"]) / 1000)
        else:
            self._refuse(connection, "absent", f"nobody has set {key!r}")

    def _arrive(self, connection: Connection, name: str, timeout: float) -> None:
        there = self._barriers.setdefault(name, {})
        there[self._rank(connection)] = Waiting(connection, name, time.monotonic() + timeout)
        if len(there) == self.size:
            del self._barriers[name]
            for waiting in there.values():
                self._say(waiting.connection, {"ok": True})


def identity() -> dict[str, Any]:
    """What a process says of itself when it joins."""
    return {
        "version": VERSION,
        "byteorder": sys.byteorder,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
