"""Compiled programs on disk: shared by processes, safe against damage, bounded in size.

An entry is a file named by a hash of what it was made from, for which device and by which version
of which compiler; backends say so. It holds a checksum over all its content; anything that does
not check is compiled again, never run. Files appear by atomic rename, so that readers see whole
entries only. A folder that cannot be written, or is full, only means that nothing is kept; where
the user has named it, there is a warning.
"""

from __future__ import annotations

import contextlib
import marshal
import math
import os
import stat
from collections.abc import Sequence
from typing import Any

from covector.core.config import config

try:  # The function that hashlib hands out; hashlib itself loads OpenSSL first (4 ms).
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

_MAGIC = b"COVECTOR3"
_DIGEST = 32


def digest(data: bytes) -> bytes:
    """A hash of 32 bytes."""
    return blake2b(data, digest_size=_DIGEST).digest()


def cache_dir() -> str:
    """The folder of the cache (option ``compilation_cache_dir`` or the user's cache folder)."""
    if config.compilation_cache_dir:
        return os.path.expanduser(config.compilation_cache_dir)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "covector")


def path_of(name: bytes) -> str:
    """The file of an entry, whose name is a `digest`."""
    return os.path.join(cache_dir(), name.hex() + ".bin")


def _read(path: str) -> bytes:
    """The content of a regular file that belongs to this user and no one else can write.

    Raises OSError for anything else, and never waits: what lies there may be a pipe.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as f:
        info = os.fstat(fd)
        ours = info.st_uid == os.getuid() and not info.st_mode & 0o022
        if not stat.S_ISREG(info.st_mode) or not ours:
            raise PermissionError(path)
        return f.read()


def load(name: bytes, key: str) -> tuple[bytes, Any] | None:
    """Code and metadata stored under ``name`` for ``key``, if whole and ours."""
    if not config.enable_compilation_cache:
        return None
    path = path_of(name)
    try:
        data = _read(path)
    except FileNotFoundError:
        return None
    except OSError as e:
        if config.raise_persistent_cache_errors:
            raise _named("looked for", e) from e
        return None
    head = len(_MAGIC) + _DIGEST
    if len(data) < head or data[: len(_MAGIC)] != _MAGIC:
        return None
    body = data[head:]
    if digest(body) != data[len(_MAGIC) : head]:
        return None
    try:
        stored_key, code, meta = marshal.loads(body)
    except (ValueError, EOFError, TypeError):
        return None
    if stored_key != digest(key.encode()):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return code, meta


def store(name: bytes, key: str, code: bytes, meta: Any, seconds: float = math.inf) -> None:
    """Keep code, which took so long to make, for later processes.

    Failures to write are no errors, unless an option asks for them.
    """
    if not config.enable_compilation_cache or config.compilation_cache_max_size == 0:
        return
    if seconds < config.persistent_cache_min_compile_time_secs:
        return
    body = marshal.dumps((digest(key.encode()), code, meta))
    data = _MAGIC + digest(body) + body
    if len(data) < config.persistent_cache_min_entry_size_bytes:
        return
    folder, path = cache_dir(), path_of(name)
    try:
        _write(folder, path, data)
        _trim(folder)
    except OSError as e:
        _not_kept(folder, e)


def _write(folder: str, path: str, data: bytes) -> None:
    """A file in a folder, whole or not at all."""
    tmp = f"{path}.{os.urandom(8).hex()}.tmp"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(data)
        os.replace(tmp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(tmp)
        raise


def _named(done: str, e: OSError) -> OSError:
    """The error of a file of the cache, with the folder and the option it is from."""
    text = (
        f"compiled programs cannot be {done} in {cache_dir()}, the folder of the option "
        f"compilation_cache_dir (COVECTOR_COMPILATION_CACHE_DIR): {e.strerror or e}"
    )
    return OSError(e.errno, text) if e.errno else OSError(text)


# Folders that were warned of.
_unwritable: set[str] = set()


def _not_kept(folder: str, e: OSError) -> None:
    """Say that programs are not kept: as an error if that is asked for, or once of a folder."""
    error = _named("kept", e)
    if config.raise_persistent_cache_errors:
        raise error from e
    # Nobody has asked for the user's cache folder, which need not be there.
    if config.compilation_cache_dir and folder not in _unwritable:
        _unwritable.add(folder)
        from covector.core.errors import warn  # few processes need it

        warn(
            f"{error.strerror or error}. Name another folder, or keep none with "
            "COVECTOR_ENABLE_COMPILATION_CACHE=0"
        )


# One store in so many looks at the size of the folder, which costs more the more it holds.
_STORES_A_LOOK = 64
_SAMPLE = 256


def _trim(folder: str) -> None:
    """Now and then, drop the entries used longest ago where the folder exceeds its bound."""
    bound = config.compilation_cache_max_size
    if bound >= 0 and os.urandom(1)[0] % _STORES_A_LOOK == 0:
        names = _names(folder)
        # Names are hashes: the first are as good a sample as any.
        seen = _entries(folder, names[:_SAMPLE])
        if seen and sum(size for _, size, _ in seen) / len(seen) * len(names) > bound:
            _drop_oldest(folder, names, bound)


def _entries(folder: str, names: Sequence[str]) -> list[tuple[float, int, str]]:
    """When each was used last, its size, its name."""
    out = []
    for name in names:
        with contextlib.suppress(OSError):
            info = os.lstat(os.path.join(folder, name))
            out.append((info.st_mtime, info.st_size, name))
    return out


def usage() -> tuple[int, int]:
    """The number of entries in the folder, and their size in bytes."""
    entries = _entries(cache_dir(), _names(cache_dir()))
    return len(entries), sum(size for _, size, _ in entries)


def clear() -> tuple[int, int]:
    """Drop all entries, of all versions; how many there were, and their size in bytes."""
    folder = cache_dir()
    entries = _entries(folder, _names(folder))
    for _, _, name in entries:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))
    return len(entries), sum(size for _, size, _ in entries)


def _names(folder: str) -> list[str]:
    """The files in a folder that are entries, or were to be."""
    try:
        return [n for n in os.listdir(folder) if n.endswith((".bin", ".tmp"))]
    except OSError:
        return []


def _drop_oldest(folder: str, names: Sequence[str], bound: int) -> None:
    entries = _entries(folder, names)
    total = sum(size for _, size, _ in entries)
    # Some room is made, so that the next entries have it.
    for _, size, name in sorted(entries):
        if total <= bound - bound // 8:
            break
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))
        total -= size
