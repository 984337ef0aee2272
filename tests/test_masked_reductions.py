"""``where=`` of every reduction: what is left out may be anything, for values and derivatives."""

import inspect

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import nn

MASK = np.array([True, False, True, True])
KEPT = onp.flatnonzero(onp.asarray(MASK))
OTHERS = (1e4, 1e30, 1e200, -1e200, onp.inf, -onp.inf, onp.nan)


def _takes_where(f):
    try:
        return "where" in inspect.signature(f).parameters
    except (TypeError, ValueError):
        return False


ELEMENTWISE = {n for n in dir(np) if hasattr(getattr(np, n), "nin")}
OF_NUMPY = [
    n
    for n in np.__all__
    if n not in ELEMENTWISE and _takes_where(getattr(np, n)) and n not in ("all", "any", "copyto")
]
OF_NN = ["log_softmax", "logmeanexp", "logsumexp", "softmax", "standardize"]
FUNCTIONS = {n: getattr(np, n) for n in OF_NUMPY} | {n: getattr(nn, n) for n in OF_NN}


def test_functions_are_found():
    assert {"sum", "prod", "mean", "var", "std", "max", "nanvar", "nanmin"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_left_out_does_not_count(name):
    f = FUNCTIONS[name]
    more = {}
    if "initial" in inspect.signature(f).parameters and "m" in name and "sum" not in name:
        more["initial"] = -100.0 if "max" in name else 100.0

    def weighted(y):
        return y * np.arange(1.0, 1.0 + y.size).reshape(y.shape)

    def masked(x):
        y = f(x, where=MASK, **more)
        return weighted(y[KEPT] if y.ndim else y)

    def chosen(x):
        return weighted(f(x[KEPT], **more))

    def derivatives(g, x):
        first = cv.grad(lambda x: g(x).sum())
        return g(x), first(x), cv.grad(lambda x: first(x)[0])(x), cv.jacfwd(g)(x)

    with cv.enable_x64():
        ours, theirs = (cv.jit(lambda x, g=g: derivatives(g, x)) for g in (masked, chosen))
        want = theirs(np.array([1.0, 0.5, 2.0, -1.5]))
        for value in OTHERS:
            got = ours(np.array([1.0, value, 2.0, -1.5]))
            for a, b in zip(got, want, strict=True):
                onp.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
