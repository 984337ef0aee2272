"""Messages between processes: a head of JSON and a body of bytes, each preceded by its length.

Nothing that comes over a connection is ever run: there is no pickle in it. A message starts with
four fixed bytes, so that another program at the same port is told from a process of ours.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from covector.distributed.errors import ForeignMessageError

MAGIC = b"CVD1"
_LENGTHS = struct.Struct("<4sII")
_LONGEST_HEAD = 1 << 16
LONGEST_BODY = 1 << 28


class Message(NamedTuple):
    """What was said, and the bytes that go with it."""

    head: dict[str, Any]
    body: bytes


def encode(head: dict[str, Any], body: bytes = b"") -> bytes:
    """The bytes of a message."""
    text = json.dumps(head).encode()
    if len(text) > _LONGEST_HEAD or len(body) > LONGEST_BODY:
        raise ValueError(
            f"a message between processes has at most {_LONGEST_HEAD} bytes of head and "
            f"{LONGEST_BODY} of body; got {len(text)} and {len(body)}"
        )
    return _LENGTHS.pack(MAGIC, len(text), len(body)) + text + body


class Decoder:
    """Bytes as they come in, taken apart into messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with these bytes.

        Raises
        ------
        ForeignMessageError
            If the bytes are none of ours.
        """
        self._pending += data
        while len(self._pending) >= len(MAGIC):
            if not self._pending.startswith(MAGIC):
                raise ForeignMessageError(f"it starts with {bytes(self._pending[:16])!r}")
            if len(self._pending) < _LENGTHS.size:
                return
            _, head, body = _LENGTHS.unpack_from(self._pending)
            if head > _LONGEST_HEAD or body > LONGEST_BODY:
                raise ForeignMessageError(f"a message of {head} and {body} bytes is too long")
            middle, end = _LENGTHS.size + head, _LENGTHS.size + head + body
            if len(self._pending) < end:
                return
            try:
                content = json.loads(self._pending[_LENGTHS.size : middle])
            except ValueError:
                raise ForeignMessageError("the head of a message is no JSON") from None
            if not isinstance(content, dict):
                raise ForeignMessageError("the head of a message is no object")
            message = Message(content, bytes(self._pending[middle:end]))
            del self._pending[:end]
            yield message


def readable(socks: Iterable[socket.socket], timeout: float) -> list[socket.socket]:
    """Those of the sockets that can be read from, waited for until there is one."""
    by_number = {s.fileno(): s for s in socks}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    # Rounded up, so that what is waited for has come.
    return [by_number[n] for n, _ in poll.poll(int(max(timeout, 0.0) * 1000) + 1)]


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connection, tried until the deadline by `time.monotonic`; then the last error."""
    while True:
        left = deadline - time.monotonic()
        try:
            sock = socket.create_connection((host, port), timeout=max(min(left, 10.0), 0.05))
        except OSError:
            if time.monotonic() + 0.05 >= deadline:
                raise
            time.sleep(0.05)
        else:
            if sock.getsockname() == sock.getpeername():
                # A connection to an unused local port may find itself.
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock


def split_address(address: str) -> tuple[str, int]:
    """The host and the port of ``"host:port"``; brackets go around numbers of IPv6."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(
            f"an address is 'host:port', the port a number from 1 to 65535; got {address!r}"
        )
    return host.strip("[]"), int(port)
