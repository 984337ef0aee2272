"""The table of `covector.scipy.special`: of each function, where it is tried and against what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
from scipy import special

INF, NAN = math.inf, math.nan


class Row(NamedTuple):
    """A function of arrays.

    Attributes
    ----------
    domains : sequence of (float, float)
        An interval for each operand; whole numbers are drawn from one with integer ends.
    wanted : callable, optional
        In double precision; by default SciPy's function of the same name.
    tol : float
        The relative error in double precision, of SciPy too.
    ulps : int
        The same in other precisions, in units of the last place.
    vary : tuple of int
        Operands with respect to which it is differentiated.
    call : callable, optional
        How the module's function is called.
    special : bool
        Whether SciPy has the same values at zeros, infinities and NaN.
    """

    domains: Sequence[tuple[float, float]]
    wanted: Callable[..., Any] | None = None
    tol: float = 1e-14
    vary: tuple[int, ...] = (0,)
    call: Callable[..., Any] | None = None
    special: bool = True
    ulps: int = 1


def _bessel(z: Any) -> Any:
    return np.stack([special.jv(k, z) for k in range(4)])


def _riemann(x: Any) -> Any:
    return np.array([float(mp.zeta(float(v))) for v in np.ravel(x)]).reshape(np.shape(x))


def _softmax(x: Any) -> Any:
    return special.softmax(x, axis=-1)


REAL, POSITIVE, UNIT = (-4.0, 4.0), (0.2, 6.0), (0.1, 0.9)
ORDER = (1, 6)

ROWS: dict[str, Row] = {
    "bessel_jn": Row([(0.5, 40.0)], _bessel, 1e-11, call=lambda f, z: f(z, v=3), special=False),
    "beta": Row([POSITIVE] * 2, vary=(0, 1), special=False),
    "betainc": Row([POSITIVE, POSITIVE, UNIT], tol=1e-11, vary=(0, 1, 2), special=False),
    "betaln": Row([POSITIVE] * 2, tol=1e-12, vary=(0, 1), special=False),
    "boxcox": Row([POSITIVE, REAL], tol=1e-13, vary=(0, 1)),
    "boxcox1p": Row([POSITIVE, REAL], tol=1e-13, vary=(0, 1)),
    "comb": Row([(5.5, 9.5), (0.5, 4.5)], tol=1e-13, vary=(0, 1), special=False),
    "dawsn": Row([REAL]),
    "digamma": Row([POSITIVE], tol=1e-13),
    "entr": Row([POSITIVE]),
    "erf": Row([REAL]),
    "erfc": Row([REAL]),
    "erfcx": Row([REAL]),
    "erfinv": Row([UNIT], ulps=4),
    "exp1": Row([POSITIVE]),
    "expi": Row([REAL]),
    "expit": Row([REAL]),
    "expn": Row([ORDER, POSITIVE], vary=(1,), special=False),
    "factorial": Row([POSITIVE], tol=1e-13),
    "fresnel": Row([REAL]),
    "gamma": Row([REAL], tol=1e-13),
    "gammainc": Row([POSITIVE] * 2, tol=1e-12, vary=(1,), special=False),
    "gammaincc": Row([POSITIVE] * 2, tol=1e-12, vary=(1,), special=False),
    "gammaln": Row([POSITIVE], tol=1e-13),
    "gammasgn": Row([REAL]),
    "hyp1f1": Row([REAL, POSITIVE, REAL], tol=1e-11, vary=(0, 1, 2), special=False),
    "hyp2f1": Row(
        [POSITIVE, POSITIVE, POSITIVE, (-3.0, 0.95)],
        tol=1e-10,
        vary=(0, 1, 2, 3),
        special=False,
    ),
    "i0": Row([REAL], ulps=2),
    "i0e": Row([REAL]),
    "i1": Row([REAL], ulps=2),
    "i1e": Row([REAL]),
    "kl_div": Row([POSITIVE] * 2, tol=1e-11, vary=(0, 1), ulps=3),
    "log_ndtr": Row([(-30.0, 4.0)]),
    "log_softmax": Row([REAL], lambda x: special.log_softmax(x), 1e-13, special=False, ulps=4),
    "loggamma": Row([POSITIVE], tol=1e-13),
    "logit": Row([UNIT], tol=1e-13),
    "logsumexp": Row([REAL], special=False),
    "multigammaln": Row(
        [(3.0, 9.0)], lambda x: special.multigammaln(x, 3), call=lambda f, x: f(x, 3), special=False
    ),
    "ndtr": Row([(-30.0, 4.0)], tol=1e-12),
    "ndtri": Row([UNIT]),
    "owens_t": Row([REAL] * 2, vary=(0, 1)),
    "poch": Row([POSITIVE] * 2, tol=1e-12, vary=(0, 1), special=False),
    "polygamma": Row([ORDER, POSITIVE], tol=1e-12, vary=(1,), special=False),
    "rel_entr": Row([POSITIVE] * 2, tol=1e-12, vary=(0, 1)),
    "sici": Row([REAL], tol=1e-13),
    "softmax": Row([REAL], tol=1e-13, special=False, ulps=4),
    "spence": Row([POSITIVE]),
    "sph_harm_y": Row(
        [(0.3, 2.8), REAL],
        lambda t, p: special.sph_harm_y(5, -3, t, p),
        1e-13,
        (0, 1),
        lambda f, t, p: f(5, -3, t, p, n_max=5),
        special=False,
    ),
    "wofz": Row([REAL], tol=1e-13, special=False),
    "xlog1py": Row([POSITIVE] * 2, vary=(0, 1)),
    "xlogy": Row([POSITIVE] * 2, tol=1e-13, vary=(0, 1)),
    "zeta": Row([(1.5, 9.0), POSITIVE], tol=1e-13, vary=(0, 1), special=False),
}
# Other uses of the same functions.
MORE: dict[str, tuple[str, Row]] = {
    "zeta of Riemann": ("zeta", Row([(-6.0, 6.0)], _riemann, 1e-13, special=False)),
    "comb of whole numbers": ("comb", Row([(0, 12), (0, 12)], vary=(), special=False)),
    "softmax along an axis": (
        "softmax", Row([REAL], _softmax, 1e-13, call=lambda f, x: f(x, axis=-1), special=False,
        ulps=4)
    ),
}  # fmt: skip
CASES = {name: (name, row) for name, row in ROWS.items()} | MORE
