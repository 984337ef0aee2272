"""Pseudo-random numbers from explicit keys (`covector.random`).

Every function is pure: the same key and arguments give the same numbers, on every backend and
however the work is divided. Make a key with `key`, derive others with `split` or `fold_in`,
and use each once.

Examples
--------
>>> import covector as cv
>>> key, sub = cv.random.split(cv.random.key(0))
>>> x = cv.random.normal(sub, (3,))
"""

from covector.core.errors import export as _export
from covector.random._bits import bits
from covector.random._continuous import (
    cauchy,
    double_sided_maxwell,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    maxwell,
    normal,
    pareto,
    rayleigh,
    triangular,
    truncated_normal,
    wald,
    weibull_min,
)
from covector.random._counts import binomial, multinomial, poisson
from covector.random._discrete import categorical, choice, geometric, permutation
from covector.random._gamma import (
    ball,
    beta,
    chisquare,
    dirichlet,
    f,
    gamma,
    generalized_normal,
    loggamma,
    t,
)
from covector.random._keys import (
    PRNGKey,
    clone,
    fold_in,
    key,
    key_data,
    key_dtype,
    key_impl,
    split,
    wrap_key_data,
)
from covector.random._linear import multivariate_normal, orthogonal
from covector.random._uniform import bernoulli, rademacher, randint, uniform

__all__ = [
    "PRNGKey",
    "ball",
    "bernoulli",
    "beta",
    "binomial",
    "bits",
    "categorical",
    "cauchy",
    "chisquare",
    "choice",
    "clone",
    "dirichlet",
    "double_sided_maxwell",
    "exponential",
    "f",
    "fold_in",
    "gamma",
    "generalized_normal",
    "geometric",
    "gumbel",
    "key",
    "key_data",
    "key_dtype",
    "key_impl",
    "laplace",
    "loggamma",
    "logistic",
    "lognormal",
    "maxwell",
    "multinomial",
    "multivariate_normal",
    "normal",
    "orthogonal",
    "pareto",
    "permutation",
    "poisson",
    "rademacher",
    "randint",
    "rayleigh",
    "split",
    "t",
    "triangular",
    "truncated_normal",
    "uniform",
    "wald",
    "weibull_min",
    "wrap_key_data",
]

_export(globals(), __all__)
