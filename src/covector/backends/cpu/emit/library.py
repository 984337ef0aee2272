"""Calls of the native runtime library from compiled code."""

from __future__ import annotations

from collections.abc import Sequence

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.nests import NestEmitter
from covector.backends.cpu.writer import Val
from covector.compiler.ir.nodes import Dim, LibraryCall, Value
from covector.core import dtypes

# Calls of one form: (code, flags..., operands, results, sizes).
_MATRIX_CALLS = (
    "cholesky", "triangular_solve", "lu", "pivots_to_permutation", "qr", "geqrf",
    "householder_product", "eigh", "svd", "eig", "symmetric_product", "hessenberg", "tridiagonal",
    "ormqr", "schur", "triangular_sylvester", "tridiagonal_solve", "eigh_tridiagonal",
    "cholesky_update", "exponential", "fft", "convolution",
)  # fmt: skip


def _int(em: NestEmitter, d: Dim) -> str:
    return em.b.local(indexing.val(em.dim(d))).ref


def _product(em: NestEmitter, dims: Sequence[Dim]) -> str:
    n: int | Val = 1
    for d in dims:
        n = indexing.mul(em.b, n, em.dim(d))
    return em.b.local(indexing.val(n)).ref


def call(em: NestEmitter, d: LibraryCall) -> None:
    """Emit a library call."""
    _CALLS[d.kind](em, d)


def _gemm(em: NestEmitter, d: LibraryCall) -> None:
    a, c = d.operands
    out = d.results[0]
    at = d.attrs
    m, n, k = at["m"], at["n"], at["k"]
    pa, pc = em.pointer(a), em.pointer(c)
    po = em.b.local(em.place(out).ptr)
    code = dtypes.code_of[a.dtype]
    if c.dtype != a.dtype:  # `product_code` of native/cpu/blas.h
        code |= dtypes.code_of[c.dtype] << 8
    lda = _product(em, m if at["ta"] else k)
    ldb = _product(em, k if at["tb"] else n)
    ms, ns, ks = (_product(em, x) for x in (m, n, k))
    apart = [_product(em, x) for x in ((*m, *k), (*k, *n), (*m, *n))]
    args = [f"i32 {code}", f"i32 {int(at['ta'])}", f"i32 {int(at['tb'])}"]
    args += [f"i64 {x}" for x in (ms, ns, ks)]
    args += [f"ptr {pa.ref}", f"i64 {lda}", f"ptr {pc.ref}", f"i64 {ldb}", f"ptr {po.ref}"]
    args += [f"i64 {x}" for x in (ns, _product(em, at["batch"]), *apart)]
    em.call_runtime("gemm", args)


def _matrix_call(em: NestEmitter, d: LibraryCall) -> None:
    """A factorisation, a transform or the like.

    ``attrs`` hold ``flags``, and ``sizes`` as products.

    ``absent`` lists positions among operands and results of a null pointer.
    """
    at = d.attrs
    ptrs = [f"ptr {em.pointer(v).ref}" for v in d.operands]
    ptrs += [f"ptr {em.b.local(em.place(r).ptr).ref}" for r in d.results]
    for k in at["absent"]:
        ptrs.insert(k, "ptr null")
    flags = [f"i32 {f}" for f in at["flags"]]
    if at["typed"]:
        flags.insert(0, f"i32 {dtypes.code_of[d.operands[0].dtype]}")
    sizes = [f"i64 {_product(em, dims)}" for dims in at["sizes"]]
    fn = em.runtime(d.kind)
    call_ = f"call i32 {fn.ref}({', '.join([*flags, *ptrs, *sizes])})"
    em.leave_unless_ok(em.b.impure(call_, "i32"))


def _copy_in(em: NestEmitter, src: Value, dst: Value) -> Val:
    mem = em.place(dst)
    if em.plan.places.get(src) != em.plan.places[dst]:
        em.store_whole(src, mem.ptr)
    return em.b.local(mem.ptr)


def _sort(em: NestEmitter, d: LibraryCall) -> None:
    b = em.b
    rows, n = _product(em, d.operands[0].shape[:-1]), _int(em, d.operands[0].shape[-1])
    if len(d.operands) == 1:
        ptr = _copy_in(em, d.operands[0], d.results[0])
        fn = em.runtime("sort_rows")
        code = dtypes.code_of[d.operands[0].dtype]
        call_ = f"call i32 {fn.ref}(i32 {code}, ptr {ptr.ref}, i64 {rows}, i64 {n})"
        em.leave_unless_ok(b.impure(call_, "i32"))
        return
    fn = em.runtime("sort_multi")
    count = len(d.operands)
    codes = _table(em, "i32", [str(dtypes.code_of[v.dtype]) for v in d.operands])
    ins = _table(em, "ptr", [em.pointer(v).ref for v in d.operands])
    outs = _table(em, "ptr", _wanted(em, d))
    status = b.impure(
        f"call i32 {fn.ref}(i32 {count}, ptr {codes.ref}, ptr {ins.ref}, ptr {outs.ref}, "
        f"i32 {d.attrs['num_keys']}, i64 {rows}, i64 {n})",
        "i32",
    )
    em.leave_unless_ok(status)


def _wanted(em: NestEmitter, d: LibraryCall) -> list[str]:
    """Where the results go, null for those that are not wanted."""
    places = iter([em.b.local(em.place(r).ptr).ref for r in d.results])
    return [next(places) if w else "null" for w in d.attrs["wanted"]]


def _table(em: NestEmitter, type_: str, entries: Sequence[str]) -> Val:
    """An array on the stack."""
    b = em.b
    table = b.alloca(f"[{max(1, len(entries))} x {type_}]")
    for k, entry in enumerate(entries):
        at = b.impure(f"getelementptr {type_}, ptr {table.ref}, i64 {k}", "ptr")
        b.line(f"store {type_} {entry}, ptr {at.ref}")
    return table


def _top_k(em: NestEmitter, d: LibraryCall) -> None:
    b = em.b
    src = d.operands[0]
    p = em.pointer(src)
    values, indices = (b.local(em.place(r).ptr) for r in d.results)
    fn = em.runtime("top_k")
    status = b.impure(
        f"call i32 {fn.ref}(i32 {dtypes.code_of[src.dtype]}, ptr {p.ref}, ptr {values.ref}, "
        f"ptr {indices.ref}, i64 {_product(em, src.shape[:-1])}, i64 {_int(em, src.shape[-1])}, "
        f"i64 {_int(em, d.attrs['k'])})",
        "i32",
    )
    em.leave_unless_ok(status)


def _partition(em: NestEmitter, d: LibraryCall) -> None:
    b = em.b
    src, ranks = d.operands
    pointers = ", ".join(f"ptr {em.pointer(v).ref}" for v in d.operands)
    results = ", ".join(f"ptr {p}" for p in _wanted(em, d))
    fn = em.runtime("partition")
    status = b.impure(
        f"call i32 {fn.ref}(i32 {dtypes.code_of[src.dtype]}, {pointers}, {results}, "
        f"i64 {_product(em, src.shape[:-1])}, i64 {_int(em, src.shape[-1])}, "
        f"i64 {_int(em, ranks.shape[-1])})",
        "i32",
    )
    em.leave_unless_ok(status)


def _search(em: NestEmitter, d: LibraryCall) -> None:
    b = em.b
    table, queries = d.operands
    rank = table.ndim - 1
    pointers = ", ".join(f"ptr {em.pointer(v).ref}" for v in d.operands)
    out = b.local(em.place(d.results[0]).ptr)
    fn = em.runtime("search_rows")
    status = b.impure(
        f"call i32 {fn.ref}(i32 {dtypes.code_of[table.dtype]}, i32 {int(d.attrs['right'])}, "
        f"{pointers}, ptr {out.ref}, i64 {_product(em, table.shape[:-1])}, "
        f"i64 {_int(em, table.shape[-1])}, i64 {_product(em, queries.shape[rank:])})",
        "i32",
    )
    em.leave_unless_ok(status)


def _callback(em: NestEmitter, d: LibraryCall) -> None:
    b = em.b
    ins = [em.pointer(v) for v in d.operands]
    outs = [b.local(em.place(r).ptr) for r in d.results]
    tables = [_table(em, "ptr", [p.ref for p in ptrs]) for ptrs in (ins, outs)]
    fn = em.runtime("callback")
    status = b.impure(
        f"call i32 {fn.ref}(i64 {_int(em, d.attrs['id'])}, i64 {len(ins)}, ptr {tables[0].ref}, "
        f"i64 {len(outs)}, ptr {tables[1].ref})",
        "i32",
    )
    em.leave_unless_ok(status)


_CALLS = {
    "gemm": _gemm,
    "sort": _sort,
    "top_k": _top_k,
    "partition": _partition,
    "search_rows": _search,
    "callback": _callback,
    **dict.fromkeys(_MATRIX_CALLS, _matrix_call),
}
