"""The table of elementwise functions of `covector.numpy`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as onp

from tests.numpy.table import Case

# The last dimension is too long to be unrolled, and has room for the special values.
UNARY = Case(
    lambda np, x: x, ((3, 40),), edges=(((),), ((1,),), ((1, 1),), ((0,),), ((2, 0, 3),)),
    elementwise=True, special=True, tol=4,
)  # fmt: skip
BINARY = dataclasses.replace(
    UNARY,
    shapes=((3, 40), (40,)),
    edges=(((3, 1), (1, 4)), ((), (2,)), ((2,), ()), ((), ()), ((1,), (1, 1)), ((0, 3), (3,)),
           ((0,), (1,)), ((3, 4), (3,))),
)  # fmt: skip


def unary(name: str, kinds: str = "biufc", domain: str = "any", **more: Any) -> list[Case]:
    f = lambda np, x: getattr(np, name)(x)  # noqa: E731
    return [dataclasses.replace(UNARY, f=f, kinds=kinds, domain=domain, **more)]


def binary(name: str, kinds: str = "biufc", domain: str = "any", **more: Any) -> list[Case]:
    f = lambda np, x, y: getattr(np, name)(x, y)  # noqa: E731
    return [dataclasses.replace(BINARY, f=f, kinds=kinds, domain=domain, **more)]


def step(name: str, kinds: str, **more: Any) -> list[Case]:
    """Functions with values in bool or integers, or without a derivative."""
    make = binary if name in TWO else unary
    return make(name, kinds, **({"diff": False} | more))


TWO = {
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift",
    "left_shift", "right_shift", "equal", "not_equal", "less", "less_equal", "greater",
    "greater_equal", "logical_and", "logical_or", "logical_xor", "gcd", "lcm", "nextafter",
    "isclose", "copysign", "heaviside",
}  # fmt: skip

ELEMENTWISE: dict[str, list[Case]] = {
    # signs and parts
    **{n: unary(n) for n in ("abs", "absolute")},
    "fabs": unary("fabs", "iuf"),
    "negative": unary("negative", "iufc"),
    "positive": unary("positive", "iufc"),
    "sign": unary("sign", "iufc", signed_zero=False, other="-0.0 has the sign -0.0"),
    **{n: unary(n, "iufc") for n in ("conj", "conjugate")},
    **{n: unary(n) for n in ("real", "imag")},
    "square": unary("square", "iufc"),
    "reciprocal": unary("reciprocal", "fc", "nonzero"),
    # powers, exponentials, logarithms
    "sqrt": unary("sqrt", "bnfc", domain="positive"),
    "cbrt": unary("cbrt", "bnf", "nonzero"),
    **{n: unary(n, "bnfc") for n in ("exp", "exp2", "expm1")},
    "log": unary("log", "bnfc", domain="positive"),
    "log2": [
        *unary("log2", "bnfc", domain="positive"),
        *unary("log2", "c", domain="index", diff=False),  # also of zero
    ],
    "log10": [
        *unary("log10", "bnfc", domain="positive"),
        *unary("log10", "c", domain="index", diff=False),  # also of zero
    ],
    "log1p": unary("log1p", "bnfc", domain="positive"),
    # circles and hyperbolas
    **{n: unary(n, "bnfc") for n in ("sin", "cos", "tan", "arctan", "atan")},
    **{n: unary(n, "bnfc") for n in ("sinh", "cosh", "tanh", "arcsinh", "asinh")},
    **{n: unary(n, "bnfc", domain="unit") for n in ("arcsin", "asin", "arccos", "acos")},
    **{n: unary(n, "bnfc", domain="unit") for n in ("arctanh", "atanh")},
    **{n: unary(n, "bnfc", domain="above1") for n in ("arccosh", "acosh")},
    **{n: unary(n, "nf") for n in ("deg2rad", "radians", "rad2deg", "degrees")},
    "sinc": unary("sinc", "bnf", "nonzero", elementwise=False),
    # Clenshaw's recurrence at the end of an interval of length 8 loses two digits.
    "i0": unary("i0", "nf", special=False, tol=128),
    "angle": [
        *unary("angle", "c"),
        dataclasses.replace(UNARY, f=lambda np, x: np.angle(x, deg=True), kinds="ifc",
                            signed_zero=False),
    ],
    # rounding
    **{n: unary(n, "biuf") for n in ("floor", "ceil", "trunc")},
    "rint": unary("rint", "iufc"),
    "round": [
        *unary("round", "iufc"),
        dataclasses.replace(UNARY, f=lambda np, x: np.round(x, 1), kinds="f", tol=4),
    ],
    "around": unary("around", "iufc"),
    # tests
    **{n: step(n, "biufc") for n in ("isfinite", "isinf", "isnan", "logical_not")},
    **{n: step(n, "biuf") for n in ("isneginf", "isposinf")},
    **{n: step(n, "biufc") for n in ("iscomplex", "isreal")},
    "signbit": step("signbit", "iuf"),
    **{n: step(n, "biufc") for n in ("equal", "not_equal", "logical_and", "logical_or",
                                     "logical_xor")},
    **{n: step(n, "biufc") for n in ("less", "less_equal", "greater", "greater_equal")},
    "isclose": [
        *step("isclose", "iufc", domain="positive"),
        dataclasses.replace(
            BINARY, f=lambda np, x, y: np.isclose(x, y, 0.5, 0.1, equal_nan=True), kinds="f",
            diff=False,
        ),
    ],
    # bits
    **{n: step(n, "biu") for n in ("invert", "bitwise_not", "bitwise_invert")},
    "bitwise_count": step("bitwise_count", "iu", other="the result has the operand's dtype"),
    **{n: step(n, "biu") for n in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{n: step(n, "iu", domain="index", special=False)
       for n in ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")},
    # arithmetic
    "add": binary("add"),
    "subtract": binary("subtract", "iufc"),
    "multiply": binary("multiply"),
    "divide": binary("divide", "bnfc", domain="nonzero"),
    "true_divide": binary("true_divide", "bnfc", domain="nonzero"),
    # Integers divided by zero are not defined, and the sign of a zero is that of the remainder.
    **{n: [*binary(n, "f", "nonzero", signed_zero=False),
           *binary(n, "iu", "nonzero", special=False)]
       for n in ("floor_divide", "remainder", "fmod", "divmod")},
    "mod": [
        *binary("mod", "f", "nonzero", signed_zero=False), *binary("mod", "iu", special=False)
    ],
    "power": [
        *binary("power", "fc", "positive"),
        *binary("power", "iu", "small", special=False),
        dataclasses.replace(UNARY, f=lambda np, x: np.power(x, 3), kinds="iufc", tol=8),
        dataclasses.replace(UNARY, f=lambda np, x: np.power(x, -2), kinds="fc", domain="nonzero",
                            tol=8),
    ],
    "pow": binary("pow", "fc", "positive"),
    "float_power": binary("float_power", "nf", "positive", tol=8),
    "hypot": binary("hypot", "bnf", "nonzero"),
    "arctan2": binary("arctan2", "bnf"),
    "atan2": binary("atan2", "bnf"),
    # Near zero the greater operand and the logarithm cancel.
    "logaddexp": binary("logaddexp", "nf", elementwise=False),
    "logaddexp2": [
        *binary("logaddexp2", "nf", elementwise=False),
        *binary("logaddexp2", "c", elementwise=False, tol=64,
                ref=lambda x, y: onp.log(2.0**x + 2.0**y) / onp.log(2.0)),
    ],
    **{n: binary(n, signed_zero=False) for n in ("maximum", "minimum")},
    **{n: binary(n, signed_zero=False) for n in ("fmax", "fmin")},
    "copysign": step("copysign", "nf", diff=True),
    "heaviside": step("heaviside", "nf"),
    "gcd": step("gcd", "iu"),
    "lcm": step("lcm", "iu", special=False),
    "nextafter": step("nextafter", "f", narrow=True),
    "spacing": step("spacing", "f", narrow=True,
                    ref=lambda x: onp.spacing(x) if x.dtype.kind == "f" else
                    onp.where(x < 0, -onp.spacing(onp.abs(x)), onp.spacing(onp.abs(x)))),
    "ldexp": [
        dataclasses.replace(UNARY, f=lambda np, x: np.ldexp(x, onp.arange(40) % 9 - 4), kinds="f"),
        dataclasses.replace(UNARY, f=lambda np, x: np.ldexp(x, onp.arange(40) % 2 == 0), kinds="f"),
    ],
    "frexp": [
        dataclasses.replace(UNARY, f=lambda np, x: np.frexp(x), kinds="f", special=False,
                            diff=False),
    ],
    "modf": [dataclasses.replace(UNARY, f=lambda np, x: np.modf(x), kinds="f", signed_zero=False)],
    "nan_to_num": [
        dataclasses.replace(UNARY, f=lambda np, x: np.nan_to_num(x, nan=7, posinf=8, neginf=9),
                            kinds="f"),
        dataclasses.replace(UNARY, f=lambda np, x: np.nan_to_num(x), kinds="biuc"),
    ],
    "clip": [
        dataclasses.replace(UNARY, f=lambda np, x: np.clip(x, 1, 3), kinds="iuf"),
        dataclasses.replace(UNARY, f=lambda np, x: np.clip(x, None, 2), kinds="iuf"),
        dataclasses.replace(UNARY, f=lambda np, x: np.clip(x, 2, None), kinds="iuf"),
    ],
    "unwrap": [
        Case(lambda np, x: np.unwrap(3 * x), ((3, 7),), "f", other="integers keep their dtype"),
        Case(lambda np, x: np.unwrap(3 * x, axis=0, period=4), ((7, 3),), "f"),
    ],
}  # fmt: skip
