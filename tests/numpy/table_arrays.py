"""The table of functions that create, reshape, join, index and order arrays."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tests.numpy.table import Case

K = onp.array([2, 0, 1])
I34 = onp.array([[0, 2, 1, 1], [2, 2, 0, 1], [1, 0, 0, 2]])
B3 = onp.array([True, False, True])
B34 = I34 > 0
PART = {"kinds": "biuf"}
FLAT = {"elementwise": True, "tol": 2.0}


def one(f: Any, *shapes: Any, **more: Any) -> list[Case]:
    return [Case(f, shapes or ((3, 4),), **more)]


V, M, T = (6,), (3, 4), (2, 3, 4)
NO = {"edges": ()}
DYN = {"traced": False, "diff": False, "edges": ()}
INDEX = {"diff": False}

SHAPES: dict[str, list[Case]] = {
    # creation: the dtype is that of x
    **{n: one(lambda np, x, n=n: getattr(np, n)((2, 3), x.dtype), diff=False, batched=False)
       for n in ("zeros", "ones")},
    "full": one(lambda np, x: np.full((2, 3), x[:, :3][0], x.dtype), **NO),
    **{n: one(lambda np, x, n=n: getattr(np, n)(x)) for n in ("zeros_like", "ones_like")},
    "full_like": one(lambda np, x: np.full_like(x, 1)),
    **{n: one(lambda np, x, n=n, a=a: getattr(np, n)(*a(x)).shape, traced=False, diff=False,
              edges=())
       for n, a in (("empty", lambda x: ((2, 3), x.dtype)), ("empty_like", lambda x: (x,)))},
    "array": one(lambda np, x: np.array(x, ndmin=3)),
    "asarray": one(lambda np, x: np.asarray(x)),
    "copy": one(lambda np, x: np.copy(x)),
    "astype": [
        *one(lambda np, x: np.astype(x, onp.float32), kinds="biuf", diff=False),
        *one(lambda np, x: np.astype(x, onp.int32), kinds="bi", diff=False),
    ],
    "arange": one(lambda np, x: np.arange(1, 9, 2, dtype=x.dtype), kinds="iuf", diff=False,
                  batched=False, edges=()),
    "linspace": [
        *one(lambda np, x: np.linspace(x, 2 * x, 5), kinds="fc"),
        *one(lambda np, x: np.linspace(x[0], x[1], 4, endpoint=False, axis=-1), kinds="fc",
             edges=(((2, 0),), ((0, 2),))),
        *one(lambda np, x: np.linspace(1, 9, 5, dtype=x.dtype), kinds="iuf", diff=False,
             batched=False),
    ],
    "logspace": one(lambda np, x: np.logspace(x, 1, 4), kinds="f", tol=64),
    "geomspace": one(lambda np, x: np.geomspace(x, 8, 4), kinds="f", domain="positive", tol=64),
    "eye": one(lambda np, x: np.eye(3, 4, 1, x.dtype), diff=False, batched=False),
    "identity": one(lambda np, x: np.identity(3, x.dtype), diff=False, batched=False),
    "tri": one(lambda np, x: np.tri(3, 4, -1, x.dtype), diff=False, batched=False),
    "indices": one(lambda np, x: np.indices((2, 3), x.dtype), kinds="iuf", diff=False,
                   batched=False),
    "fromfunction": one(lambda np, x: np.fromfunction(lambda i, j: i + 2 * j, (2, 3),
                                                      dtype=x.dtype),
                        kinds="iuf", diff=False, batched=False),
    "meshgrid": [
        *one(lambda np, x, y: np.meshgrid(x, y), (3,), (4,)),
        *one(lambda np, x, y: np.meshgrid(x, y, indexing="ij", sparse=True), (3,), (4,)),
    ],
    "vander": one(lambda np, x: np.vander(x, 3), V, kinds="ifc"),
    "diag": [*one(lambda np, x: np.diag(x, 1), (3, 4)), *one(lambda np, x: np.diag(x, -1), V)],
    "diagflat": one(lambda np, x: np.diagflat(x, 1)),
    "diagonal": one(lambda np, x: np.diagonal(x, 1, 0, 2), T),
    "tril": one(lambda np, x: np.tril(x, 1)),
    "triu": one(lambda np, x: np.triu(x, -1)),
    "trace": one(lambda np, x: np.trace(x, 1), kinds="iufc"),
    "fill_diagonal": one(lambda np, x: np.fill_diagonal(x, 1, inplace=False),
                         ref=lambda x: filled(x), edges=(((1, 1),), ((3,),))),
    # shape
    "reshape": [
        *one(lambda np, x: np.reshape(x, (4, -1))),
        *one(lambda np, x: np.reshape(x, (2, 6), order="F")),
    ],
    "ravel": [*one(lambda np, x: np.ravel(x)), *one(lambda np, x: np.ravel(x, order="F"))],
    "resize": one(lambda np, x: np.resize(x, (2, 7))),
    "shape": one(lambda np, x: np.shape(x), traced=False, diff=False),
    "size": one(lambda np, x: (np.size(x), np.size(x, 0)), traced=False, diff=False),
    "ndim": one(lambda np, x: np.ndim(x), traced=False, diff=False),
    "transpose": [
        *one(lambda np, x: np.transpose(x), T), *one(lambda np, x: np.transpose(x, (1, 0, 2)), T),
    ],
    "permute_dims": one(lambda np, x: np.permute_dims(x, (2, 0, 1)), T),
    "matrix_transpose": one(lambda np, x: np.matrix_transpose(x), T),
    "swapaxes": one(lambda np, x: np.swapaxes(x, 0, -1), T),
    "moveaxis": one(lambda np, x: np.moveaxis(x, (0, 1), (2, 0)), T),
    "rollaxis": [*one(lambda np, x: np.rollaxis(x, 2), T),
                 *one(lambda np, x: np.rollaxis(x, 1, -1), T, edges=()),
                 *one(lambda np, x: np.rollaxis(x, 0, -1), T, edges=())],
    "squeeze": [*one(lambda np, x: np.squeeze(x), (1, 3, 1)),
                *one(lambda np, x: np.squeeze(x, 0), (1, 3))],
    "expand_dims": one(lambda np, x: np.expand_dims(x, (0, -1))),
    **{n: one(lambda np, x, n=n: getattr(np, n)(x)) + one(lambda np, x, n=n: getattr(np, n)(x), V)
       for n in ("atleast_1d", "atleast_2d", "atleast_3d")},
    "broadcast_to": one(lambda np, x: np.broadcast_to(x, (2, 3, 4)), (3, 1)),
    "broadcast_arrays": one(lambda np, x, y: np.broadcast_arrays(x, y), (3, 1), (4,)),
    "flip": [*one(lambda np, x: np.flip(x)), *one(lambda np, x: np.flip(x, -1))],
    "fliplr": one(lambda np, x: np.fliplr(x)),
    "flipud": one(lambda np, x: np.flipud(x)),
    "rot90": [*one(lambda np, x: np.rot90(x)), *one(lambda np, x: np.rot90(x, 3, (1, 2)), T)],
    "roll": [*one(lambda np, x: np.roll(x, 2)), *one(lambda np, x: np.roll(x, (1, -2), (0, 1)))],
    # joining and splitting
    **{n: one(lambda np, x, y, n=n: getattr(np, n)([x, y], axis=1), M, (3, 2))
       + one(lambda np, x, y, n=n: getattr(np, n)([x, y], axis=None), M, V)
       for n in ("concatenate", "concat")},
    "stack": one(lambda np, x, y: np.stack([x, y], -1), M, M),
    **{n: one(lambda np, x, y, n=n: getattr(np, n)([x, y]), M, M)
       + one(lambda np, x, y, n=n: getattr(np, n)([x, y]), V, V)
       for n in ("vstack", "hstack", "dstack", "column_stack")},
    "append": [*one(lambda np, x, y: np.append(x, y), M, V),
               *one(lambda np, x, y: np.append(x, y, 0), M, (2, 4))],
    "block": one(lambda np, x, y: np.block([[x, y], [y, x]]), M, M),
    **{n: one(lambda np, x, n=n: getattr(np, n)(x, 2, 1))
       + one(lambda np, x, n=n: getattr(np, n)(x, [1, 3], 1)) for n in ("split", "array_split")},
    **{n: one(lambda np, x, n=n: getattr(np, n)(x, 2), (4, 2, 2))
       for n in ("hsplit", "vsplit", "dsplit")},
    "unstack": one(lambda np, x: np.unstack(x, axis=1)),
    "tile": [*one(lambda np, x: np.tile(x, (2, 1, 2))), *one(lambda np, x: np.tile(x, 2))],
    "repeat": [
        *one(lambda np, x: np.repeat(x, 2)), *one(lambda np, x: np.repeat(x, K, 0)),
        *one(lambda np, x: np.repeat(x, 2, 1)),
    ],
    "delete": [
        *one(lambda np, x: np.delete(x, 1, 1), edges=(((1, 2),), ((0, 3),), ((3, 0),))),
        *one(lambda np, x: np.delete(x, slice(0, 4, 2)), V),
        *one(lambda np, x: np.delete(x, K[:2], 0), edges=(((3, 0),), ((3, 1),))),
    ],
    "insert": [
        *one(lambda np, x: np.insert(x, 1, 1, axis=1), edges=(((0, 3),), ((1, 1),))),
        *one(lambda np, x: np.insert(x, K, x[:3]), V, edges=()),
    ],
    "trim_zeros": one(lambda np, x: np.trim_zeros(x), V, kinds="iuf", domain="index", **DYN),
    "pad": [
        c for m in ("constant", "edge", "reflect", "symmetric", "wrap", "maximum", "minimum")
        for c in one(lambda np, x, m=m: np.pad(x, ((1, 2), (2, 1)), mode=m),
                     kinds="iuf" if m in ("maximum", "minimum") else "biufc", edges=(((1, 1),),))
    ] + one(lambda np, x: np.pad(x, 2, "linear_ramp", end_values=1), kinds="f", tol=32)
      + one(lambda np, x: np.pad(x, 2, "mean"), kinds="f") + one(
          lambda np, x: np.pad(x, ((0, 3), (1, 0)), "constant", constant_values=((1, 2), (3, 4)))),
    # selection
    "where": [
        *one(lambda np, x, y: np.where(B34, x, y), M, (4,)),
        *one(lambda np, x, y: np.where(x, x, y), M, M, kinds="biu", diff=False),
        *one(lambda np, x: np.where(x), kinds="biu", **DYN),
    ],
    "select": one(lambda np, x, y: np.select([B34, ~B34[::-1]], [x, y], 1), M, M),
    "choose": one(lambda np, x, y: np.choose(I34 % 2, [x, y]), M, M),
    "piecewise": one(lambda np, x: np.piecewise(x, [x < 1, x >= 1], [lambda a: a * 2, 3]),
                     kinds="iuf"),
    "compress": [
        *one(lambda np, x: np.compress(B3, x, 0)),
        *one(lambda np, x: np.compress(B3, x, 0, size=3, fill_value=1),
             ref=lambda x: onp.concatenate([x[B3], onp.ones_like(x[:1])]), **NO),
    ],
    "extract": [
        *one(lambda np, x: np.extract(B34, x), **DYN),
        *one(lambda np, x: np.extract(x > 1, x, size=12), kinds="iuf", diff=False,
             ref=lambda x: onp.pad(x[x > 1], (0, 12 - (x > 1).sum())), **NO),
    ],
    "take": [
        # Out of bounds gives NaN or the greatest integer, by the documentation.
        *one(lambda np, x: np.take(x, I34), edges=()),
        *one(lambda np, x: np.take(x, K, 0), edges=(((3, 0),), ((0, 3),))),
        *one(lambda np, x: np.take(x, B34), edges=()),
        *one(lambda np, x: np.take(x, K + 2, 1, mode="wrap")),
        *one(lambda np, x: np.take(x, K + 2, 1, mode="clip")),
    ],
    "take_along_axis": [
        *one(lambda np, x: np.take_along_axis(x, I34, 1), edges=()),
        *one(lambda np, x: np.take_along_axis(x, I34 % 3, 0), edges=()),
        *one(lambda np, x: np.take_along_axis(x, I34.ravel(), None), edges=()),
    ],
    "put": one(lambda np, x: np.put(x, K, x[0, :3], inplace=False), edges=(),
               ref=lambda x: changed(onp.put, x, K, x[0, :3])),
    "put_along_axis": one(lambda np, x: np.put_along_axis(x, I34[:, :1], 1, 1, inplace=False),
                          edges=(), ref=lambda x: changed(onp.put_along_axis, x, I34[:, :1], 1, 1)),
    "place": one(lambda np, x: np.place(x, B34, x[0, :3], inplace=False), edges=(),
                 ref=lambda x: changed(onp.place, x, B34, x[0, :3])),
    "nonzero": [
        *one(lambda np, x: np.nonzero(x), **DYN),
        *one(lambda np, x: np.nonzero(x, size=12), diff=False, edges=(), domain="index",
             ref=lambda x: tuple(onp.pad(i, (0, 12 - len(i))) for i in onp.nonzero(x))),
    ],
    "argwhere": [
        *one(lambda np, x: np.argwhere(x), **DYN),
        *one(lambda np, x: np.argwhere(x, size=12), diff=False, edges=(), domain="index",
             ref=lambda x: onp.pad(onp.argwhere(x), ((0, 12 - (x != 0).sum()), (0, 0)))),
    ],
    "flatnonzero": [
        *one(lambda np, x: np.flatnonzero(x), **DYN),
        *one(lambda np, x: np.flatnonzero(x, size=12, fill_value=7), diff=False, edges=(),
             domain="index", ref=lambda x: onp.pad(onp.flatnonzero(x), (0, 12 - (x != 0).sum()),
                                                   constant_values=7)),
    ],
    "unravel_index": one(lambda np, x: np.unravel_index(x, (4, 5)), V, kinds="i", domain="index",
                         **INDEX),
    "ravel_multi_index": one(
        lambda np, x, y: np.ravel_multi_index((x, y), (4, 3), mode="wrap"), V, V, kinds="i",
        **INDEX,
    ),
    # order
    "sort": [
        *one(lambda np, x: np.sort(x)), *one(lambda np, x: np.sort(x, 0), kinds="biuf"),
        *one(lambda np, x: np.sort(x, None), kinds="biuf"),
        *one(lambda np, x: np.sort(x, descending=True), kinds="iuf",
             ref=lambda x: onp.sort(x)[..., ::-1]),
    ],
    "argsort": [
        *one(lambda np, x: np.argsort(x, stable=True), **PART, **INDEX),
        *one(lambda np, x: np.argsort(x, axis=0, stable=True), **PART, **INDEX),
    ],
    "lexsort": one(lambda np, x, y: np.lexsort((x, y)), V, V, **PART, **INDEX),
    "sort_complex": one(lambda np, x: np.sort_complex(x), V, kinds="iufc"),
    "partition": one(lambda np, x: np.partition(x, 2)[..., 2], **PART, edges=(((1, 3),),)),
    "argpartition": one(
        lambda np, x: np.take_along_axis(x, np.argpartition(x, 2), -1)[..., 2], **PART,
        edges=(((1, 3),),),
    ),
    "searchsorted": [
        *one(lambda np, x, y: np.searchsorted(np.sort(x), y), V, (3, 4), **PART, **INDEX),
        *one(lambda np, x, y: np.searchsorted(np.sort(x), y, side="right"), V, V, **PART,
             **INDEX),
    ],
    "digitize": one(lambda np, x, y: np.digitize(x, np.sort(y), right=True), M, V, kinds="iuf",
                    **INDEX),
}  # fmt: skip


def filled(x: Any) -> Any:
    return changed(onp.fill_diagonal, x, 1)


def changed(f: Any, x: Any, *args: Any) -> Any:
    x = x.copy()
    f(x, *args)
    return x
