"""The table of functions of `covector.numpy` that take files, dtypes, sizes and other objects."""

from __future__ import annotations

from typing import Any

import numpy as onp
import pytest

A = onp.arange(6.0, dtype="float32").reshape(2, 3)


def printed(np: Any) -> Any:
    x = np.asarray(onp.float32(1) / 3)
    with np.printoptions(precision=3):
        inside = str(x)
    return inside, str(x)


def options(np: Any) -> Any:
    before = np.get_printoptions()
    np.set_printoptions(precision=4)
    changed = np.get_printoptions()["precision"]
    np.set_printoptions(**before)
    return changed, np.get_printoptions()["precision"]


def saved(np: Any, file: Any) -> Any:
    np.save(file, np.asarray(A))
    return np.load(str(file) + ".npy")


def saved_many(np: Any, file: Any) -> Any:
    np.savez(file, np.asarray(A), b=np.asarray(A[0]))
    with np.load(str(file) + ".npz") as data:
        return [data["arr_0"], data["b"]]


def refused(np: Any, name: str, *args: Any) -> bool:
    if np is onp:
        return True
    with pytest.raises(NotImplementedError, match=rf"numpy\.{name}"):
        getattr(np, name)(*args)
    return True


def index(np: Any, name: str) -> Any:
    """What an index expression selects."""
    return onp.arange(24).reshape(4, 6)[getattr(np, name)[1:3, ..., ::2]]


def path(np: Any) -> Any:
    contraction, text = np.einsum_path("ij,jk,kl", A, A.T, A)
    return [tuple(p) if isinstance(p, tuple) else p for p in contraction[1:]], isinstance(text, str)


X = onp.array([0.0, 0.4, 0.5, 0.9, 1.4, 2.0, 2.5], dtype="float32")
Y = onp.stack([1 + X - X**3, onp.cos(X)], 1)


def fitted(**options: Any) -> Any:
    """A call of polyfit, whose results need not be those of float32 to the last digit."""

    def call(np: Any, folder: Any) -> Any:
        kept = dict(options)
        y = Y if kept.pop("many", False) else Y[:, 0]
        out = np.polyfit(X, y, 2, **kept)
        out = out[:4] if isinstance(out, tuple) else (out,)
        return [onp.asarray(v, onp.float64).round(3) for v in out]

    return call


def roots(p: Any) -> Any:
    def call(np: Any, folder: Any) -> Any:
        return onp.sort_complex(onp.asarray(np.roots(np.asarray(p)))).round(4)

    return call


# Name: calls of the module and a folder; what they return is equal to NumPy's.
HOST: dict[str, list[Any]] = {
    "array_repr": [
        lambda np, d: np.array_repr(np.asarray(A[0])).replace("Array", "array"),
    ],
    "array_str": [lambda np, d: np.array_str(np.asarray(A))],
    "printoptions": [lambda np, d: printed(np)],
    "get_printoptions": [lambda np, d: options(np)],
    "set_printoptions": [lambda np, d: options(np)],
    "save": [lambda np, d: saved(np, d / "a")],
    "load": [lambda np, d: saved(np, d / "a")],
    "savez": [lambda np, d: saved_many(np, d / "b")],
    "frombuffer": [lambda np, d: np.frombuffer(b"\1\2\3\4", "uint8", 2, 1)],
    # What these read has a size not known before: by the documentation NumPy's are to be used.
    "fromfile": [lambda np, d: refused(np, "fromfile", d / "c", "float32")],
    "fromiter": [lambda np, d: refused(np, "fromiter", iter(range(4)), "int32")],
    "fromstring": [lambda np, d: np.fromstring("1 2 3", "float32", sep=" ")],
    "from_dlpack": [lambda np, d: np.from_dlpack(A)],
    "broadcast_shapes": [
        lambda np, d: np.broadcast_shapes((3, 1), (4,), ()),
        lambda np, d: np.broadcast_shapes((0,), (1,)), lambda np, d: np.broadcast_shapes(),
    ],
    "can_cast": [
        lambda np, d: [np.can_cast(a, b) for a in ("int32", "float16", "bool")
                       for b in ("int64", "float32", "uint8")],
        lambda np, d: np.can_cast("float64", "float32", casting="same_kind"),
    ],
    "finfo": [
        lambda np, d: [str(getattr(np.finfo(t), n)) for t in ("float16", "float32", "float64")
                       for n in ("eps", "max", "tiny", "bits", "nmant")],
    ],
    "iinfo": [
        lambda np, d: [(np.iinfo(t).min, np.iinfo(t).max, np.iinfo(t).bits)
                       for t in ("int8", "uint8", "int32", "uint64")],
    ],
    "isdtype": [
        lambda np, d: [np.isdtype(np.asarray(A).dtype, k)
                       for k in ("real floating", "integral", "numeric", "bool",
                                 ("bool", "real floating"))],
    ],
    "issubdtype": [
        lambda np, d: [np.issubdtype("float32", np.floating), np.issubdtype("int8", np.inexact),
                       np.issubdtype("uint8", np.unsignedinteger)],
    ],
    "promote_types": [
        lambda np, d: [str(np.promote_types(a, b)) for a, b in (
            ("int8", "uint8"), ("float32", "complex64"), ("bool", "int16"), ("int8", "int32"))],
    ],
    "result_type": [
        lambda np, d: [str(np.result_type("int8", "int32")), str(np.result_type(A, 1.0)),
                       str(np.result_type(A, 1j)), str(np.result_type("bool", "uint8"))],
    ],
    "iscomplexobj": [lambda np, d: [np.iscomplexobj(np.asarray(A)),
                                    np.iscomplexobj(np.asarray(A * 1j)), np.iscomplexobj(1j)]],
    "isrealobj": [lambda np, d: [np.isrealobj(np.asarray(A)), np.isrealobj(1j)]],
    "isscalar": [lambda np, d: [np.isscalar(1), np.isscalar(2.5), np.isscalar(np.asarray(A)),
                                np.isscalar([1])]],
    "iterable": [lambda np, d: [np.iterable(np.asarray(A)), np.iterable(1)]],
    "einsum_path": [lambda np, d: path(np)],
    "c_": [lambda np, d: np.c_[A[0], A[1]], lambda np, d: np.c_[A, A]],
    "r_": [lambda np, d: np.r_[A[0], 1.0, A[1]], lambda np, d: np.r_[0:4:2, 5],
           lambda np, d: np.r_["1", A, A], lambda np, d: np.r_[-1:1:5j]],
    "s_": [lambda np, d: index(np, "s_")],
    "index_exp": [lambda np, d: index(np, "index_exp")],
    "mgrid": [lambda np, d: np.mgrid[0:3, 1:3], lambda np, d: np.mgrid[0:1:5j]],
    "ogrid": [lambda np, d: np.ogrid[0:3, 1:3]],
    "ix_": [lambda np, d: np.ix_([0, 2], [1, 3, 4])],
    "diag_indices": [lambda np, d: np.diag_indices(3), lambda np, d: np.diag_indices(2, 3)],
    "diag_indices_from": [lambda np, d: np.diag_indices_from(onp.ones((3, 3)))],
    "tril_indices": [lambda np, d: np.tril_indices(3, 1, 4)],
    "triu_indices": [lambda np, d: np.triu_indices(3, -1, 4), lambda np, d: np.triu_indices(0)],
    "tril_indices_from": [lambda np, d: np.tril_indices_from(np.asarray(A), -1)],
    "triu_indices_from": [lambda np, d: np.triu_indices_from(np.asarray(A), 1)],
    "mask_indices": [lambda np, d: np.mask_indices(3, np.triu, 1)],
    "polyfit": [
        fitted(), fitted(many=True), fitted(full=True), fitted(many=True, full=True),
        fitted(cov=True), fitted(many=True, cov=True), fitted(w=X + 1, cov="unscaled"),
    ],
    "roots": [
        roots(p) for p in (
            [1.0, 0.0, -4.0], [0.0, 0.0, 2.0, 3.0, 1.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0], [3.0],
            [0.0], [1j, 2, 3],
        )
    ],
}  # fmt: skip
