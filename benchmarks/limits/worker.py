"""One side in one process, told what to do on standard input: ``KIND FOLDER LIBRARY``.

``KIND`` is ``cpp``, ``numba``, ``jax`` or ``covector``, ``LIBRARY`` the compiled C++. Lines in are
``versions``, ``prepare NAME`` and ``time NAME SECONDS``; each is answered by a line of JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.limits.specs import SPECS


def aligned(a: Any) -> Any:
    """A copy that begins at a multiple of 64 bytes."""
    a = np.asarray(a)
    raw = np.empty(a.nbytes + 64, np.uint8)
    at = -raw.ctypes.data % 64
    out = raw[at : at + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def microseconds(call: Callable[[], Any], seconds: float) -> float:
    """The best time of a call of many in about so many seconds."""
    call()
    start = time.perf_counter()
    call()
    best = spent = time.perf_counter() - start
    n = max(1, int(2e-4 / max(spent, 1e-8)))
    end = time.perf_counter() + seconds
    while spent <= seconds:
        start = time.perf_counter()
        for _ in range(n):
            call()
        now = time.perf_counter()
        best = min(best, (now - start) / n)
        if now > end:
            break
    return best * 1e6


class Cpp:
    """Inputs and outputs are allocated once; the loop that is timed is in C++ too."""

    def __init__(self, library: str) -> None:
        self.library = ctypes.CDLL(library)
        self.library.bench.restype = ctypes.c_double

    def versions(self) -> dict[str, str]:
        return {}

    def prepare(self, name: str, inputs: list[Any]) -> tuple[float, list[Any]]:
        self.inputs = [aligned(a) for a in inputs]
        self.outputs = [aligned(np.zeros(shape, dtype)) for shape, dtype in SPECS[name].outputs]
        self.function = getattr(self.library, name)
        self.arguments = [
            (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
            for arrays in (self.inputs, self.outputs)
        ]
        start = time.perf_counter()
        self.function(*self.arguments)
        return time.perf_counter() - start, self.outputs

    def time(self, seconds: float) -> float:
        return self.library.bench(self.function, *self.arguments, ctypes.c_double(seconds))


class Python:
    """A library whose calls allocate their results."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.library = importlib.import_module(kind)
        self.block: Callable[[Any], Any] = lambda x: x
        if kind == "numba":
            from benchmarks.limits import numba_programs

            self.programs = numba_programs.PROGRAMS
            self.array = self.compile = self.block
            numba_programs.warm(np.ones(3))
        else:
            from benchmarks.limits import programs

            programs.use(kind)
            self.programs = programs.PROGRAMS
            self.array, self.compile = programs.np.asarray, self.library.jit
            self.block = self.library.block_until_ready
            # Whatever the first compilation in a process loads.
            self.block(self.compile(lambda x: x + 1)(programs.np.ones(3)))

    def versions(self) -> dict[str, str]:
        return {self.kind: self.library.__version__}

    def prepare(self, name: str, inputs: list[Any]) -> tuple[float, list[Any]]:
        block, arguments = self.block, [self.array(aligned(a)) for a in inputs]
        block(arguments)
        start = time.perf_counter()
        f = self.compile(self.programs[name])
        out = block(f(*arguments))
        first = time.perf_counter() - start
        self.call = lambda: block(f(*arguments))
        return first, [np.asarray(x) for x in (out if isinstance(out, (tuple, list)) else [out])]

    def time(self, seconds: float) -> float:
        return microseconds(self.call, seconds)


def main() -> None:
    kind, folder, library = sys.argv[1:]
    # What libraries print goes to the log.
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side: Cpp | Python | None = None
    for line in sys.stdin:
        verb, *words = line.split()
        answer: dict[str, Any] = {}
        try:
            if side is None:
                side = Cpp(library) if kind == "cpp" else Python(kind)
            if verb == "versions":
                answer = {"python": platform.python_version(), "numpy": np.__version__}
                answer.update(side.versions())
            elif verb == "prepare":
                (name,) = words
                with np.load(os.path.join(folder, f"{name}.npz")) as file:
                    inputs = list(file.values())
                first, outputs = side.prepare(name, inputs)
                np.savez(os.path.join(folder, f"{name}.{kind}.npz"), *outputs)
                answer["first_ms"] = first * 1e3
            else:
                answer["us"] = side.time(float(words[1]))
        except Exception as e:
            traceback.print_exc()
            answer["error"] = f"{type(e).__name__}: {e}"
        print(json.dumps(answer), file=reply, flush=True)


if __name__ == "__main__":
    main()
