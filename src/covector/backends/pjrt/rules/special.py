"""Elementary and special functions that are written down in `covector.numerics`."""

from __future__ import annotations

import covector.primitives.gamma_functions
import covector.primitives.hypergeometric
import covector.primitives.integrals
import covector.primitives.probability  # noqa: F401 - their rows
from covector.backends.pjrt import kernels
from covector.backends.pjrt.rules.elementwise import Emission, elementwise
from covector.backends.pjrt.text import Builder, Value
from covector.core.rules import ELEMENTWISE

NAMES = (
    "erf", "erfc", "erf_inv", "lgamma", "digamma", "polygamma", "zeta", "riemann_zeta",
    "bessel_i0e", "bessel_i1e", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad",
    "regularized_incomplete_beta", "gamma", "beta", "betaln", "poch", "erfcx", "dawsn", "ndtr",
    "log_ndtr", "ndtri", "wofz_re", "wofz_im", "owens_t", "hyp1f1", "hyp2f1", "expi", "exp1",
    "expn", "sin_integral", "cos_integral", "fresnel_sin", "fresnel_cos", "spence",
)  # fmt: skip


def _written(name: str) -> Emission:
    def write(b: Builder, *xs: Value) -> Value:
        return kernels.write(b, name, *xs)

    return write


elementwise({ELEMENTWISE[name]: _written(name) for name in NAMES})
