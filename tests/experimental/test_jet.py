"""Taylor series: beside repeated derivatives, for every elementwise primitive; control flow."""

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.core import dtypes
from covector.core.rules import ELEMENTWISE, jvp_rules
from covector.experimental import jet as module
from covector.experimental.jet import jet, jet2, jet_rules

ORDER = 3
CURVE = (1.0, 0.5, -0.3)
FUNCTIONS = {
    "polynomial": lambda x: x**3 - 2 * x**-2 + x**2.5 + x**x,
    "rational": lambda x: (1 + x) / (1 + x * x), "roots": lambda x: cnp.sqrt(x) + cnp.cbrt(x),
    "periodic": lambda x: cnp.sin(x) * cnp.cos(2 * x) + cnp.tan(x),
    "hyperbolic": lambda x: cnp.sinh(x) + cnp.cosh(x) * cnp.tanh(x),
    "logarithms": lambda x: cnp.log(x) * cnp.log1p(x) + cnp.exp2(x) + cnp.expm1(x),
    "pieces": lambda x: cnp.abs(x) * cnp.maximum(x, 0.1) + cnp.where(x > 0, x * x, x),
    "special": lambda x: lax.erf(x) + lax.lgamma(x) + lax.igamma(2.0, x),
    "networks": lambda x: cv.nn.gelu(x) + cv.nn.softplus(x) + cv.nn.sigmoid(x),
    "custom": lambda x: cv.nn.logsumexp(cnp.stack([x, 2 * x])) + cv.nn.silu(x),
    "arrays": lambda x: cnp.dot(cnp.stack([x, x * x]), cnp.sort(cnp.stack([x, 1.0 - x]))),
    "products": lambda x: cnp.cumprod(cnp.stack([x, x, x]))[2] + cnp.prod(cnp.stack([x, x])),
    "jit": lambda x: cv.jit(lambda y: cnp.sin(y * y))(x),
    "scan": lambda x: lax.scan(lambda c, s: (cnp.sin(c) * s, c), x, cnp.stack([x, x]))[1].sum(),
    "cond": lambda x: lax.cond(x > 0, cnp.sin, cnp.cos, x) * lax.fori_loop(
        0, 3, lambda i, c: c * x + i, x),
}  # fmt: skip


def derivatives(f, order=ORDER):
    """Those of f along the curve, one after the other."""

    def along(t):
        return f(0.6 + sum(c * t ** (k + 1) / module.fact(k + 1) for k, c in enumerate(CURVE)))

    out = []
    for _ in range(order + 1):
        out.append(along)
        along = (lambda g: lambda t: cv.jvp(g, (t,), (1.0,))[1])(along)
    return cv.jit(lambda t: [g(t) for g in out])(0.0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    f = FUNCTIONS[name]
    with cv.enable_x64():
        y, terms = cv.jit(lambda x: jet(f, (x,), (CURVE,)))(0.6)
        np.testing.assert_allclose([y, *terms], derivatives(f), 1e-9, 1e-9)


def test_coefficients():
    """`jet2` takes and gives coefficients, `jet` derivatives."""
    scale = [1, 2, 6]
    _, terms = jet(cnp.exp, (0.6,), (CURVE,))
    _, scaled = jet2(cnp.exp, (0.6,), ([c / s for c, s in zip(CURVE, scale, strict=True)],))
    np.testing.assert_allclose([t / s for t, s in zip(terms, scale, strict=True)], scaled, 1e-6)


def test_while():
    def f(x):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * c[1]), (0, x))[1]

    with cv.enable_x64():
        _, terms = jet(f, (0.6,), ((1.0, 0.0, 0.0),))
    np.testing.assert_allclose(terms, [8 * 0.6**7, 56 * 0.6**6, 336 * 0.6**5], 1e-9)


def test_every_elementwise_primitive():
    """Rules of their own agree with the derivative, which all others go by."""
    found = {}
    with cv.enable_x64():
        for prim in ELEMENTWISE.values():
            if prim not in jet_rules or prim not in jvp_rules:
                continue
            n = prim.spec.arity
            if n > 2 or prim.name in (
                "convert_element_type",
                "complex",
                "select_n",
                "real",
                "imag",
            ):
                continue
            xs = [cnp.asarray(v) for v in (0.6, 0.3)[:n]]
            params = {"y": 3} if prim.name == "integer_pow" else {}
            series = [[cnp.asarray(c) for c in (1.0, 0.5, 0.25)] for _ in xs]
            if getattr(jet_rules[prim], "func", None) is module.zero_prop.__wrapped__:
                continue
            y, terms = jet_rules[prim](tuple(xs), tuple(series), **params)

            def f(*v, prim=prim, params=params):
                return prim.bind(*v, **params)

            rule = jet_rules.pop(prim)
            try:
                _, want = jet2(f, xs, series)
            finally:
                jet_rules[prim] = rule
            np.testing.assert_allclose(terms, want, 1e-9, 1e-12)
            found[prim.name] = y
    assert {"exp", "sin", "tanh", "mul", "div", "log", "sqrt", "integer_pow"} <= set(found)


def test_transformations_and_dtypes():
    def third(x):
        return jet(cnp.sin, (x,), ((1.0, 0.0, 0.0),))[1][2]

    x = np.float32([0.3, 0.6])
    np.testing.assert_allclose(cv.vmap(third)(x), -np.cos(x), 1e-5)
    np.testing.assert_allclose(cv.grad(third)(0.6), np.sin(0.6), 1e-5)
    for dtype in (cnp.bfloat16, np.float16, np.float32):
        y, (d, e) = jet(cnp.exp, (cnp.asarray(0.5, dtype),), ((1.0, 0.0),))
        assert y.dtype == d.dtype == e.dtype == dtype
        np.testing.assert_allclose(np.float32(e), np.exp(0.5), 2e-2)
    y, (d,) = jet(lambda x: x * x, (2,), ((1,),))
    assert d == 4 and d.dtype in dtypes.FLOATS
    y, terms = jet(lambda x, y: {"a": x * y, "b": 3.0}, (2.0, x), ((1.0, 0.0), (x, x)))
    assert terms["b"] == [0, 0] and terms["a"][0].shape == (2,)
    np.testing.assert_allclose(terms["a"][0], x + 2 * x, 1e-6)
    assert jet(cnp.sin, (1.0,), ((),))[1] == []
    empty = jet(cnp.sin, (np.ones(0, np.float32),), ((np.ones(0, np.float32),),))[1][0]
    assert empty.shape == (0,)


def test_bad_input():
    with pytest.raises(ValueError, match="one length"):
        jet(lambda x, y: x, (1.0, 2.0), ((1.0, 2.0), (1.0,)))
    with pytest.raises(ValueError, match="as many series"):
        jet(lambda x: x, (1.0,), ((1.0,), (1.0,)))
    with pytest.raises(TypeError, match="are arrays"):
        jet(lambda x: x, ((1.0, 2.0),), ((1.0,),))
