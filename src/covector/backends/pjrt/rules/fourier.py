"""Fourier transforms: StableHLO's, which are along the last axes."""

from __future__ import annotations

from covector.backends.pjrt.lower import out_type, refused, rule
from covector.backends.pjrt.text import Builder, Value, ints
from covector.core.jaxpr import JaxprEqn
from covector.primitives.fourier import fft_p


@rule(fft_p)
def _fft(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    p, aval = eqn.params, out_type(eqn)
    if b.platform == "tpu" and max(x.dtype.itemsize, aval.dtype.itemsize) > 8:
        raise refused(
            b.platform, eqn, "TPUs have Fourier transforms in complex64 alone; convert to it"
        )
    axes = [a % len(x.shape) for a in p["axes"]]
    order = [*[d for d in range(len(x.shape)) if d not in axes], *axes]
    if 0 in aval.shape or 0 in x.shape:
        return b.constant(0, aval.dtype, aval.shape)
    moved = b.transpose(x, order)
    shape = tuple([aval.shape[d] for d in order])
    attrs = (
        f"fft_type = #stablehlo<fft_type {p['fft_type'].name}>, "
        f"fft_length = {ints(p['fft_lengths'])}"
    )
    out = b.op("stablehlo.fft", (moved,), aval.dtype, shape, attrs)
    back = [order.index(d) for d in range(len(order))]
    return b.transpose(out, back)
