"""Distributions and statistics of samples (`covector.scipy.stats`).

Each distribution is a module: `covector.scipy.stats.norm.logpdf` and its like.
"""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset((
    "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi2", "dirichlet", "expon", "gamma",
    "gennorm", "geom", "gumbel_l", "gumbel_r", "laplace", "logistic", "multinomial",
    "multivariate_normal", "nbinom", "norm", "pareto", "poisson", "t", "truncnorm", "uniform",
    "vonmises", "wrapcauchy",
))  # fmt: skip
_NAMES = {
    "gaussian_kde": "covector.scipy.stats._kde",
    **dict.fromkeys(("mode", "rankdata", "sem"), "covector.scipy.stats._samples"),
}

__getattr__, __dir__ = _lazy_names(globals(), _NAMES, _MODULES)

__all__ = sorted((*_MODULES, *_NAMES))
