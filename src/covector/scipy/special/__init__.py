"""Special functions (`covector.scipy.special`)."""

from covector.core.errors import export as _export
from covector.scipy.special._axes import log_softmax, logsumexp, softmax
from covector.scipy.special._bessel import bessel_jn, i0, i0e, i1, i1e
from covector.scipy.special._error import (
    dawsn,
    erf,
    erfc,
    erfcx,
    erfinv,
    log_ndtr,
    ndtr,
    ndtri,
    owens_t,
    wofz,
)
from covector.scipy.special._gamma import (
    bernoulli,
    beta,
    betainc,
    betaln,
    comb,
    digamma,
    factorial,
    gamma,
    gammainc,
    gammaincc,
    gammaln,
    gammasgn,
    multigammaln,
    poch,
    polygamma,
    zeta,
)
from covector.scipy.special._harmonics import sph_harm_y
from covector.scipy.special._hypergeometric import hyp1f1, hyp2f1
from covector.scipy.special._integrals import exp1, expi, expn, fresnel, sici, spence
from covector.scipy.special._logarithms import (
    boxcox,
    boxcox1p,
    entr,
    expit,
    kl_div,
    logit,
    rel_entr,
    xlog1py,
    xlogy,
)
from covector.scipy.special._loggamma import loggamma

__all__ = [
    "bernoulli", "bessel_jn", "beta", "betainc", "betaln", "boxcox", "boxcox1p", "comb", "dawsn",
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp1", "expi", "expit", "expn",
    "factorial", "fresnel", "gamma", "gammainc", "gammaincc", "gammaln", "gammasgn", "hyp1f1",
    "hyp2f1", "i0", "i0e", "i1", "i1e", "kl_div", "log_ndtr", "log_softmax", "loggamma", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "owens_t", "poch", "polygamma", "rel_entr",
    "sici", "softmax", "spence", "sph_harm_y", "wofz", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

_export(globals(), __all__)
