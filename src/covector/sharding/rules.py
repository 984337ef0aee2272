"""Which primitives have which factors."""

from __future__ import annotations

from typing import Any

from covector.control_flow.checkpoint import name_p
from covector.control_flow.householder import householder_product_p, ormqr_p
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    convert_element_type_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.core.trace import Primitive
from covector.primitives import cumulative, indexing, reductions, windows
from covector.primitives.convert import bitcast_convert_type_p, copy_p
from covector.primitives.convolution import conv_general_dilated_p
from covector.primitives.dot import dot_general_p
from covector.primitives.fourier import fft_p
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p
from covector.primitives.linalg.tridiagonal import tridiagonal_solve_p
from covector.primitives.parallel import (
    all_gather_p,
    all_to_all_p,
    axis_index_p,
    pcast_p,
    pmax_p,
    pmin_p,
    ppermute_p,
    psum_p,
)
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.select import clamp_p, select_n_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.sorting import partition_p, search_p, sort_p, top_k_p
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p
from covector.sharding import factors
from covector.sharding.factors import Avals, Builder, Factors, factor_rules, together


def _joined(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Blocks along one dimension: the result is split there as the first operand is."""
    at = params["dimension"]
    b = Builder()
    dims = b.dims(operands[0].shape)
    others = [
        [
            (b.new(n),) if k == at and n != m else d
            for k, (d, n, m) in enumerate(zip(dims, a.shape, operands[0].shape, strict=True))
        ]
        for a in operands[1:]
    ]
    return b.build([dims, *others], [dims])


def _searched(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Each element of the second operand by itself, in the whole of its row of the first."""
    x, v = operands
    b = Builder()
    dims = b.dims(v.shape)
    return b.build([[*dims[: len(x.shape) - 1], (b.new(x.shape[-1], True),)], dims], [dims])


def _padded(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    whole = {k for k, c in enumerate(params["padding_config"]) if tuple(c) != (0, 0, 0)}
    return together(operands, results, whole)


def _transformed(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`fft`: along its axes."""
    return together(operands, results, set(params["axes"]))


def _windowed(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Windows of the size one leave a dimension alone."""
    sizes = params.get("window_dimensions") or ()
    ndim = len(operands[0].shape)
    whole = {k for k in range(ndim) if k >= len(sizes) or sizes[k] != 1}
    whole |= {k for k in range(ndim) if operands[0].shape[k] != results[0].shape[k]}
    return together(operands, results, whole)


def _bits(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`bitcast_convert_type`: a last dimension of the parts of each number may come or go."""
    n = min(len(operands[0].shape), len(results[0].shape))
    b = Builder()
    dims = b.dims(operands[0].shape[:n])
    rest = [[(b.new(m, True),) for m in a.shape[n:]] for a in (operands[0], results[0])]
    return b.build([[*dims, *rest[0]]], [[*dims, *rest[1]]])


def _gathered(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`all_gather`: a new dimension, of which a device has all."""
    b = Builder()
    dims = b.dims(operands[0].shape)
    at = params["axis"]
    return b.build([dims], [[*dims[:at], (b.new(params["size"], True),), *dims[at:]]])


def _exchanged(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`all_to_all`: a dimension that devices exchange goes elsewhere."""
    b = Builder()
    at = params["split_axis"]
    dims = b.dims(operands[0].shape, (at,))
    out = [*dims[:at], *dims[at + 1 :]]
    out.insert(params["concat_axis"], dims[at])
    return b.build([dims], [out])


gather_p = indexing.gather_p


def _register() -> None:
    same = (
        add_any_p, convert_element_type_p, copy_p, select_n_p, clamp_p, threefry2x32_p, name_p,
        pcast_p, psum_p, pmax_p, pmin_p, ppermute_p,
    )  # fmt: skip
    factor_rules.update(dict.fromkeys(same, factors.pointwise))
    for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
        factor_rules[getattr(cumulative, f"{name}_p")] = factors.along("axis")
    reducing = ["max", "min", "prod", "and", "or", "xor"]
    over = [getattr(reductions, f"reduce_{name}_p") for name in reducing]
    over += [reduce_sum_p, reductions.argmax_p, reductions.argmin_p]
    factor_rules.update(dict.fromkeys(over, factors.reduced))
    for name in ("scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max"):
        factor_rules[getattr(indexing, f"{name}_p")] = factors.scattered
    for prim in vars(windows).values():
        if isinstance(prim, Primitive) and prim.name.startswith("reduce_window"):
            factor_rules[prim] = _windowed
    matrices = (
        cholesky_p, lu_p, qr_p, geqrf_p, eigh_p, eig_p, svd_p, triangular_solve_p, hessenberg_p,
        tridiagonal_p, householder_product_p, ormqr_p,
    )  # fmt: skip
    factor_rules.update(dict.fromkeys(matrices, factors.leading(2)))
    factor_rules.update({
        broadcast_in_dim_p: factors.broadcast,
        reshape_p: factors.reshaped,
        transpose_p: factors.moved,
        squeeze_p: factors.squeezed,
        dot_general_p: factors.dot_general,
        slice_p: factors.sliced,
        dynamic_slice_p: factors.sliced,
        dynamic_update_slice_p: factors.updated,
        gather_p: factors.gathered,
        concatenate_p: _joined,
        pad_p: _padded,
        rev_p: factors.along("dimensions"),
        sort_p: factors.along("dimension"),
        top_k_p: factors.along("axis"),
        partition_p: factors.along("axis"),
        search_p: _searched,
        iota_p: factors.made,
        conv_general_dilated_p: factors.convolved,
        fft_p: _transformed,
        bitcast_convert_type_p: _bits,
        all_gather_p: _gathered,
        all_to_all_p: _exchanged,
        axis_index_p: factors.made,
        lu_pivots_to_permutation_p: factors.leading(1),
        tridiagonal_solve_p: factors.leading(1),
    })  # fmt: skip


_register()

# Types say of their results that they are split as the first operand is, where that is split along
# dimensions of which a device needs more than its part.
as_operand: set[Primitive] = {
    slice_p, dynamic_slice_p, dynamic_update_slice_p, rev_p, pad_p, fft_p, concatenate_p,
    *(p for p, rule in factor_rules.items() if rule is _windowed),
}  # fmt: skip
