"""The table of reductions, products, sets, calculus and polynomials."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tests.numpy.table import Case
from tests.numpy.table_arrays import DYN, INDEX, M, T, V, one

B34 = onp.arange(12).reshape(3, 4) % 3 > 0
W34 = onp.arange(1.0, 13).reshape(3, 4)
NAN34 = onp.where(onp.arange(12).reshape(3, 4) % 5 == 1, onp.nan, 0)


def along(name: str, kinds: str, *, over_all: bool = True, **more: Any) -> list[Case]:
    """Over all, over one axis, over two and kept, and where a mask is true."""
    f = lambda np: getattr(np, name)  # noqa: E731
    out = one(lambda np, x: f(np)(x, axis=-1), T, kinds=kinds, **more)
    if over_all:
        out += one(lambda np, x: f(np)(x), M, kinds=kinds, **more)
        out += one(lambda np, x: f(np)(x, axis=(0, 2), keepdims=True), T, kinds=kinds, **more)
    return out


def masked(name: str, kinds: str, **more: Any) -> list[Case]:
    return one(lambda np, x: getattr(np, name)(x, axis=1, where=B34, **more), M, kinds=kinds,
               edges=())  # fmt: skip


def with_nan(name: str, kinds: str = "fc", call: Any = None, **more: Any) -> list[Case]:
    """A function that leaves NaN out, of an array that has some; of integers, as without."""
    call = call or (lambda f, x: f(x, axis=1))
    out = one(lambda np, x: call(getattr(np, name), x + NAN34.astype(x.dtype)), M, kinds=kinds,
              edges=(), **more)  # fmt: skip
    return out + one(lambda np, x: call(getattr(np, name), x), M, kinds="iu", edges=(), **more)


def q(name: str) -> Any:
    return lambda np, x: getattr(np, name)(x, 0.3 if "quant" in name else 30, axis=1)


REDUCTIONS: dict[str, list[Case]] = {
    "sum": [*along("sum", "biufc"), *masked("sum", "biufc"), *masked("sum", "iufc", initial=3)],
    "prod": [*along("prod", "iufc", domain="small"), *masked("prod", "fc")],
    **{n: [*along(n, "biuf"), *masked(n, "iuf", initial=0)] for n in ("max", "min")},
    **{n: along(n, "biuf") for n in ("amax", "amin")},
    **{n: [*along(n, "biufc", diff=False), *one(
        lambda np, x, n=n: getattr(np, n)(x > 1, axis=1, where=B34), kinds="iuf", diff=False,
        edges=())] for n in ("all", "any")},
    "mean": [*along("mean", "biufc"), *masked("mean", "iufc")],
    **{n: [*along(n, "iufc"), *one(lambda np, x, n=n: getattr(np, n)(x, 0, ddof=1), kinds="iufc"),
           *masked(n, "iuf")]
       for n in ("var", "std")},
    "ptp": along("ptp", "iuf"),
    "average": [
        *one(lambda np, x: np.average(x, axis=1), kinds="iufc", edges=(((1, 1),),)),
        *one(lambda np, x: np.average(x, weights=W34, axis=0, returned=True), kinds="iuf",
             edges=()),
        *one(lambda np, x: np.average(x, weights=W34.T, axis=(2, 0)), (3, 2, 4), kinds="iuf",
             edges=()),
    ],
    "count_nonzero": along("count_nonzero", "biufc", domain="index", **INDEX),
    **{n: along(n, "biuf", over_all=False, **INDEX)
       + one(lambda np, x, n=n: getattr(np, n)(x, keepdims=True), kinds="biuf", **INDEX)
       for n in ("argmax", "argmin")},
    **{n: one(lambda np, x, n=n: getattr(np, n)(x), kinds="iufc", domain="small")
       + one(lambda np, x, n=n: getattr(np, n)(x, axis=-1), T, kinds="iufc", domain="small")
       for n in ("cumsum", "cumprod")},
    **{n: one(lambda np, x, n=n: getattr(np, n)(x, axis=1, include_initial=True), kinds="iufc",
              domain="small") for n in ("cumulative_sum", "cumulative_prod")},
    "median": [*one(lambda np, x: np.median(x, axis=1), kinds="iuf", edges=(((1, 1),),)),
               *one(lambda np, x: np.median(x, keepdims=True), kinds="iuf", edges=())],
    **{n: one(q(n), kinds="iuf", edges=(((1, 1),),)) + [
        c for m in ("lower", "higher", "midpoint", "nearest")
        for c in one(lambda np, x, n=n, m=m: getattr(np, n)(
            x, onp.array([0.2, 0.8]) * (100 if "perc" in n else 1), method=m), kinds="f",
            edges=())]
       for n in ("quantile", "percentile")},
    **{n: with_nan(n) for n in ("nansum", "nanmean", "nanvar", "nanstd")},
    "nanprod": with_nan("nanprod", domain="small"),
    **{n: with_nan(n, "f") for n in ("nanmax", "nanmin", "nanmedian")},
    **{n: with_nan(n, "f", **INDEX) for n in ("nanargmax", "nanargmin")},
    **{n: with_nan(n, domain="small") for n in ("nancumsum", "nancumprod")},
    **{n: with_nan(n, "f", lambda f, x, n=n: f(x, 0.3 if "quant" in n else 30, axis=1))
       for n in ("nanquantile", "nanpercentile")},
    # products
    "dot": [*one(lambda np, x, y: np.dot(x, y), M, (4, 2)), *one(lambda np, x, y: np.dot(x, y),
                                                                T, (4,))],
    "matmul": [*one(lambda np, x, y: np.matmul(x, y), T, (4, 2)),
               *one(lambda np, x, y: np.matmul(x, y), (4,), (2, 4, 3))],
    "matvec": one(lambda np, x, y: np.matvec(x, y), T, (2, 4)),
    "vecmat": one(lambda np, x, y: np.vecmat(x, y), (2, 3), T),
    "vecdot": one(lambda np, x, y: np.vecdot(x, y), T, (3, 4)),
    "vdot": one(lambda np, x, y: np.vdot(x, y), M, M),
    "inner": one(lambda np, x, y: np.inner(x, y), M, (2, 4)),
    "outer": one(lambda np, x, y: np.outer(x, y), M, V),
    "tensordot": one(lambda np, x, y: np.tensordot(x, y, ((1, 2), (0, 1))), T, (3, 4, 2)),
    "einsum": [
        *one(lambda np, x, y: np.einsum("bij,jk->bki", x, y), T, (4, 2)),
        *one(lambda np, x, y: np.einsum("...ij,...ij->...i", x, y), T, T),
        *one(lambda np, x: np.einsum("ii->i", x), (3, 3), edges=(((1, 1),), ((0, 0),))),
        *one(lambda np, x, y: np.einsum("ij,ij->", x, y), M, M),
    ],
    "kron": one(lambda np, x, y: np.kron(x, y), (2, 3), (2, 2)),
    "cross": [*one(lambda np, x, y: np.cross(x, y), (4, 3), (4, 3), kinds="iufc"),
              *one(lambda np, x, y: np.cross(x, y, axis=0), (3, 2), (3, 2), kinds="iufc")],
    # sets, counts, histograms
    "unique": [
        *one(lambda np, x: np.unique(x, return_index=True, return_inverse=True,
                                     return_counts=True), domain="index", **DYN),
        *one(lambda np, x: np.unique(x, size=12, fill_value=0), domain="index", diff=False,
             edges=(), kinds="biuf", ref=lambda x: padded(onp.unique(x), 12)),
        *one(lambda np, x: np.unique(x, axis=0), (4, 2), domain="index", **DYN),
        *one(lambda np, x: np.unique(x[:0]), domain="index", **DYN),
    ],
    **{n: one(lambda np, x, n=n: getattr(np, n)(x), domain="index", **DYN)
       for n in ("unique_all", "unique_counts", "unique_inverse")},
    "unique_values": one(lambda np, x: np.unique_values(x), domain="index", ref=onp.unique,
                         other="sorted", **DYN),
    **{n: [
        *one(lambda np, x, y, n=n: getattr(np, n)(x, y), V, M, kinds="biuf", domain="index", **DYN),
        *one(lambda np, x, y, n=n: getattr(np, n)(x, y, size=20, fill_value=0), V, M, kinds="iuf",
             domain="index", diff=False, edges=(),
             ref=lambda x, y, n=n: padded(getattr(onp, n)(x, y), 20)),
    ] for n in ("union1d", "intersect1d", "setdiff1d", "setxor1d")},
    "isin": [*one(lambda np, x, y: np.isin(x, y), M, V, kinds="biuf", domain="index", **INDEX),
             *one(lambda np, x, y: np.isin(x, y, invert=True), M, V, kinds="iu", domain="index",
                  **INDEX)],
    "bincount": [
        *one(lambda np, x: np.bincount(x), V, kinds="i", domain="index", **DYN),
        *one(lambda np, x: np.bincount(x, length=9), V, kinds="iu", domain="index", diff=False,
             ref=lambda x: onp.bincount(x.astype(int), minlength=9), edges=(((1,),), ((0,),))),
        *one(lambda np, x: np.bincount(onp.arange(6) % 4, x, length=5), V, kinds="f",
             ref=lambda x: onp.bincount(onp.arange(6) % 4, x, 5), edges=()),
    ],
    # Counts are floats, or integers, by the documentation.
    "histogram": [
        *one(lambda np, x: np.histogram(x, 4, (-2, 2)), kinds="iuf",
             ref=lambda x: as_type(float, onp.histogram(x, 4, (-2, 2))), **INDEX),
        *one(lambda np, x: np.histogram(x, onp.array([-2, 0, 1, 3]), density=True), kinds="f",
             ref=lambda x: as_type(float, onp.histogram(x, [-2, 0, 1, 3], density=True)),
             edges=(), **INDEX),
    ],
    "histogram_bin_edges": one(lambda np, x: np.histogram_bin_edges(x, 5), kinds="iuf",
                               edges=(((1, 1),),)),
    "histogram2d": one(
        lambda np, x, y: np.histogram2d(x, y, 3, [[-2, 2], [-2, 2]])[0], V, V, kinds="iuf",
        ref=lambda x, y: onp.histogram2d(x, y, 3, [[-2, 2], [-2, 2]])[0].astype(int), **INDEX),
    "histogramdd": one(
        lambda np, x: np.histogramdd(x, 3, [[-2, 2], [-2, 2]])[0], (6, 2), kinds="iuf",
        ref=lambda x: onp.histogramdd(x, 3, [[-2, 2], [-2, 2]])[0].astype(int), **INDEX),
    "packbits": [*one(lambda np, x: np.packbits(x), kinds="b", **INDEX),
                 *one(lambda np, x: np.packbits(x, axis=1, bitorder="little"), kinds="b",
                      **INDEX)],
    "unpackbits": one(lambda np, x: np.unpackbits(x.view(onp.uint8), axis=1, count=7), kinds="b",
                      **INDEX),
    # calculus, signals, statistics
    "diff": [*one(lambda np, x: np.diff(x, 2), kinds="iufc"),
             *one(lambda np, x: np.diff(x, axis=0, prepend=x[:1]), kinds="iufc"),
             *one(lambda np, x: np.diff(x), V, kinds="b")],
    "ediff1d": one(lambda np, x: np.ediff1d(x, to_begin=x[0, :1], to_end=x[1, :2]), kinds="iufc",
                   edges=()),
    "gradient": [*one(lambda np, x: np.gradient(x), kinds="ifc"),
                 *one(lambda np, x: np.gradient(x, 2.0, axis=1), kinds="ifc")],
    "trapezoid": [*one(lambda np, x: np.trapezoid(x, axis=0), kinds="iufc"),
                  *one(lambda np, x, y: np.trapezoid(x, y), M, M, kinds="iuf")],
    "interp": one(lambda np, x: np.interp(x, onp.arange(4.0), onp.arange(4.0) ** 2, left=-1.0),
                  kinds="iuf"),
    # Of integers in floats, by the documentation.
    **{n: [c for m in ("full", "same", "valid")
           for c in one(lambda np, x, y, n=n, m=m: getattr(np, n)(x, y, m), V, (3,), kinds="iufc",
                        ref=lambda x, y, n=n, m=m: getattr(onp, n)(x * 1.0, y * 1.0, m),
                        edges=(((1,), (1,)), ((0,), (3,)), ((3,), (0,))))]
       for n in ("convolve", "correlate")},
    "cov": [*one(lambda np, x: np.cov(x), kinds="iufc", edges=()),
            *one(lambda np, x, y: np.cov(x, y, rowvar=False, bias=True), (4, 2), (4, 2),
                 kinds="iuf", edges=())],
    "corrcoef": one(lambda np, x: np.corrcoef(x), kinds="iufc", tol=64, edges=()),
    **{n: one(lambda np, x, n=n: getattr(np, n)(7), kinds="f", diff=False, batched=False,
              tol=2.0**30, other="float32 or float64 by enable_x64", edges=())
       for n in ("bartlett", "blackman", "hamming", "hanning")},
    "kaiser": one(lambda np, x: np.kaiser(7, 3.0), kinds="f", diff=False, batched=False,
                  tol=2.0**30, edges=()),
    # polynomials
    "poly": one(lambda np, x: np.poly(x), V, kinds="f", tol=256, edges=(((1,),),)),
    "polyadd": one(lambda np, x, y: np.polyadd(x, y), V, (3,), kinds="iufc"),
    "polysub": one(lambda np, x, y: np.polysub(x, y), V, (3,), kinds="iufc"),
    "polymul": one(lambda np, x, y: np.polymul(x, y), V, (3,), kinds="iufc", domain="nonzero",
                   edges=(), ref=lambda x, y: onp.polymul(x * 1.0, y * 1.0)),
    "polydiv": one(lambda np, x, y: np.polydiv(x, y), V, (3,), kinds="fc", domain="positive",
                   tol=4096, edges=(), other="leading zeros of the remainder stay",
                   ref=lambda x, y: division(x, y)),
    "polyder": one(lambda np, x: np.polyder(x, 2), V, kinds="iufc",
                   ref=lambda x: onp.polyder(x * 1.0, 2), edges=(((1,),), ((0,),))),
    "polyint": one(lambda np, x: np.polyint(x, 2), V, kinds="iufc",
                   edges=(((1,),), ((0,),))),
    "polyval": one(lambda np, x, y: np.polyval(x, y), V, M, kinds="iufc", domain="small"),
    # functions of functions
    "apply_along_axis": one(lambda np, x: np.apply_along_axis(lambda v: v[::2] * 2, 1, x),
                            kinds="iufc", edges=(((1, 1),), ((3, 0),))),
    "apply_over_axes": one(lambda np, x: np.apply_over_axes(np.sum, x, (0, 2)), T, kinds="ifc"),
    "vectorize": one(lambda np, x: np.vectorize(lambda a: a * 2 + 1)(x), kinds="iufc", edges=()),
    "frompyfunc": one(lambda np, x, y: np.frompyfunc(lambda a, b: a * b + a, 2, 1)(x, y), M, (4,),
                      kinds="iufc", ref=lambda x, y: x * y + x, edges=()),
    "ufunc": one(lambda np, x, y: np.add.outer(x, y), V, (3,), kinds="iufc"),
    # comparisons of arrays
    "allclose": one(lambda np, x, y: (np.allclose(x, x), np.allclose(x, y)), M, M, kinds="iufc",
                    **INDEX),
    **{n: one(lambda np, x, y, n=n: (getattr(np, n)(x, x), getattr(np, n)(x, y)), M, (3, 4),
              **INDEX) for n in ("array_equal", "array_equiv")},
}  # fmt: skip


def padded(x: Any, size: int) -> Any:
    return onp.pad(x, (0, size - len(x)))


def as_type(dtype: Any, xs: Any) -> Any:
    return [onp.asarray(x).astype(dtype) for x in xs]


def division(x: Any, y: Any) -> Any:
    quotient, remainder = onp.polydiv(x, y)
    return quotient, onp.pad(remainder, (len(x) - len(remainder), 0))
