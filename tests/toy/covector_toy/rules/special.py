"""Special functions: those of SciPy, and derivatives of incomplete gamma functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from scipy import special

from covector.core.jaxpr import JaxprEqn
from covector.primitives import gamma_functions as gf
from covector.primitives import hypergeometric as hy
from covector.primitives import incomplete as ic
from covector.primitives import integrals as it
from covector.primitives import parameters as pa
from covector.primitives import probability as pr
from covector.primitives import special as sp
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements, rules_of, widened


def _polygamma(m: Elements, x: Elements) -> Elements:
    # DLMF 5.15.2.
    tail = (-1.0) ** (m + 1) * special.gamma(m + 1) * special.zeta(m + 1, x)
    whole = np.where(m == 0, special.psi(x), tail)
    return np.where((m >= 0) & (m == np.floor(m)), whole, np.nan)


def _igamma_grad_a(a: Elements, x: Elements) -> Elements:
    """The series DLMF 8.7.1 differentiated term by term."""
    a, x = (v.astype(np.float64) for v in np.broadcast_arrays(a, x))
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    a1, x1 = np.where(inside, a, 1.0), np.where(inside, x, 1.0)
    log_x = np.log(x1)
    term = np.exp(a1 * log_x - x1 - special.gammaln(a1 + 1))
    slope = log_x - special.psi(a1 + 1)
    total = np.zeros_like(a1)
    # Terms grow up to n = x, and fall like those of a Poisson distribution.
    longest = np.max(x1, initial=0.0)
    for n in range(int(longest + 12 * np.sqrt(longest) + 60)):
        total += term * slope
        slope = slope - 1 / (a1 + n + 1)
        term = term * x1 / (a1 + n + 1)
    return np.where(inside, total, np.where((x == 0) & (a > 0), 0.0, np.nan))


def _random_gamma_grad(a: Elements, x: Elements) -> Elements:
    """How a variate moves with its shape: M. Figurnov et al., NeurIPS 2018, equation 5."""
    a, x = (v.astype(np.float64) for v in np.broadcast_arrays(a, x))
    density = np.exp((a - 1) * np.log(x) - x - special.gammaln(a))
    return -_igamma_grad_a(a, x) / density


def _expn(n: Elements, x: Elements) -> Elements:
    # Those of negative order, which derivatives have, by DLMF 8.19.12.
    n, x = np.broadcast_arrays(n, x)
    out = special.expn(np.maximum(n, 0), x)
    for k in range(int(-np.min(n, initial=0))):
        out = np.where(n < -k, (np.exp(-x) + (k + 1) * out) / x, out)
    return out


rules_of({
    sp.erf_p: special.erf, sp.erfc_p: special.erfc, sp.erf_inv_p: special.erfinv,
    sp.lgamma_p: special.gammaln, sp.digamma_p: special.psi,
    sp.bessel_i0e_p: special.i0e, sp.bessel_i1e_p: special.i1e,
    sp.zeta_p: special.zeta, sp.polygamma_p: _polygamma,
    ic.igamma_p: special.gammainc, ic.igammac_p: special.gammaincc,
    ic.igamma_grad_a_p: _igamma_grad_a, ic.random_gamma_grad_p: _random_gamma_grad,
    ic.regularized_incomplete_beta_p: special.betainc,
    gf.gamma_p: special.gamma, gf.beta_p: special.beta, gf.betaln_p: special.betaln,
    gf.poch_p: special.poch, gf.riemann_zeta_p: special.zeta,
    pr.erfcx_p: special.erfcx, pr.dawsn_p: special.dawsn, pr.ndtr_p: special.ndtr,
    pr.log_ndtr_p: special.log_ndtr, pr.ndtri_p: special.ndtri, pr.owens_t_p: special.owens_t,
    pr.logit_p: special.logit, pr.boxcox_p: special.boxcox, pr.boxcox1p_p: special.boxcox1p,
    pr.wofz_re_p: lambda x, y: special.wofz(x + 1j * y).real,
    pr.wofz_im_p: lambda x, y: special.wofz(x + 1j * y).imag,
    it.expi_p: special.expi, it.exp1_p: special.exp1, it.expn_p: _expn,
    it.sin_integral_p: lambda x: special.sici(x)[0],
    it.cos_integral_p: lambda x: special.sici(x)[1],
    it.fresnel_sin_p: lambda x: special.fresnel(x)[0],
    it.fresnel_cos_p: lambda x: special.fresnel(x)[1], it.spence_p: special.spence,
    hy.hyp1f1_p: special.hyp1f1, hy.hyp2f1_p: special.hyp2f1,
})  # fmt: skip


def _partial(fn: Callable[..., Any]) -> Callable[..., Elements]:
    """Differences in forty digits."""

    def write(eqn: JaxprEqn, *xs: Elements) -> Elements:
        orders = eqn.params["orders"]
        args = np.broadcast_arrays(*map(widened, xs))
        with mp.workdps(40):
            out = [
                float(mp.diff(fn, tuple(map(mp.mpf, map(float, point))), orders))
                for point in zip(*(x.flat for x in args), strict=True)
            ]
        return np.reshape(out, args[0].shape).astype(args[0].dtype)

    return write


for prim, fn in {
    pa.betainc_partial_p: lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
    pa.igamma_partial_p: lambda a, x: mp.gammainc(a, 0, x, regularized=True),
    pa.hyp1f1_partial_p: mp.hyp1f1, pa.hyp2f1_partial_p: mp.hyp2f1,
    pa.expn_partial_p: mp.expint, pa.zeta_partial_p: mp.zeta, pa.riemann_zeta_partial_p: mp.zeta,
}.items():  # fmt: skip
    rule(prim)(_partial(fn))
