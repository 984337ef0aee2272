"""Collectives over TCP sockets of our own, for processes that no launcher of MPI has started.

All processes are connected with each other. Existing engines were considered. Processes that have
started MPI by themselves cannot be joined (`MPI_Comm_connect` fails in MPICH and Open MPI); to be
started together they need the protocol of a launcher, which is another one for each implementation
(PMI-1, PMI-2, PMIx), and MPI starts once in a process, where jobs here may follow each other. Gloo
comes inside of frameworks of hundreds of megabytes; UCX and oneCCL are packaged as native libraries
without an interface to Python. What is needed is one step, "send these bytes and receive those":
sockets have it everywhere, and the watch over failures wakes it.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Collection, Mapping

from covector.distributed.client import StoreClient
from covector.distributed.errors import ProcessFailedError, ProcessTimeoutError
from covector.distributed.messages import FRAME, Messages, Mismatch
from covector.distributed.store import listen
from covector.distributed.wire import connect, readable

_HELLO = 4 + 32
# How long the coordinator has to say what has failed, after a connection has ended.
_VERDICT = 2.0


def _receive(sock: socket.socket, n: int, deadline: float) -> bytes:
    data = b""
    while len(data) < n:
        sock.settimeout(max(deadline - time.monotonic(), 0.01))
        part = sock.recv(n - len(data))
        if not part:
            raise ConnectionResetError("the connection was closed")
        data += part
    return data


class _Incoming:
    """What is still to be received from a process, piece by piece: a fingerprint and data."""

    __slots__ = ("frame", "pieces", "checked")

    def __init__(self, data: memoryview) -> None:
        self.frame = memoryview(bytearray(FRAME.size))
        self.pieces = [self.frame, data] if len(data) else [self.frame]
        self.checked = False


class TcpCommunicator(Messages):
    """Collectives over sockets.

    Parameters
    ----------
    store : StoreClient
        Through which the processes find each other.
    timeout : float
        Seconds until all must be connected.
    """

    def __init__(self, store: StoreClient, timeout: float) -> None:
        super().__init__(store.rank, store.size)
        assert store.watch is not None
        self._store, self._watch = store, store.watch
        self._peers: dict[int, socket.socket] = {}
        deadline = time.monotonic() + timeout
        listener = listen(store.local_host, 0, store.size + 8)
        try:
            address = [store.local_host, listener.getsockname()[1]]
            store.set(f"tcp/{self.rank}", json.dumps(address).encode())
            for peer in range(self.rank):
                self._connect(peer, deadline)
            while len(self._peers) < self.size - 1:
                self._accept(listener, deadline, timeout)
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()
        for sock in self._peers.values():
            sock.setblocking(False)

    def _connect(self, peer: int, deadline: float) -> None:
        host, port = json.loads(self._store.get(f"tcp/{peer}", deadline - time.monotonic()))
        try:
            sock = connect(host, int(port), deadline)
        except OSError as e:
            self._watch.verdict(_VERDICT)
            raise ProcessTimeoutError(
                f"process {self.rank} could not reach process {peer} at {host}:{port} ({e}): "
                "processes connect with each other at any port"
            ) from None
        sock.sendall(self.rank.to_bytes(4, "little") + self._store.token.encode())
        self._peers[peer] = sock

    def _accept(self, listener: socket.socket, deadline: float, timeout: float) -> None:
        ready = readable([listener, self._watch.wake], deadline - time.monotonic())
        self._watch.check()
        if not ready:
            missing = [r for r in range(self.rank + 1, self.size) if r not in self._peers]
            raise ProcessTimeoutError(
                f"processes {missing} have not connected to process {self.rank} within "
                f"{timeout:g} s"
            )
        sock, _ = listener.accept()
        try:
            hello = _receive(sock, _HELLO, min(deadline, time.monotonic() + 5.0))
        except OSError:
            sock.close()
            return
        peer, token = int.from_bytes(hello[:4], "little"), hello[4:].decode(errors="replace")
        if token != self._store.token or not self.rank < peer < self.size or peer in self._peers:
            # Something else has found the port.
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[peer] = sock

    def close(self) -> None:
        for sock in self._peers.values():
            sock.close()

    # --- the step

    def _exchange(
        self,
        sends: Mapping[int, memoryview],
        receives: Mapping[int, memoryview],
        frame: bytes,
    ) -> None:
        self._watch.check()
        out = {k: [memoryview(frame), data] for k, data in sends.items()}
        into = {k: _Incoming(data) for k, data in receives.items()}
        for peer in list(out):
            self._send(peer, out)
        poll = select.poll()
        poll.register(self._watch.wake.fileno(), select.POLLIN)
        numbers = {}
        for peer in {**out, **into}:
            numbers[self._peers[peer].fileno()] = peer
            poll.register(self._peers[peer].fileno(), self._events(peer, out, into))
        while out or into:
            for number, event in poll.poll():
                if number not in numbers:
                    self._watch.check()
                    continue
                peer = numbers[number]
                if event & select.POLLOUT and peer in out:
                    self._send(peer, out)
                if event & (select.POLLIN | select.POLLHUP | select.POLLERR) and peer in into:
                    self._receive(peer, into, frame)
                elif event & (select.POLLHUP | select.POLLERR):
                    self._lost(peer)
                if peer in out or peer in into:
                    poll.modify(number, self._events(peer, out, into))
                else:
                    poll.unregister(number)
                    del numbers[number]

    @staticmethod
    def _events(peer: int, out: Collection[int], into: Collection[int]) -> int:
        return (select.POLLOUT if peer in out else 0) | (select.POLLIN if peer in into else 0)

    def _send(self, peer: int, out: dict[int, list[memoryview]]) -> None:
        pieces = out[peer]
        try:
            while pieces:
                sent = self._peers[peer].sendmsg(pieces)
                while pieces and sent >= len(pieces[0]):
                    sent -= len(pieces.pop(0))
                if sent:
                    pieces[0] = pieces[0][sent:]
        except BlockingIOError:
            return
        except OSError:
            self._lost(peer)
        del out[peer]

    def _receive(self, peer: int, into: dict[int, _Incoming], frame: bytes) -> None:
        stream = into[peer]
        pieces = stream.pieces
        try:
            while pieces:
                got, _, _, _ = self._peers[peer].recvmsg_into(pieces)
                if not got:
                    self._lost(peer)
                while pieces and got >= len(pieces[0]):
                    got -= len(pieces.pop(0))
                    if not stream.checked:
                        stream.checked = True
                        if stream.frame != frame:
                            raise Mismatch(peer, bytes(stream.frame))
                if got:
                    pieces[0] = pieces[0][got:]
        except BlockingIOError:
            return
        except OSError:
            self._lost(peer)
        del into[peer]

    # --- failures

    def _lost(self, peer: int) -> None:
        """A connection has ended: raise what is known of the reason."""
        self._watch.verdict(_VERDICT)
        raise ProcessFailedError(
            f"process {peer} has left while process {self.rank} waits for it in a collective: it "
            "has shut down, or its program is shorter",
            peer,
        )

    def _report(self, process: int, text: str) -> None:
        self._store.report(process, "mismatch", text)
        self._watch.verdict(_VERDICT)

    def close_inherited(self) -> None:
        """Close what a forked process has no use for."""
        with contextlib.suppress(OSError):
            self.close()
