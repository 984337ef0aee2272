"""Running one elementwise function through the CPU backend, and measuring its error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

from covector import lax
from covector.core.avals import ShapedArray, to_array
from covector.core.backend import get_backend
from covector.core.config import enable_x64
from covector.core.jaxpr import ClosedJaxpr
from covector.core.rules import ELEMENTWISE
from covector.core.trace import trace_to_jaxpr


@functools.cache
def _program(name: str, avals: tuple[ShapedArray, ...]) -> Any:
    f = getattr(lax, name, None) or HELPERS.get(name) or ELEMENTWISE[name].bind
    jaxpr, consts = trace_to_jaxpr(lambda *a: [f(*a)], list(avals))
    backend = get_backend("cpu")
    module = backend.lower(ClosedJaxpr(jaxpr, consts), [False] * len(avals), name)
    return module.compile(backend.devices()[0], 0)


HELPERS: dict[str, Callable[..., Any]] = {"hypot": lambda x, y: lax.abs(lax.complex(x, y))}


def run(name: str, *args: Any) -> Any:
    """``lax.<name>``, or the primitive of this name, of NumPy arrays, compiled."""
    with enable_x64():
        arrays = [to_array(np.asarray(a)) for a in args]
        program = _program(name, tuple(a.aval for a in arrays))
        return np.asarray(program.executable.call(arrays)[0])


def as_mp(x: Any) -> Any:
    """A float as an exact mpmath number."""
    return mp.mpf(float(x))


def spacing(want: Any, dtype: Any) -> Any:
    """Distance of the floats around an mpmath number."""
    info = np.finfo(dtype)
    exponent = max(int(mp.frexp(want)[1]) - 1, info.minexp) if want else info.minexp
    return mp.ldexp(mp.mpf(1), exponent - info.nmant)


def ulp_error(got: Any, want: Any, dtype: Any) -> float:
    """|got - want| in units of the last place of ``want``, an mpmath number or infinity."""
    if mp.isnan(want):
        return 0.0 if np.isnan(got) else np.inf
    largest = as_mp(np.finfo(dtype).max)
    limit = largest + spacing(largest, dtype) / 2
    if np.isinf(got):
        fits = abs(want) >= largest * (1 - mp.mpf(2) ** (1 - np.finfo(dtype).nmant))
        return 0.0 if fits and (got > 0) == (want > 0) else np.inf
    if np.isnan(got) or abs(want) > limit * (1 + mp.mpf(2) ** -np.finfo(dtype).nmant):
        return np.inf
    return float(abs(as_mp(got) - want) / spacing(want, dtype))
