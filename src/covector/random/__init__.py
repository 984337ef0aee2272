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

from covector.core.lazy import lazy_names as _lazy_names

_WHERE = {
    name: f"covector.random.{module}"
    for module, names in {
        "_bits": "bits",
        "_continuous": (
            "cauchy double_sided_maxwell exponential gumbel laplace logistic lognormal "
            "maxwell normal pareto rayleigh triangular truncated_normal wald weibull_min"
        ),
        "_counts": "binomial multinomial poisson",
        "_discrete": "categorical choice geometric permutation",
        "_gamma": (
            "ball beta chisquare dirichlet f gamma generalized_normal loggamma random_gamma_p t"
        ),
        "_keys": ("PRNGKey clone fold_in key key_data key_dtype key_impl split wrap_key_data"),
        "_linear": "multivariate_normal orthogonal",
        "_uniform": "bernoulli rademacher randint uniform",
    }.items()
    for name in names.split()
}

__getattr__, __dir__ = _lazy_names(globals(), _WHERE)

__all__ = list(_WHERE)
