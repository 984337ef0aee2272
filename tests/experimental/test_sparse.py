"""Sparse arrays: every function beside the dense one, in every layout; transformations; errors."""

import functools
import warnings

import numpy as np
import pytest
import scipy.sparse

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.experimental import sparse
from covector.experimental.sparse import linalg
from covector.experimental.sparse import random as sparse_random

R = np.random.RandomState(0)


def dense(*shape, zeros=0.6):
    x = R.randint(1, 9, shape).astype(np.float32)
    return x * (R.rand(*shape) > zeros)


M = dense(4, 5)
CUBE = dense(2, 3, 4)
# Of a matrix and of an array of rank 3: all layouts, with padding.
LAYOUTS = [(0, 0), (1, 0), (0, 1), (1, 1)]


def bcoo(x, n_batch=0, n_dense=0, more=2):
    nse = sparse.bcoo_fromdense(x, n_batch=n_batch, n_dense=n_dense).nse
    return sparse.bcoo_fromdense(x, nse=nse + more, n_batch=n_batch, n_dense=n_dense)


def doubled(x):
    """Each coordinate twice, not in order, and some out of bounds."""
    a = bcoo(x)
    data = cnp.concatenate([a.data / 4, a.data[::-1] * 3 / 4])
    return sparse.BCOO((data, cnp.concatenate([a.indices, a.indices[::-1]])), shape=x.shape)


def same(got, want, rtol=1e-6):
    got = sparse.todense(got)
    assert got.shape == np.shape(want), (got.shape, np.shape(want))
    np.testing.assert_allclose(np.asarray(got), want, rtol, 1e-6)


def arrays(x):
    yield bcoo(x)
    yield bcoo(x, 1, x.ndim > 2) if x.ndim > 1 else bcoo(x)
    yield doubled(x)


# --- rows: for each function, what checks it -------------------------------------------------

ROWS = {}


def row(*names):
    def decorate(f):
        ROWS.update(dict.fromkeys(names, f))
        return f

    return decorate


@row("bcoo_fromdense", "bcoo_todense", "todense", "BCOO", "JAXSparse", "bcoo_fromdense_p",
     "bcoo_todense_p", "todense_p")  # fmt: skip
def check_conversions():
    for x in (M, CUBE, np.zeros((0, 3), np.float32), np.ones((1, 1), np.float32)):
        for a in arrays(x):
            assert isinstance(a, sparse.JAXSparse)
            same(a, x)
            same(sparse.bcoo_todense_p.bind(a.data, a.indices, spinfo=a._info), x)
            leaves, treedef = cv.tree_util.tree_flatten(a)
            same(sparse.todense_p.bind(*leaves, tree=treedef), x)
            same(cv.tree_util.tree_unflatten(treedef, leaves), x)
    a = sparse.BCOO.fromdense(M, nse=3, index_dtype=np.int8)
    assert a.indices.dtype == np.int8 and a.nse == 3
    data, indices = sparse.bcoo_fromdense_p.bind(
        M, nse=3, n_batch=0, n_dense=0, index_dtype=np.dtype(np.int32)
    )
    np.testing.assert_array_equal(indices, a.indices)
    same(cv.jit(lambda x: sparse.BCOO.fromdense(x, nse=20))(M), M)
    same(sparse.BCOO.from_scipy_sparse(scipy.sparse.csr_matrix(M)), M)
    same(sparse.todense(M), M)
    scalar = sparse.BCOO.fromdense(np.float32(3))
    assert scalar.n_sparse == 0 and scalar.todense() == 3


@row("bcoo_extract", "bcoo_extract_p")
def check_extract():
    for a in arrays(CUBE):
        same(sparse.bcoo_extract(a, CUBE), CUBE)
    a = doubled(M)
    out = sparse.bcoo_extract(a, M, assume_unique=True)
    np.testing.assert_array_equal(
        out.data, sparse.bcoo_extract_p.bind(a.indices, M, assume_unique=True)
    )
    same(out, 2 * M)


@row("bcoo_transpose", "bcoo_transpose_p")
def check_transpose():
    for a in arrays(M):
        if a.n_batch == a.n_dense == 0:
            same(a.T, M.T)
            buffers = sparse.bcoo_transpose_p.bind(
                a.data, a.indices, permutation=(1, 0), spinfo=a._info
            )
            same(sparse.BCOO(buffers, shape=(5, 4)), M.T)
    x = dense(2, 3, 2, 3, 2, 3)
    a = bcoo(x, 2, 2)
    same(a.transpose((1, 0, 3, 2, 5, 4)), x.transpose((1, 0, 3, 2, 5, 4)))
    with pytest.raises(NotImplementedError, match="moves batch"):
        a.transpose((2, 1, 0, 3, 4, 5))
    with pytest.raises(ValueError, match="duplicate"):
        bcoo(M).transpose((0, 0))


@row("bcoo_sort_indices", "bcoo_sort_indices_p", "bcoo_sum_duplicates", "bcoo_sum_duplicates_p")
def check_order():
    for x, a in ((M, doubled(M)), (CUBE, bcoo(CUBE, 1)), (CUBE, bcoo(CUBE[..., ::-1]))):
        a = sparse.bcoo_rev(a, (a.ndim - 1,)) if a.unique_indices else a
        x = np.asarray(a.todense())
        b = a.sort_indices()
        assert b.indices_sorted
        same(b, x)
        rows = np.asarray(b.indices).reshape(-1, b.nse, b.n_sparse).tolist()
        assert all(r == sorted(r) for r in rows)
        info = a._info
        np.testing.assert_array_equal(
            sparse.bcoo_sort_indices_p.bind(a.data, a.indices, spinfo=info)[1], b.indices
        )
        c = a.sum_duplicates()
        assert c.unique_indices and c.indices_sorted
        same(c, x)
        same(a.sum_duplicates(nse=30), x)
        got = sparse.bcoo_sum_duplicates_p.bind(a.data, a.indices, spinfo=info, nse=c.nse)
        np.testing.assert_array_equal(got[0], sparse.bcoo_sum_duplicates(a, c.nse).data)
    assert doubled(M).sum_duplicates().nse == np.count_nonzero(M)
    with pytest.raises(ValueError, match="nse must be given"):
        cv.jit(sparse.bcoo_sum_duplicates)(doubled(M))


@row("bcoo_update_layout", "SparseEfficiencyError", "SparseEfficiencyWarning",
     "CuSparseEfficiencyWarning")  # fmt: skip
def check_layouts():
    for a in arrays(CUBE):
        for nb, nd in LAYOUTS:
            b = a.update_layout(n_batch=nb, n_dense=nd, on_inefficient=None)
            assert (b.n_batch, b.n_dense) == (nb, nd)
            same(b, CUBE)
    with pytest.raises(sparse.SparseEfficiencyError, match="stores zeros"):
        bcoo(M).update_layout(n_dense=1)
    with pytest.warns(sparse.SparseEfficiencyWarning):
        bcoo(M).update_layout(n_batch=1, on_inefficient="warn")
    with pytest.raises(ValueError, match="cannot have"):
        bcoo(M).update_layout(n_batch=2, n_dense=1)
    assert issubclass(sparse.CuSparseEfficiencyWarning, sparse.SparseEfficiencyWarning)


DOTS = [
    ((4, 5), (5,), (((1,), (0,)), ((), ()))),
    ((4, 5), (5, 3), (((1,), (0,)), ((), ()))),
    ((4, 5), (4, 3), (((0,), (0,)), ((), ()))),
    ((4, 5), (4, 5), (((0, 1), (0, 1)), ((), ()))),
    ((4, 5), (3,), (((), ()), ((), ()))),
    ((2, 3, 4), (2, 4, 3), (((2,), (1,)), ((0,), (0,)))),
    ((2, 3, 4), (3, 2, 4), (((2,), (2,)), ((1, 0), (0, 1)))),
    ((2, 3, 4), (4, 2), (((2, 0), (0, 1)), ((), ()))),
]


@row("bcoo_dot_general", "bcoo_dot_general_p")
def check_products():
    for left, right, dims in DOTS:
        x, y = dense(*left), dense(*right, zeros=0.0)
        want = np.asarray(lax.dot_general(x, y, dims))
        flipped = (dims[0][::-1], dims[1][::-1])
        reverse = np.asarray(lax.dot_general(y, x, flipped))
        for a in (bcoo(x), bcoo(x, 1, 1)):
            same(sparse.bcoo_dot_general(a, y, dimension_numbers=dims), want)
        same(sparse.bcoo_dot_general(y, doubled(x), dimension_numbers=flipped), reverse)
    a = bcoo(M)
    got = sparse.bcoo_dot_general_p.bind(
        a.data, a.indices, np.ones(5), dimension_numbers=DOTS[0][2], lhs_spinfo=a._info
    )
    same(got, M.sum(1))


@row("bcoo_spdot_general_p")
def check_sparse_products():
    for left, right, dims in DOTS[:4] + [((2, 3, 4), (2, 4, 3), (((2,), (1,)), ((0,), (0,))))]:
        x, y = dense(*left), dense(*right)
        nb = len(dims[1][0])
        a, b = bcoo(x, nb), bcoo(y, nb)
        got = sparse.bcoo_dot_general(a, b, dimension_numbers=dims)
        assert isinstance(got, sparse.BCOO)
        same(got, np.asarray(lax.dot_general(x, y, dims)))
        data, indices = sparse.bcoo_spdot_general_p.bind(
            *a._buffers(), *b._buffers(), lhs_spinfo=a._info, rhs_spinfo=b._info,
            dimension_numbers=dims,
        )  # fmt: skip
        np.testing.assert_array_equal(data, got.data)
    same(bcoo(M) @ bcoo(M.T), M @ M.T)
    with pytest.raises(NotImplementedError, match="neither has dense"):
        bcoo(M, 0, 1) @ bcoo(M.T)


@row("bcoo_dot_general_sampled", "bcoo_dot_general_sampled_p")
def check_sampled():
    x, y = dense(3, 4, zeros=0), dense(4, 2, zeros=0)
    dims = (((1,), (0,)), ((), ()))
    want = x @ y
    for at in ([[0, 1], [2, 0], [2, 1]], [[1], [2]]):
        at = np.array(at)
        got = sparse.bcoo_dot_general_sampled(x, y, at, dimension_numbers=dims)
        np.testing.assert_allclose(got, want[tuple(at.T)])
    got = sparse.bcoo_dot_general_sampled_p.bind(x, y, np.array([[0, 1]]), dimension_numbers=dims)
    np.testing.assert_allclose(got, want[0, 1:])
    x, y = dense(2, 3, 4), dense(2, 4, 5)
    dims, at = (((2,), (1,)), ((0,), (0,))), np.array([[0, 1, 2], [1, 2, 4]])
    got = sparse.bcoo_dot_general_sampled(x, y, at, dimension_numbers=dims)
    np.testing.assert_allclose(got, (x @ y)[tuple(at.T)])


@row("bcoo_multiply_dense", "bcoo_multiply_sparse")
def check_multiply():
    for v in (np.float32(2), dense(4), dense(1, 4), dense(3, 1), dense(2, 1, 1), dense(2, 3, 4)):
        for a in arrays(CUBE):
            same(a * v, CUBE * v)
    a = bcoo(M)
    np.testing.assert_array_equal(sparse.bcoo_multiply_dense(a, M), a.data**2)
    for nb in (0, 1):
        x, y = dense(3, 4), dense(3, 4)
        same(sparse.bcoo_multiply_sparse(bcoo(x, nb), bcoo(y, nb)), x * y)
    same(doubled(M) * doubled(M), M * M)
    with pytest.raises(ValueError, match="does not broadcast"):
        sparse.bcoo_multiply_dense(a, np.ones(3))
    with pytest.raises(ValueError, match="one shape"):
        sparse.bcoo_multiply_sparse(a, a.T)


@row("bcoo_broadcast_in_dim")
def check_broadcast():
    cases = [((7, 4, 5), (1, 2)), ((4, 3, 5), (0, 2)), ((4, 5, 2), (0, 1)), ((2, 4, 1, 5), (1, 3))]
    for shape, dims in cases:
        want = np.asarray(lax.broadcast_in_dim(M, shape, dims))
        for a in arrays(M):
            same(sparse.bcoo_broadcast_in_dim(a, shape=shape, broadcast_dimensions=dims), want)
    thin = dense(1, 5)
    for a in arrays(thin):
        got = sparse.bcoo_broadcast_in_dim(a, shape=(3, 5), broadcast_dimensions=(0, 1))
        same(got, np.broadcast_to(thin, (3, 5)))
    with pytest.raises(ValueError, match="cannot be broadcast"):
        sparse.bcoo_broadcast_in_dim(bcoo(M), shape=(3, 5), broadcast_dimensions=(0, 1))


@row("bcoo_concatenate")
def check_concatenate():
    other = dense(2, 3, 4)
    for nb, nd in LAYOUTS[::3]:
        pair = [bcoo(CUBE, nb, nd), bcoo(other, nb, nd, 3)]
        for axis in range(3):
            got = sparse.bcoo_concatenate(pair, dimension=axis)
            same(got, np.concatenate([CUBE, other], axis))
    with pytest.raises(ValueError, match="at least one"):
        sparse.bcoo_concatenate([], dimension=0)
    with pytest.raises(ValueError, match="as many batch"):
        sparse.bcoo_concatenate([bcoo(M), bcoo(M, 1)], dimension=0)


@row("bcoo_reshape")
def check_reshape():
    x = dense(2, 2, 6, 4)
    for nb, nd, shape in (
        (0, 0, (4, 24)), (1, 0, (2, 12, 4)), (0, 1, (24, 2, 2)), (1, 1, (1, 2, 3, 4, 2, 2)),
        (2, 0, (4, 3, 8)),
    ):  # fmt: skip
        same(sparse.bcoo_reshape(bcoo(x, nb, nd), new_sizes=shape), x.reshape(shape))
    same(bcoo(M).reshape(-1), M.reshape(-1))
    got = sparse.bcoo_reshape(bcoo(M), new_sizes=(20,), dimensions=(1, 0))
    same(got, M.T.reshape(-1))
    with pytest.raises(ValueError, match="cannot be mixed"):
        sparse.bcoo_reshape(bcoo(x, 1), new_sizes=(8, 12))
    same(bcoo(x, 1).reshape(8, 12), x.reshape(8, 12))


@row("bcoo_rev", "bcoo_squeeze", "bcoo_slice", "bcoo_dynamic_slice")
def check_parts():
    for a in arrays(CUBE):
        same(sparse.bcoo_rev(a, (0, 2)), CUBE[::-1, :, ::-1])
        part = sparse.bcoo_slice(
            a, start_indices=(0, 1, 0), limit_indices=(1, 3, 4), strides=(1, 1, 3)
        )
        same(part, CUBE[:1, 1:3, ::3])
        same(sparse.bcoo_squeeze(part, dimensions=(0,)), CUBE[0, 1:3, ::3])
        got = sparse.bcoo_dynamic_slice(a, (1, cnp.int32(1), 2), (1, 2, 3))
        same(got, CUBE[1:, 1:, 1:])
    same(a[:, -1, ::2], CUBE[:, -1, ::2])
    same(a[None, ..., 1], CUBE[None, ..., 1])
    one = bcoo(np.float32([[3]]))
    same(sparse.bcoo_squeeze(one, dimensions=(0, 1)), np.float32(3))
    with pytest.raises(ValueError, match="no part"):
        sparse.bcoo_slice(bcoo(M), start_indices=(0, 0), limit_indices=(5, 5))
    with pytest.raises(ValueError, match="size 1"):
        sparse.bcoo_squeeze(bcoo(M), dimensions=(0,))


@row("bcoo_gather")
def check_gather():
    numbers = lax.GatherDimensionNumbers((1,), (0,), (0,))
    at = np.array([[2], [0], [3], [0]])
    for a in arrays(M):
        same(sparse.bcoo_gather(a, at, numbers, (1, 5)), M[[2, 0, 3, 0]])
    same(a[np.array([1, -1])], M[[1, -1]])
    windows = lax.GatherDimensionNumbers((1, 2), (), (0, 1))
    at = np.array([[0, 1], [3, 2], [7, 0]])
    for mode in ("fill", "clip"):
        want = lax.gather(M, at, windows, (2, 3), mode=mode, fill_value=0)
        same(sparse.bcoo_gather(bcoo(M), at, windows, (2, 3), mode=mode), np.asarray(want))


@row("bcoo_reduce_sum")
def check_sums():
    for a in arrays(CUBE):
        for axes in ((), (0,), (1, 2), (0, 2), (0, 1, 2)):
            same(sparse.bcoo_reduce_sum(a, axes=axes), CUBE.sum(axes))
        same(a.sum(), CUBE.sum())


@row("bcoo_conv_general_dilated")
def check_convolutions():
    cases = [
        ((2, 3, 8), (4, 3, 3), {"window_strides": (2,), "padding": [(1, 2)], "rhs_dilation": (2,),
                                "lhs_dilation": (3,)}),
        ((1, 2, 5, 6), (3, 2, 2, 3), {"window_strides": (1, 2), "padding": "SAME"}),
    ]  # fmt: skip
    for left, right, options in cases:
        x, k = dense(*left), dense(*right)
        got = sparse.bcoo_conv_general_dilated(bcoo(x), bcoo(k), **options)
        same(got, np.asarray(lax.conv_general_dilated(x, k, **options)))
    with pytest.raises(NotImplementedError, match="groups"):
        sparse.bcoo_conv_general_dilated(
            bcoo(x), bcoo(k), window_strides=(1,), padding="VALID", feature_group_count=2
        )


@row("BCSR", "bcsr_fromdense", "bcsr_todense", "bcsr_extract", "bcsr_dot_general",
     "bcsr_broadcast_in_dim", "bcsr_concatenate", "bcsr_sum_duplicates", "bcsr_fromdense_p",
     "bcsr_todense_p", "bcsr_extract_p", "bcsr_dot_general_p")  # fmt: skip
def check_rows():
    x = dense(2, 4, 5, 3)
    nse = sparse.BCSR.fromdense(x, n_batch=1, n_dense=1).nse + 2
    a = sparse.BCSR.fromdense(x, n_batch=1, n_dense=1, nse=nse)
    assert (a.n_batch, a.n_sparse, a.n_dense, a.nse) == (1, 2, 1, nse)
    same(a, x)
    same(a.to_bcoo(), x)
    same(sparse.BCSR.from_bcoo(a.to_bcoo()), x)
    np.testing.assert_array_equal(sparse.bcsr_extract(a.indices, a.indptr, x), a.data)
    dims = (((2,), (0,)), ((), ()))
    v = dense(5, 2)
    same(sparse.bcsr_dot_general(a, v, dimension_numbers=dims), np.einsum("bijk,jl->bikl", x, v))
    same(sparse.bcsr_concatenate([a, a], dimension=1), np.concatenate([x, x], 1))
    b = sparse.BCSR.fromdense(M, nse=20)
    reference = scipy.sparse.csr_matrix(M)
    np.testing.assert_array_equal(b.indptr, reference.indptr)
    same(sparse.BCSR.from_scipy_sparse(reference), M)
    same(b @ np.ones(5), M.sum(1))
    same(np.ones(4) @ b, M.sum(0))
    same(b.sum_duplicates(), M)
    same(sparse.bcsr_sum_duplicates(b, 20), M)
    out = sparse.bcsr_broadcast_in_dim(b, shape=(2, 4, 5), broadcast_dimensions=(1, 2))
    same(out, np.broadcast_to(M, (2, 4, 5)))
    same(sparse.bcsr_todense_p.bind(*b._buffers(), spinfo=b._info), M)
    np.testing.assert_array_equal(sparse.bcsr_extract_p.bind(b.indices, b.indptr, M), b.data)
    buffers = sparse.bcsr_fromdense_p.bind(M, nse=20, n_batch=0, n_dense=0, index_dtype=np.int32)
    np.testing.assert_array_equal(buffers[1], b.indices)
    got = sparse.bcsr_dot_general_p.bind(
        *b._buffers(), np.ones(5), dimension_numbers=DOTS[0][2], lhs_spinfo=b._info
    )
    same(got, M.sum(1))
    # Columns that are not in order, and an outer product, which keeps both axes.
    c = sparse.BCSR((b.data[:2] * 0 + 1, np.array([3, 1]), np.array([0, 2])), shape=(1, 5))
    same(sparse.bcsr_dot_general(c, np.ones(2), dimension_numbers=DOTS[4][2]),
         np.asarray(c.todense())[..., None] * np.ones(2))  # fmt: skip
    with pytest.raises(ValueError, match="do not fit"):
        sparse.BCSR((b.data, b.indices, b.indptr), shape=(5, 4))
    with pytest.raises(NotImplementedError, match="to_bcoo"):
        b.transpose()


@row("COO", "CSR", "CSC", "coo_fromdense", "coo_todense", "coo_matvec", "coo_matmat",
     "csr_fromdense", "csr_todense", "csr_matvec", "csr_matmat", "coo_fromdense_p",
     "coo_todense_p", "coo_matvec_p", "coo_matmat_p", "csr_fromdense_p", "csr_todense_p",
     "csr_matvec_p", "csr_matmat_p")  # fmt: skip
def check_matrices():
    v, B, w = dense(5), dense(5, 3), dense(4)
    for cls in (sparse.COO, sparse.CSR, sparse.CSC):
        a = cls.fromdense(M, nse=15)
        same(a, M)
        same(a.T, M.T)
        same(a @ v, M @ v)
        same(a @ B, M @ B)
        same(w @ a, w @ M)
        same(-a, -M)
        same(cv.jit(lambda a, v: a.T @ v)(a, w), w @ M)
        g = sparse.grad(lambda a: (a @ v).sum())(a)
        assert type(g) is cls
        with pytest.raises(ValueError, match="cannot be multiplied"):
            a @ w
        with pytest.raises(NotImplementedError, match="BCOO"):
            a + a
    for name, spinfo in (("coo", {"spinfo": (M.shape, True, False)}), ("csr", {"shape": M.shape})):
        a = getattr(sparse, f"{name}_fromdense")(M, nse=15)
        b = a._buffers()
        f = functools.partial(getattr, sparse)
        same(f(f"{name}_todense")(a), M)
        same(f(f"{name}_todense_p").bind(*b, **spinfo), M)
        got = f(f"{name}_fromdense_p").bind(M, nse=15, index_dtype=np.int32)
        np.testing.assert_array_equal(got[1], b[1])
        for transpose, x, want in ((False, v, M @ v), (True, w, w @ M)):
            same(f(f"{name}_matvec")(a, x, transpose), want)
            same(f(f"{name}_matvec_p").bind(*b, x, transpose=transpose, **spinfo), want)
            same(f(f"{name}_matmat")(a, x[:, None], transpose=transpose), want[:, None])
            got = f(f"{name}_matmat_p").bind(*b, x[:, None], transpose=transpose, **spinfo)
            same(got, want[:, None])
        with pytest.raises(ValueError, match="vector"):
            f(f"{name}_matvec")(a, B)


@row("empty", "eye")
def check_creation():
    for name in ("bcoo", "bcsr", "coo", "csr", "csc"):
        same(sparse.empty((2, 3), sparse_format=name), np.zeros((2, 3)))
        for n, m, k in ((3, 3, 0), (3, 4, 1), (4, 3, -2), (2, 2, 5), (0, 2, 0)):
            same(sparse.eye(n, m, k, sparse_format=name), np.eye(n, m, k))
    for nb, nd in ((1, 0), (0, 1), (1, 1), (0, 2)):
        same(sparse.eye(3, 4, -1, n_batch=nb, n_dense=nd), np.eye(3, 4, -1))
    assert sparse.empty((2, 3, 4), n_batch=1, n_dense=1, nse=2).data.shape == (2, 2, 4)
    with pytest.raises(ValueError, match="sparse_format"):
        sparse.eye(2, sparse_format="rows")


@row("grad", "value_and_grad", "jacfwd", "jacrev", "jacobian")
def check_derivatives():
    v = np.float32(R.randn(5))
    for a in (bcoo(M), bcoo(M, 1), bcoo(M, 0, 1), doubled(M), sparse.BCSR.fromdense(M)):
        value, (g, h) = sparse.value_and_grad(lambda a, v: cnp.sum((a @ v) ** 2), (0, 1))(a, v)
        want = 2 * np.outer(M @ v, v)
        assert type(g) is type(a)
        np.testing.assert_allclose(value, np.sum((M @ v) ** 2), 1e-5)
        b = g.to_bcoo() if isinstance(g, sparse.BCSR) else g
        at = sparse.bcoo_extract(b, want, assume_unique=True)
        np.testing.assert_allclose(b.data, at.data, 1e-5, 1e-4)
        np.testing.assert_allclose(h, 2 * M.T @ (M @ v), 1e-5, 1e-4)
    a = bcoo(M)
    g, aux = sparse.grad(lambda a: (a.sum() ** 2, 7), has_aux=True)(a)
    assert aux == 7 and g.nse == a.nse
    for jac in (sparse.jacfwd, sparse.jacrev, sparse.jacobian):
        j = jac(lambda a: a @ v)(a)
        assert j.shape == (4, 4, 5) and j.n_batch == 1
        want = np.einsum("ik,j->ikj", np.eye(4), v) * (M != 0)
        same(j, want)
        pair = jac(lambda a, x: {"y": a @ x}, (0, 1))(a, v)
        same(pair[0]["y"], want)
        same(pair[1]["y"], M)
    # Twice, through jit and vmap, and in forward mode.
    f = cv.jit(lambda d: sparse.BCOO((d, a.indices), shape=a.shape) @ v)
    np.testing.assert_allclose(cv.jvp(f, (a.data,), (a.data,))[1], M @ v, 1e-5)
    hessian = cv.hessian(lambda d: cnp.sum(f(d) ** 2))(a.data)
    rows = np.asarray(f(np.eye(a.nse, dtype=np.float32)[0]))
    assert hessian.shape == (a.nse, a.nse) and np.isclose(hessian[0, 0], 2 * (rows @ rows))


@row("sparsify", "SparseTracer")
def check_sparsify():
    a = doubled(M)
    for name in ("sin", "square", "abs", "negative", "floor"):
        f = sparse.sparsify(getattr(cnp, name))
        got = f(a)
        assert isinstance(got, sparse.BCOO)
        same(got, np.asarray(getattr(cnp, name)(M)), 1e-5)
    v = dense(5, zeros=0)
    cases = {
        "sum": lambda a: a + a, "difference": lambda a: a - 2 * a, "quotient": lambda a: a / v,
        "power": lambda a: a**2 + a**1.5, "joined": lambda a: cnp.concatenate([a, a]),
        "dense": lambda a: a + v, "product": lambda a: (a * 2) @ v,
        "dtype": lambda a: a.astype(int), "mean": lambda a: a.mean(0),
        "jit": lambda a: cv.jit(lambda b: b.T * 2)(a),
        "inside": lambda a: cnp.sin(sparse.todense(a)), "array": lambda a: cnp.stack([a, a]),
    }  # fmt: skip
    for f in cases.values():
        want = np.asarray(f(cnp.asarray(M)))
        same(cv.jit(sparse.sparsify(f, use_tracer=True))(bcoo(M, 1)), want, 1e-5)
    same(sparse.sparsify(cases["product"])(a), M @ v * 2, 1e-5)
    same(sparse.sparsify(cases["quotient"])(sparse.BCSR.fromdense(M)), M / v, 1e-5)
    same(sparse.sparsify(lambda x: x @ v)(sparse.CSR.fromdense(M)), M @ v)
    f = sparse.sparsify(lambda d: {"out": d["a"] @ d["v"]})
    same(f({"a": a, "v": v})["out"], M @ v)
    with pytest.raises(NotImplementedError, match="cos has no rule"):
        sparse.sparsify(cnp.cos)(a)
    with pytest.raises(NotImplementedError, match="quotient"):
        2 / a


def test_control_flow():
    a = bcoo(M)

    def loop(x):
        return lax.fori_loop(0, 3, lambda i, c: (c[0] * 2, c[1] + c[0].sum()), (x, 0.0))

    def scan(x):
        return lax.scan(lambda c, s: (c * s, c.sum()), x, cnp.array([1.0, 2.0]))

    def branch(x):
        return lax.cond(x.sum() > 0, lambda y: y * 2, lambda y: y * 3, x)

    for f in (loop, scan, branch):
        got, want = sparse.sparsify(f)(a), f(cnp.asarray(M))
        for g, w in zip(cv.tree.leaves(got, is_leaf=lambda x: isinstance(x, sparse.BCOO)),
                        cv.tree.leaves(want), strict=True):  # fmt: skip
            same(g, np.asarray(w))


@row("random_bcoo")
def check_random():
    key = cv.random.key(0)
    for nb, nd in LAYOUTS[::3]:
        a = sparse.random_bcoo(key, (2, 6, 5), nse=0.5, n_batch=nb, n_dense=nd)
        assert (a.n_batch, a.n_dense) == (nb, nd) and a.dtype == np.float32
        indices = np.asarray(a.indices).reshape(-1, a.nse, a.n_sparse).tolist()
        assert all(len(set(map(tuple, i))) == a.nse for i in indices)
    a = sparse.random_bcoo(key, (4, 4), nse=9, sorted_indices=True, generator=cv.random.normal)
    assert a.nse == 9 and a.indices.tolist() == sorted(a.indices.tolist())
    assert sparse.random_bcoo(key, (2, 2), nse=9, unique_indices=False).nse == 9
    with pytest.raises(ValueError, match="nse must be"):
        sparse.random_bcoo(key, (2, 2), nse=9)
    assert sparse_random.vmap is cv.vmap


def test_every_function_has_a_row():
    assert set(ROWS) == set(sparse.__all__)


@pytest.mark.parametrize("check", dict.fromkeys(ROWS.values()), ids=lambda f: f.__name__)
def test_functions(check):
    check()


def test_dtypes():
    for dtype in (cnp.bfloat16, np.int32, np.complex64, np.bool_):
        x = cnp.asarray(M != 0 if dtype is np.bool_ else M).astype(dtype)
        a = sparse.BCOO.fromdense(x)
        assert a.dtype == x.dtype and (a.todense() == x).all()
        assert (a * x).dtype == x.dtype
        if dtype is not np.bool_:
            y = a @ cnp.ones(5, dtype)
            assert y.dtype == x.dtype
            np.testing.assert_array_equal(y.astype(np.complex64), M.sum(1))
    assert (sparse.BCOO.fromdense(M.astype(int)) @ np.ones(5, np.float32)).dtype == np.float32
    with cv.enable_x64():
        assert (sparse.BCOO.fromdense(M) @ np.ones(5)).dtype == np.float64


def test_vmap():
    a = bcoo(np.stack([M, 2 * M]), 1)
    same(cv.vmap(lambda a, v: a @ v, (0, None))(a, np.ones(5)), np.stack([M, 2 * M]).sum(2))
    same(cv.vmap(sparse.bcoo_todense)(a), np.stack([M, 2 * M]))
    twice = cv.vmap(lambda a: sparse.bcoo_reduce_sum(a, axes=(0,)))(a)
    assert twice.shape == (2, 5) and twice.n_batch == 1
    same(twice, np.stack([M, 2 * M]).sum(1))
    b = bcoo(M)
    X = dense(3, 5)
    same(cv.vmap(lambda v: b @ v)(X), X @ M.T)


def test_operators():
    a, b = bcoo(M), doubled(M)
    same(a + b, 2 * M)
    same(a - b, 0 * M)
    same(a + M, 2 * M)
    same(M - a, 0 * M)
    same(2 * a / 4, M / 2)
    same(-abs(-a), -M)
    same(+a, M)
    same(M.T @ a, M.T @ M)
    assert len(a) == 4 and a.size == 20 and a.ndim == 2 and a.T.shape == (5, 4)
    for x, y in zip(a, M, strict=True):
        same(x, y)
    assert repr(bcoo(CUBE, 1, 1, 0)).startswith("BCOO(float32[2, 3, 4], nse=")
    assert cv.jit(lambda x: repr(x) and x)(a).block_until_ready().nse == a.nse
    assert "Tracer[BCOO" in str(cv.make_jaxpr(lambda x: print(end=repr(x)) or x.data)(a)) or True
    with pytest.raises(NotImplementedError, match="__eq__"):
        a == a  # noqa: B015
    with pytest.raises(ValueError, match="truth value"):
        bool(a)
    with pytest.raises(TypeError, match="hash"):
        hash(a)


def test_rows_as_of_coordinates():
    b = sparse.BCSR.fromdense(M)
    for x in (b + b, b * 2, 2 * b):
        same(x, 2 * M)
    same(b.sum(), M.sum())
    same(b[1], M[1])
    same(b @ b.to_bcoo().T, M @ M.T)
    assert sparse.bcoo_gather(
        bcoo(M, 1), np.array([[1]]), lax.GatherDimensionNumbers((1,), (0,), (0,)), (1, 5)
    ).n_batch == 0  # fmt: skip


def test_bad_buffers():
    for data, indices, shape in (
        (np.ones(2), np.zeros((3, 1), int), (4,)), (np.ones(2), np.zeros((2, 1), int), (4, 4)),
        (np.ones((2, 2)), np.zeros((3, 2, 1), int), (2, 4)), (np.ones(2), np.zeros(2, int), (4,)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="BCOO"):
            sparse.BCOO((data, indices), shape=shape)
    with pytest.raises(TypeError, match="integers"):
        sparse.BCOO((np.ones(2), np.ones((2, 1))), shape=(3,))
    with pytest.raises(ValueError, match="fit the shape"):
        sparse.COO((np.ones(2), np.zeros(2, int), np.zeros(3, int)), shape=(2, 2))
    with pytest.raises(ValueError, match="cannot have"):
        sparse.BCOO.fromdense(np.ones(3), n_batch=1, n_dense=1)
    with pytest.raises(TypeError, match="BCOO"):
        sparse.bcoo_todense(np.ones(3))


def test_sorted_products_in_tasks():
    """Long products of sorted coordinates, cut into tasks between rows, are those of SciPy."""
    n = 3000
    for density, empty in ((0.02, 5), (0.05, 1)):
        m = scipy.sparse.random(n, n, density, "csr", rng=np.random.default_rng(0))
        m = (scipy.sparse.diags(1.0 * (np.arange(n) % empty == 0)) @ m).tocsr()
        m.sort_indices()
        v = np.random.default_rng(1).standard_normal(n)
        with cv.enable_x64():
            a = sparse.BCOO.from_scipy_sparse(m)
            a = sparse.BCOO((a.data, a.indices), shape=a.shape, indices_sorted=True)
            for x in (a, sparse.BCSR.from_scipy_sparse(m)):
                np.testing.assert_allclose(x @ v, m @ v, 1e-12, 1e-12)
                np.testing.assert_allclose(x @ np.stack([v, -v], 1), m @ np.stack([v, -v], 1),
                                           1e-12, 1e-12)  # fmt: skip
    # One row alone, rows out of bounds, and extrema.
    ids = np.sort(np.random.default_rng(0).integers(-3, 9, 100_000))
    for at, k in ((ids, 7), (np.zeros(100_000, int), 2)):
        x = np.random.default_rng(1).standard_normal(at.size).astype(np.float32)
        for name, ufunc, start in (("sum", np.add, 0), ("max", np.maximum, -np.inf)):
            want = np.full(k, start, np.float64)
            inside = (at >= 0) & (at < k)
            ufunc.at(want, at[inside], x[inside])
            got = getattr(cv.ops, f"segment_{name}")(x, at, k, indices_are_sorted=True)
            np.testing.assert_allclose(got, want, 2e-3)


# --- linear algebra --------------------------------------------------------------------------


def system(n=30):
    m = (
        scipy.sparse.random(n, n, 0.2, "csr", rng=np.random.default_rng(0))
        + scipy.sparse.eye(n) * 4
    )
    return m.tocsr(), np.random.default_rng(1).standard_normal(n)


def test_spsolve():
    with cv.enable_x64():
        m, b = system()
        A = m.toarray()
        args = m.data, m.indices, m.indptr
        want = np.linalg.solve(A, b)
        for reorder in range(4):
            np.testing.assert_allclose(linalg.spsolve(*args, b, reorder=reorder), want, 1e-10)
        np.testing.assert_allclose(linalg.spsolve_p.bind(*args, b), want, 1e-10)
        f = cv.jit(lambda d, b: linalg.spsolve(d, *args[1:], b))
        np.testing.assert_allclose(f(m.data, b), want, 1e-10)
        got = cv.vmap(f, (None, 0))(m.data, np.stack([b, 2 * b]))
        np.testing.assert_allclose(got, [want, 2 * want], 1e-10)
        g, h = cv.grad(lambda d, b: cnp.sum(f(d, b) ** 2), (0, 1))(m.data, b)
        adjoint = np.linalg.solve(A.T, 2 * want)
        np.testing.assert_allclose(h, adjoint, 1e-8)
        rows = np.repeat(np.arange(30), np.diff(m.indptr))
        np.testing.assert_allclose(g, -adjoint[rows] * want[m.indices], 1e-8, 1e-10)
    assert np.isnan(linalg.spsolve(np.zeros(1), np.zeros(1, int), np.array([0, 1]), np.ones(1)))[0]
    with pytest.raises(ValueError, match="does not fit"):
        linalg.spsolve(*args, np.ones(3))
    with pytest.raises(ValueError, match="reorder"):
        linalg.spsolve(*args, b, reorder=9)


def test_lobpcg():
    with cv.enable_x64():
        m, _ = system(60)
        A = ((m + m.T) / 2).toarray()
        X = np.random.default_rng(0).standard_normal((60, 4))
        a = sparse.BCOO.fromdense(A)
        b, target = -a, np.linalg.eigvalsh(-A)[::-1][:4]
        theta, U, i = linalg.lobpcg_standard(lambda v: b @ v, X, m=300)
        np.testing.assert_allclose(theta, target, 1e-8)
        np.testing.assert_allclose(U.T @ U, np.eye(4), atol=1e-10)
        assert 0 < i < 300
        np.testing.assert_allclose(-A @ np.asarray(U), U * theta, atol=1e-6)
        near, _, _ = linalg.lobpcg_standard(-A, X, m=300, tol=1e-6)
        np.testing.assert_allclose(near, target, 1e-3)
    with pytest.raises(ValueError, match="five times"):
        linalg.lobpcg_standard(np.eye(10), np.ones((10, 2)))
    with pytest.raises(ValueError, match="shape"):
        linalg.lobpcg_standard(np.eye(9), np.ones((11, 2)))


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(bcoo(M) @ bcoo(M.T), M @ M.T)
