"""Fourier transforms: calls of the runtime library (native/cpu/fft.h)."""

from __future__ import annotations

from covector.compiler.ir.nodes import Dim, LibraryCall, Value
from covector.compiler.lower.lowering import Lowering, rule
from covector.core.jaxpr import JaxprEqn
from covector.primitives.fourier import MOST_AXES, FftType, fft_p


@rule(fft_p)
def _fft(low: Lowering, eqn: JaxprEqn, x: Value) -> list[Value]:
    kind, axes = eqn.params["fft_type"], eqn.params["axes"]
    out = eqn.outvars[0].aval
    shape = x.shape if kind is FftType.IRFFT else low.shape(out.shape)
    real = low.dim(eqn.params["fft_lengths"][-1])
    half = kind in (FftType.RFFT, FftType.IRFFT)
    sizes: list[tuple[Dim, ...]] = []
    for a in axes:
        n = real if half and a == axes[-1] else shape[a]
        sizes += [tuple(shape[:a]), (n,), tuple(shape[a + 1 :])]
    sizes += [(0,)] * (3 * (MOST_AXES - len(axes)))
    attrs = {"flags": (kind.value,), "sizes": tuple(sizes), "absent": (), "typed": True}
    return low.append(LibraryCall("fft", [x], attrs, low.specs([out])))
