"""Primitive operations and the functions that bind them (`covector.lax`)."""

import importlib as _importlib
from typing import Any as _Any

from covector.control_flow.associative_scan import associative_scan
from covector.control_flow.cond import cond, cond_p, switch
from covector.control_flow.custom_jvp import stop_gradient
from covector.control_flow.map import map
from covector.control_flow.scan import scan, scan_p
from covector.control_flow.solves import (
    custom_linear_solve,
    custom_root,
    linear_solve_p,
    platform_dependent,
)
from covector.control_flow.while_loop import fori_loop, while_loop, while_p
from covector.core.errors import export as _export
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    convert_element_type_p,
    optimization_barrier_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.lax.arithmetic import (
    add,
    atan2,
    complex,
    div,
    max,
    min,
    mul,
    mulhi,
    nextafter,
    pow,
    rem,
    sub,
)
from covector.lax.compare import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    clz,
    eq,
    ge,
    gt,
    is_nan,
    le,
    lt,
    ne,
    population_count,
    shift_left,
    shift_right_arithmetic,
    shift_right_logical,
)
from covector.lax.convert import (
    bitcast_convert_type,
    convert_element_type,
    optimization_barrier,
    reduce_precision,
)
from covector.lax.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from covector.lax.dot import (
    DotDimensionNumbers,
    Precision,
    batch_matmul,
    canonicalize_precision,
    dot,
    dot_general,
)
from covector.lax.gather import gather
from covector.lax.incomplete import betainc, igamma, igamma_grad_a, igammac, random_gamma_grad
from covector.lax.parallel import (
    all_gather,
    all_to_all,
    axis_index,
    axis_size,
    pbroadcast,
    pcast,
    pmax,
    pmean,
    pmin,
    ppermute,
    pshuffle,
    psum,
    psum_scatter,
    pswapaxes,
)
from covector.lax.reductions import (
    argmax,
    argmin,
    reduce,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_sum,
    reduce_xor,
)
from covector.lax.scatter import (
    scatter,
    scatter_add,
    scatter_apply,
    scatter_max,
    scatter_min,
    scatter_mul,
    scatter_sub,
)
from covector.lax.select import clamp, select, select_n
from covector.lax.shape_functions import (
    broadcast,
    broadcast_in_dim,
    broadcast_like,
    broadcast_shapes,
    broadcast_to_rank,
    broadcasted_iota,
    collapse,
    concatenate,
    empty,
    expand_dims,
    full,
    full_like,
    iota,
    pad,
    reshape,
    rev,
    shape_as_value,
    split,
    squeeze,
    stack,
    tile,
    transpose,
    unstack,
)
from covector.lax.slicing import (
    dynamic_index_in_dim,
    dynamic_slice,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice,
    dynamic_update_slice_in_dim,
    index_in_dim,
    slice,
    slice_in_dim,
)
from covector.lax.sorting import sort, sort_key_val, top_k
from covector.lax.special import (
    bessel_i0e,
    bessel_i1e,
    digamma,
    erf,
    erf_inv,
    erfc,
    lgamma,
    polygamma,
    zeta,
)
from covector.lax.unary import (
    RoundingMethod,
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    cbrt,
    ceil,
    conj,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    floor,
    imag,
    integer_pow,
    is_finite,
    log,
    log1p,
    logistic,
    neg,
    real,
    reciprocal,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    tanh,
)
from covector.primitives import views as _views  # noqa: F401
from covector.primitives.arithmetic import (
    abs_p,
    add_p,
    ceil_p,
    complex_p,
    conj_p,
    div_p,
    floor_p,
    imag_p,
    integer_pow_p,
    is_finite_p,
    max_p,
    min_p,
    mul_p,
    mulhi_p,
    neg_p,
    nextafter_p,
    real_p,
    rem_p,
    round_p,
    sign_p,
    square_p,
    sub_p,
)
from covector.primitives.compare import (
    and_p,
    clz_p,
    eq_p,
    ge_p,
    gt_p,
    le_p,
    lt_p,
    ne_p,
    not_p,
    or_p,
    population_count_p,
    shift_left_p,
    shift_right_arithmetic_p,
    shift_right_logical_p,
    xor_p,
)
from covector.primitives.convert import bitcast_convert_type_p, copy_p, reduce_precision_p
from covector.primitives.cumulative import cumlogsumexp_p, cummax_p, cummin_p, cumprod_p, cumsum_p
from covector.primitives.dot import dot_general_p
from covector.primitives.exponential import (
    acos_p,
    acosh_p,
    asin_p,
    asinh_p,
    atan2_p,
    atan_p,
    atanh_p,
    cbrt_p,
    cos_p,
    cosh_p,
    exp2_p,
    exp_p,
    expm1_p,
    log1p_p,
    log_p,
    logistic_p,
    pow_p,
    rsqrt_p,
    sin_p,
    sinh_p,
    sqrt_p,
    tan_p,
    tanh_p,
)
from covector.primitives.incomplete import (
    igamma_grad_a_p,
    igamma_p,
    igammac_p,
    random_gamma_grad_p,
    regularized_incomplete_beta_p,
)
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
)
from covector.primitives.parallel import (
    all_gather_p,
    all_to_all_p,
    axis_index_p,
    pmax_p,
    pmin_p,
    ppermute_p,
    psum_p,
)
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.reductions import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)
from covector.primitives.select import clamp_p, select_n_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.sorting import sort_p, top_k_p
from covector.primitives.special import (
    bessel_i0e_p,
    bessel_i1e_p,
    digamma_p,
    erf_inv_p,
    erf_p,
    erfc_p,
    lgamma_p,
    polygamma_p,
    zeta_p,
)
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p

__all__ = [
    "DotDimensionNumbers", "GatherDimensionNumbers", "GatherScatterMode", "Precision",
    "RoundingMethod", "ScatterDimensionNumbers", "abs", "abs_p", "acos", "acos_p", "acosh",
    "acosh_p", "add", "add_any_p", "add_p", "all_gather", "all_gather_p", "all_to_all",
    "all_to_all_p", "and_p", "argmax", "argmax_p", "argmin", "argmin_p", "asin", "asin_p", "asinh",
    "asinh_p", "associative_scan", "atan", "atan2", "atan2_p", "atan_p", "atanh", "atanh_p",
    "axis_index", "axis_index_p", "axis_size", "batch_matmul", "bessel_i0e", "bessel_i0e_p",
    "bessel_i1e", "bessel_i1e_p", "betainc", "bitcast_convert_type", "bitcast_convert_type_p",
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast", "broadcast_in_dim",
    "broadcast_in_dim_p", "broadcast_like", "broadcast_shapes", "broadcast_to_rank",
    "broadcasted_iota", "canonicalize_precision", "cbrt", "cbrt_p", "ceil", "ceil_p", "clamp",
    "clamp_p", "clz", "clz_p", "collapse", "complex", "complex_p", "concatenate", "concatenate_p",
    "cond", "cond_p", "conj", "conj_p", "convert_element_type", "convert_element_type_p", "copy_p",
    "cos", "cos_p", "cosh", "cosh_p", "cumlogsumexp", "cumlogsumexp_p", "cummax", "cummax_p",
    "cummin", "cummin_p", "cumprod", "cumprod_p", "cumsum", "cumsum_p", "custom_linear_solve",
    "custom_root", "digamma", "digamma_p", "div", "div_p", "dot", "dot_general", "dot_general_p",
    "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim", "dynamic_slice_p",
    "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim",
    "dynamic_update_slice_p", "empty", "eq", "eq_p", "erf", "erf_inv", "erf_inv_p", "erf_p", "erfc",
    "erfc_p", "exp", "exp2", "exp2_p", "exp_p", "expand_dims", "expm1", "expm1_p", "floor",
    "floor_p", "fori_loop", "full", "full_like", "gather", "gather_p", "ge", "ge_p", "gt", "gt_p",
    "igamma", "igamma_grad_a", "igamma_grad_a_p", "igamma_p", "igammac", "igammac_p", "imag",
    "imag_p", "index_in_dim", "integer_pow", "integer_pow_p", "iota", "iota_p", "is_finite",
    "is_finite_p", "is_nan", "le", "le_p", "lgamma", "lgamma_p", "linear_solve_p", "log", "log1p",
    "log1p_p", "log_p", "logistic", "logistic_p", "lt", "lt_p", "map", "max", "max_p", "min",
    "min_p", "mul", "mul_p", "mulhi", "mulhi_p", "ne", "ne_p", "neg", "neg_p", "nextafter",
    "nextafter_p", "not_p", "optimization_barrier", "optimization_barrier_p", "or_p", "pad",
    "pad_p", "pbroadcast", "pcast", "platform_dependent", "pmax", "pmax_p", "pmean", "pmin",
    "pmin_p", "polygamma", "polygamma_p", "population_count", "population_count_p", "pow", "pow_p",
    "ppermute", "ppermute_p", "pshuffle", "psum", "psum_p", "psum_scatter", "pswapaxes",
    "random_gamma_grad", "random_gamma_grad_p", "real", "real_p", "reciprocal", "reduce",
    "reduce_and", "reduce_and_p", "reduce_max", "reduce_max_p", "reduce_min", "reduce_min_p",
    "reduce_or", "reduce_or_p", "reduce_precision", "reduce_precision_p", "reduce_prod",
    "reduce_prod_p", "reduce_sum", "reduce_sum_p", "reduce_xor", "reduce_xor_p",
    "regularized_incomplete_beta_p", "rem", "rem_p", "reshape", "reshape_p", "rev", "rev_p",
    "round", "round_p", "rsqrt", "rsqrt_p", "scan", "scan_p", "scatter", "scatter_add",
    "scatter_add_p", "scatter_apply", "scatter_max", "scatter_max_p", "scatter_min",
    "scatter_min_p", "scatter_mul", "scatter_mul_p", "scatter_p", "scatter_sub", "select",
    "select_n", "select_n_p", "shape_as_value", "shift_left", "shift_left_p",
    "shift_right_arithmetic", "shift_right_arithmetic_p", "shift_right_logical",
    "shift_right_logical_p", "sign", "sign_p", "sin", "sin_p", "sinh", "sinh_p", "slice",
    "slice_in_dim", "slice_p", "sort", "sort_key_val", "sort_p", "split", "sqrt", "sqrt_p",
    "square", "square_p", "squeeze", "squeeze_p", "stack", "stop_gradient", "sub", "sub_p",
    "switch", "tan", "tan_p", "tanh", "tanh_p", "threefry2x32_p", "tile", "top_k", "top_k_p",
    "transpose", "transpose_p", "unstack", "while_loop", "while_p", "xor_p", "zeta", "zeta_p",
]  # fmt: skip

_export(globals(), __all__)


def __getattr__(name: str) -> _Any:
    if name == "linalg":  # imported when it is first used
        return _importlib.import_module("covector.lax.linalg")
    raise AttributeError(f"module 'covector.lax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if not n.startswith("_")), "linalg"})
