"""A process's side of the key–value service: its calls, and the watch over the others."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from covector.distributed.errors import (
    CollectiveMismatchError,
    DistributedError,
    ForeignMessageError,
    ProcessFailedError,
    ProcessTimeoutError,
)
from covector.distributed.store import identity
from covector.distributed.wire import Decoder, Message, connect, encode, readable

# How much longer than a call's own time-out its answer may take.
_GRACE = 10.0


def failure_of(found: dict[str, Any]) -> DistributedError:
    """The error for what the coordinator says has failed."""
    if found["kind"] == "mismatch":
        return CollectiveMismatchError(found["text"])
    return ProcessFailedError(found["text"], int(found["process"]))


class Watch:
    """Says at intervals that this process is there, and hears of failures of others.

    Attributes
    ----------
    failure : DistributedError or None
        The first that was heard of.
    wake : socket
        Readable from the first failure on, for those who wait for several things.
    """

    def __init__(self, host: str, port: int, rank: int, token: str, silence: float) -> None:
        self.failure: DistributedError | None = None
        self.wake, self._alarm = socket.socketpair()
        self._silence = silence
        self._where = f"{host}:{port}"
        self._sock = connect(host, port, time.monotonic() + _GRACE)
        self._sock.sendall(encode({"op": "watch", "rank": rank, "token": token}))
        self._closing = False
        self._failed = threading.Event()
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="covector watch", daemon=True)
        self._thread.start()

    def fail(self, error: DistributedError) -> None:
        """Note a failure, if it is the first, and wake those who wait."""
        with self._lock:
            if self.failure is not None:
                return
            self.failure = error
            listeners = list(self._listeners)
        self._failed.set()
        for listener in listeners:
            listener()
        with contextlib.suppress(OSError):
            self._alarm.send(b"x")

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a function called at the first failure, at once if it was before."""
        with self._lock:
            self._listeners.append(listener)
            if self.failure is None:
                return
        listener()

    def forget(self, listener: Callable[[], None]) -> None:
        """Call it no longer."""
        with self._lock, contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def check(self) -> None:
        """Raise the failure, if there is one."""
        if self.failure is not None:
            # A new object each time: one that was raised has the traceback of then.
            error = self.failure
            if isinstance(error, ProcessFailedError):
                raise ProcessFailedError(str(error), error.process)
            raise type(error)(str(error))

    def verdict(self, timeout: float) -> None:
        """Wait until the coordinator says what has failed, and raise it."""
        self._failed.wait(timeout)
        self.check()

    def close_soon(self) -> None:
        """Take no end of the coordinator for a failure from now on."""
        self._closing = True

    def stop(self) -> None:
        """End the thread."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._sock.close()

    def close_inherited(self) -> None:
        """Close what a forked process has no use for."""
        for sock in (self._sock, self.wake, self._alarm):
            sock.close()

    def _run(self) -> None:
        decoder = Decoder()
        period = min(self._silence / 5, 5.0)
        heard = time.monotonic()
        beat = encode({"op": "beat"})
        next_beat = heard
        try:
            while not self._closing:
                now = time.monotonic()
                if now >= next_beat:
                    self._sock.sendall(beat)
                    next_beat = now + period
                if readable([self._sock], next_beat - now):
                    data = self._sock.recv(1 << 16)
                    if not data:
                        raise ConnectionResetError
                    heard = time.monotonic()
                    for message in decoder.feed(data):
                        if "failure" in message.head:
                            self.fail(failure_of(message.head["failure"]))
                elif time.monotonic() - heard > self._silence:
                    text = (
                        f"process 0, the coordinator at {self._where}, has not answered for "
                        f"{self._silence:g} s: it hangs, is stopped, or cannot be reached"
                    )
                    self.fail(ProcessFailedError(text, 0))
                    return
        except (OSError, ForeignMessageError):
            if not self._closing:
                text = f"process 0, the coordinator at {self._where}, has ended"
                self.fail(ProcessFailedError(text, 0))


class StoreClient:
    """Calls of the key–value service.

    Parameters
    ----------
    host, port
        Where the coordinator is.
    rank, size : int
        Which process this is, of how many.
    timeout : float
        Seconds until it must have answered; `patience` in what processes do together later.
    silence : float
        Seconds without a sign of life after which a process has failed.
    """

    def __init__(
        self, host: str, port: int, rank: int, size: int, timeout: float, silence: float
    ) -> None:
        self.host, self.port, self.rank, self.size = host, port, rank, size
        self.patience = timeout
        self._lock = threading.Lock()
        self.watch: Watch | None = None
        deadline = time.monotonic() + timeout
        answer = self._join(deadline, timeout)
        while answer is None or answer.head.get("error") == "early" and time.monotonic() < deadline:
            # The last job at this address is just ending.
            self._sock.close()
            time.sleep(0.05)
            answer = self._join(deadline, timeout)
        if "error" in answer.head:
            self._sock.close()
            raise DistributedError(
                f"the coordinator at {host}:{port} refuses: {answer.head['text']}"
            )
        self.token: str = answer.head["token"]
        self.address: tuple[str, int] = self._sock.getpeername()[:2]
        self.local_host: str = self._sock.getsockname()[0]
        self.watch = Watch(host, port, rank, self.token, silence)

    def _join(self, deadline: float, timeout: float) -> Message | None:
        """Connect with the coordinator, and hear what it says to that; None if it has just gone."""
        where = f"{self.host}:{self.port}"
        self._decoder = Decoder()
        try:
            self._sock = connect(self.host, self.port, deadline)
        except OSError as e:
            raise ProcessTimeoutError(
                f"process {self.rank} could not reach the coordinator at {where} within "
                f"{timeout:g} s ({e}): process 0 must run there, and the port be open"
            ) from None
        try:
            return self._exchange(
                {"op": "join", "rank": self.rank, "size": self.size, **identity()},
                deadline=max(deadline, time.monotonic() + 1.0),
            )
        except (ForeignMessageError, OSError) as e:
            if isinstance(e, ConnectionError) and time.monotonic() < deadline:
                return None
            self._sock.close()
            raise DistributedError(
                f"what answers at {where} is no coordinator of Covector ({e or type(e).__name__}): "
                "is the port that of another program?"
            ) from None

    # --- calls

    def set(self, key: str, value: bytes) -> None:
        """Keep a value under a key, in place of what was there."""
        self._call({"op": "set", "key": key}, value)

    def get(self, key: str, timeout: float) -> bytes:
        """The value of a key, waited for until some process sets it.

        Raises
        ------
        ProcessTimeoutError
            If none has within ``timeout`` seconds.
        ProcessFailedError
            If a process fails meanwhile.
        """
        return self._call({"op": "get", "key": key, "timeout": timeout}, b"", timeout).body

    def barrier(self, name: str, timeout: float) -> None:
        """Wait until all processes wait at the barrier of that name.

        Raises
        ------
        ProcessTimeoutError
            If not all come within ``timeout`` seconds; it names those that are missing.
        ProcessFailedError
            If a process fails meanwhile.
        """
        self._call({"op": "barrier", "name": name, "timeout": timeout}, b"", timeout)

    def report(self, process: int, kind: str, text: str) -> None:
        """Tell all processes of a failure that this one has found."""
        with contextlib.suppress(DistributedError):
            self._call({"op": "report", "process": process, "kind": kind, "text": text})

    def leave(self) -> None:
        """Take leave: the end of this process is no failure from now on."""
        if self.watch is not None:
            self.watch.close_soon()  # when all have left, the coordinator ends, which is no failure
        with contextlib.suppress(DistributedError):
            self._call({"op": "bye"})
        if self.watch is not None:
            self.watch.stop()
        self._sock.close()

    def close_inherited(self) -> None:
        """Close what a forked process has no use for."""
        self._sock.close()
        if self.watch is not None:
            self.watch.close_inherited()

    def _call(self, head: dict[str, Any], body: bytes = b"", timeout: float = 0.0) -> Message:
        with self._lock:
            try:
                answer = self._exchange(head, body, time.monotonic() + timeout + _GRACE)
            except (OSError, ForeignMessageError) as e:
                if self.watch is not None:
                    self.watch.verdict(2.0)
                raise ProcessFailedError(
                    f"process 0, the coordinator at {self.host}:{self.port}, does not answer "
                    f"({e or type(e).__name__})",
                    0,
                ) from None
        error = answer.head.get("error")
        if error is None:
            return answer
        if error == "failure":
            raise failure_of(answer.head["failure"])
        kind = ProcessTimeoutError if error == "timeout" else DistributedError
        raise kind(f"{answer.head['text']} within {timeout:g} s")

    def _exchange(self, head: dict[str, Any], body: bytes = b"", deadline: float = 0.0) -> Message:
        """Send a call and wait for its answer, or for the news of a failure of the coordinator."""
        self._sock.settimeout(max(deadline - time.monotonic(), 0.1))
        self._sock.sendall(encode(head, body))
        waits: list[Any] = [self._sock] if self.watch is None else [self._sock, self.watch.wake]
        while True:
            left = deadline - time.monotonic()
            ready = readable(waits, left)
            if self._sock in ready:
                data = self._sock.recv(1 << 16)
                if not data:
                    raise ConnectionResetError("the connection was closed")
                for message in self._decoder.feed(data):
                    return message
            elif ready and self.watch is not None:
                # The coordinator answers all who wait when another fails, if it is there itself.
                waits = [self._sock]
                failure = self.watch.failure
                if isinstance(failure, ProcessFailedError) and failure.process == 0:
                    self.watch.check()
                deadline = min(deadline, time.monotonic() + _GRACE)
            elif left <= 0:
                raise TimeoutError("no answer in time")
