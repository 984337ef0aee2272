"""What the tables of functions share: a case, its arguments, its reference, and comparison."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as onp

import covector as cv
import covector.numpy as np

DTYPES = {
    "b": ("bool",),
    "i": ("int8", "int32", "int64"),
    "u": ("uint8", "uint32", "uint64"),
    "f": ("float16", "bfloat16", "float32", "float64"),
    "c": ("complex64", "complex128"),
}
# Of functions that convert integers to floats first, two integer types are enough.
CONVERTED = {"n": ("int32", "uint8")}
KIND = {name: kind for kind, names in DTYPES.items() for name in names}
SPECIAL = [0.0, -0.0, 1.0, -1.0, onp.nan, onp.inf, -onp.inf, 0.5, -2.5, 3.5]
# Classes of exceptions that the documentation names.
DOCUMENTED = (TypeError, ValueError, IndexError, NotImplementedError)


@dataclass(frozen=True)
class Case:
    """An application of a public function to arrays of one dtype.

    ``f(np, *xs)`` is called with this module and with NumPy, or NumPy's side is ``ref(*xs)``.
    ``shapes`` are the shapes of ``xs``; ``edges`` further ones, or None for those derived from
    ``shapes`` by setting sizes to one and to zero. ``kinds`` are the kinds of dtypes it takes;
    ``domain`` says which values. ``tol`` is in units of the last place: of the element for
    elementwise functions, of the largest element for the others. ``other`` says in a word where
    the function differs from NumPy's by its documentation. The reference is computed in a wider
    type unless ``narrow``.
    """

    f: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((3, 4),)
    kinds: str = "biufc"
    domain: str = "any"
    ref: Callable[..., Any] | None = None
    edges: tuple[tuple[tuple[int, ...], ...], ...] | None = None
    diff: bool = True
    traced: bool = True
    batched: bool = True
    elementwise: bool = False
    special: bool = False
    signed_zero: bool = True
    narrow: bool = False
    tol: float = 16.0
    other: str = ""
    name: str = ""

    def dtypes(self) -> list[str]:
        return [d for kind in self.kinds for d in (DTYPES | CONVERTED)[kind]]

    def all_edges(self) -> Iterator[tuple[tuple[int, ...], ...]]:
        if self.edges is not None:
            yield from self.edges
            return
        seen = {self.shapes}
        for change in (
            lambda s: (1,) * len(s),
            lambda s: (0, *s[1:]) if s else s,
            lambda s: (*s[:-1], 0) if s else s,
            lambda s: (),
        ):
            shapes = tuple(change(s) for s in self.shapes)
            if shapes not in seen:
                seen.add(shapes)
                yield shapes


def dtype_of(name: str) -> Any:
    return onp.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else onp.dtype(name)


def wide_of(name: str) -> Any:
    """The type of the reference: as exact as NumPy has and its functions all take."""
    return onp.float64 if KIND[name] == "f" else onp.complex128


def values(name: str, shape: tuple[int, ...], seed: int, domain: str, special: bool) -> Any:
    """An array of a dtype: special values first, then random ones of the domain."""
    r = onp.random.RandomState(seed)
    n = int(onp.prod(shape))
    kind, dt = KIND[name], dtype_of(name)
    if kind == "b":
        return onp.asarray(r.rand(n) < 0.5).reshape(shape)
    if kind in "iu":
        low = 1 if domain in ("positive", "nonzero", "above1") else 0 if kind == "u" else -9
        out = r.randint(0 if domain in ("index", "small") else low, 4 if domain == "index" else
                        3 if domain == "small" else 10, n)  # fmt: skip
        if domain == "nonzero" and kind == "i":
            out = out * r.choice([-1, 1], n)
        if special:
            info = onp.iinfo(dt)
            out = out.astype(dt)
            k = min(n, 6)
            out[:k] = onp.array([info.min, info.max, 0, 1, info.max - 1, info.min + 1], dt)[:k]
    else:
        out = real(r, n, domain)
        if kind == "c":
            out = out + 1j * real(r, n, domain)
        elif special:
            tiny = float(ml_dtypes.finfo(dt).smallest_subnormal)
            out = onp.concatenate([[*SPECIAL, 3 * tiny, -tiny], out])[:n]
    return onp.asarray(r.permutation(out)).astype(dt).reshape(shape)


def real(r: Any, n: int, domain: str) -> Any:
    x = r.randn(n)
    if domain in ("positive", "small", "index"):
        return onp.abs(x) + 0.3
    if domain == "above1":
        return onp.abs(x) + 1.05
    if domain == "unit":
        return onp.tanh(x) * 0.95
    if domain == "nonzero":
        return onp.copysign(onp.abs(x) + 0.3, x)
    return x


def arguments(case: Case, dtype: str, shapes: Any = None, special: bool = False) -> list[Any]:
    # Large integers are rounded by the conversion to floats before the function sees them.
    special = special and not (KIND[dtype] in "iu" and "n" in case.kinds)
    seed = zlib.crc32(f"{case.name} {dtype}".encode()) % 2**31
    return [
        values(dtype, s, (seed + k) % 2**31, case.domain, special)
        for k, s in enumerate(case.shapes if shapes is None else shapes)
    ]


def leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        x = list(x.values())
    return [y for part in x for y in leaves(part)] if isinstance(x, (tuple, list)) else [x]


def kind_of(dtype: Any) -> str:
    return "f" if dtype == ml_dtypes.bfloat16 else dtype.kind


def reference(case: Case, dtype: str, xs: list[Any]) -> list[Any]:
    """NumPy's results, of inexact numbers in the wide type."""

    def call(args: list[Any]) -> list[Any]:
        out = case.ref(*args) if case.ref else case.f(onp, *args)
        return [onp.asarray(y) for y in leaves(out)]

    if case.narrow:
        return call(xs)
    if KIND[dtype] in "fc":
        return call([x.astype(wide_of(dtype)) for x in xs])
    out = call(xs)
    if any(y.dtype.kind in "fc" for y in out):
        wide = call([x.astype(onp.float64) for x in xs])
        out = [w if y.dtype.kind in "fc" else y for y, w in zip(out, wide, strict=True)]
    return out


def compare(case: Case, dtype: str, got: Any, want: list[Any], what: str, factor: float = 1.0):
    """Shapes, kinds of dtype and values agree; NaN, infinities and the sign of zeros too."""
    got = leaves(got)
    assert len(got) == len(want), f"{what}: {len(got)} results in place of {len(want)}"
    for g, w in zip(got, want, strict=True):
        g = onp.asarray(g)
        assert g.shape == w.shape, f"{what}: shape {g.shape} in place of {w.shape}"
        kind = kind_of(w.dtype)
        assert kind_of(g.dtype) == kind, f"{what}: dtype {g.dtype} in place of {w.dtype}"
        if kind in "biuUSO":
            onp.testing.assert_array_equal(g, w, err_msg=what)
            continue
        close(case, g, w, what, factor)


def close(case: Case, g: Any, w: Any, what: str, factor: float) -> None:
    info = ml_dtypes.finfo(g.dtype)
    with onp.errstate(all="ignore"):
        rounded = w.astype(g.dtype).astype(w.dtype)
    if w.dtype.kind == "c":
        nan = onp.isnan(rounded)
        assert onp.array_equal(onp.isnan(g), nan), f"{what}: NaN differ"
        plain = onp.isfinite(rounded)
    else:
        plain = onp.isfinite(rounded)
        odd = g[~plain].astype(w.dtype)
        assert onp.array_equal(odd, rounded[~plain], equal_nan=True), (
            f"{what}: {g[~plain][:5]} in place of {rounded[~plain][:5]}"
        )
    g, w = g[plain].astype(w.dtype), w[plain]
    size = onp.abs(w)
    if not case.elementwise:
        size = onp.maximum(size, max(1.0, float(onp.max(size, initial=0.0))))
    limit = factor * case.tol * float(info.eps) * size + float(info.smallest_subnormal)
    error = onp.abs(g - w)
    far = error > limit
    assert not far.any(), (
        f"{what}: off by {onp.max(error[far] / limit[far]):.3g} limits: "
        f"{g[far][:5]} in place of {w[far][:5]}"
    )
    if case.elementwise and case.signed_zero and w.dtype.kind == "f":
        zero = (w == 0) & (g == 0)
        assert onp.array_equal(onp.signbit(g[zero]), onp.signbit(w[zero])), f"{what}: sign of zero"


def together(cases: list[Case], of: Callable[[Any], Any] = lambda f: f) -> Callable[..., Any]:
    """All cases as one function of the list of their arguments."""

    def program(args: list[Any]) -> list[Any]:
        out = []
        for case, xs in zip(cases, args, strict=True):
            try:
                out.append(of(lambda *a, case=case: leaves(case.f(np, *a)))(*xs))
            except Exception as error:
                error.add_note(f"in the case {case.name}")
                raise
        return out

    return program


def inexact(tree: Any) -> list[Any]:
    return [y for y in leaves(tree) if kind_of(y.dtype) in "fc"]


def compiled(cases: list[Case], args: list[Any]) -> list[Any]:
    return cv.jit(together(cases))(args) if cases else []
