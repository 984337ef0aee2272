"""The logarithm of the gamma function of complex numbers."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.numpy._util import fused
from covector.scipy.special._common import elementwise, filled, horner

# B_2k / (2k (2k - 1)), the terms of Stirling's series in z^-2 (DLMF 5.11.1).
_STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
    43867 / 244188, -174611 / 125400,
)  # fmt: skip
# From this distance on the series has all digits.
_FAR = 10


def _real(x: Any) -> Any:
    return lax.select(lax.lt(x, 0.0), filled(x, math.nan), lax.lgamma(x))


def _right(z: Any) -> Any:
    """For a real part from 1/2 on."""
    near = lax.lt(lax.abs(z), float(_FAR))
    small = lax.select(near, z, filled(z, 1))
    # The logarithms of products of two factors, whose arguments are below pi / 2.
    logs = [
        lax.log(lax.mul(lax.add(small, float(k)), lax.add(small, float(k + 1))))
        for k in range(0, _FAR, 2)
    ]
    w = lax.select(near, lax.add(z, float(_FAR)), z)
    inverse = lax.div(1.0, w)
    series = lax.mul(inverse, horner(lax.mul(inverse, inverse), _STIRLING))
    power = lax.sub(lax.mul(lax.sub(w, 0.5), lax.log(w)), w)
    out = lax.add(lax.add(power, 0.5 * math.log(2.0 * math.pi)), series)
    shift = logs[0]
    for log in logs[1:]:
        shift = lax.add(shift, log)
    return lax.select(near, lax.sub(out, shift), out)


def _left(z: Any) -> Any:
    """log(pi / sin(pi z)) for an imaginary part from 0 on, without a jump there.

    sin(pi z) is e^(-i pi (z - 1/2)) (1 - e^(2 pi i z)) / 2.
    """
    x, y = lax.real(z), lax.imag(z)
    turn = lax.sub(x, lax.round(x))
    angle = lax.complex(lax.mul(y, -2.0 * math.pi), lax.mul(turn, 2.0 * math.pi))
    rest = lax.log(lax.neg(lax.expm1(angle)))
    line = lax.complex(lax.mul(y, math.pi), lax.mul(lax.sub(x, 0.5), -math.pi))
    return lax.sub(math.log(2.0 * math.pi), lax.add(line, rest))


def _complex(z: Any) -> Any:
    x, y = lax.real(z), lax.imag(z)
    # In the upper half plane, of which the lower is the mirror image.
    # A zero below the cut has a sign.
    below = lax.lt(lax.div(1.0, y), 0.0)
    down = lax.select(below, filled(y, -1), filled(y, 1))
    z = lax.complex(x, lax.mul(y, down))
    left = lax.lt(x, 0.5)
    out = _right(lax.select(left, lax.sub(1.0, z), z))
    safe = lax.select(left, z, filled(z, 0.25 + 0.25j))
    out = lax.select(left, lax.sub(_left(safe), out), out)
    return lax.complex(lax.real(out), lax.mul(lax.imag(out), down))


@fused()
def loggamma(x: Any) -> Any:
    """Principal branch of the logarithm of the gamma function.

    Parameters
    ----------
    x : array_like
        Real or complex numbers.

    Returns
    -------
    Array
        Of the shape of ``x``. Its branch cut is the negative real line; real negative numbers
        give NaN.

    Notes
    -----
    By Stirling's series (DLMF 5.11.1), the recurrence for small numbers, and reflection for a
    real part below 1/2, each without a jump (D. E. G. Hare, "Computing the principal branch of
    log-Gamma", J. Algorithms 25, 1997). Near the zeros at 1 and 2 a complex result has its
    digits relative to 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.loggamma(np.array([3.0 + 0.0j, 1.0 + 2.0j])), 3)
    Array([ 0.693+0.j  , -1.876+0.13j], dtype=complex64)
    """

    def fun(z: Any) -> Any:
        return _complex(z) if dtypes.is_complex(z.dtype) else _real(z)

    return elementwise("loggamma", fun, x, holomorphic=True, double=True)
