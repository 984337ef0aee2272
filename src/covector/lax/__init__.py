"""Primitive operations and the functions that bind them (`covector.lax`)."""

from covector.core.errors import export as _export
from covector.core.lazy import lazy_names as _lazy_names
from covector.core.rules import ELEMENTWISE as _ELEMENTWISE
from covector.core.structural import (
    broadcast_in_dim_p,
    optimization_barrier_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.lax.arithmetic import (
    RoundingMethod,
    betainc,
    conj,
    integer_pow,
    is_nan,
    mul,
    mulhi,
    pow,
    reciprocal,
    round,
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
    batch_matmul,
    dot,
    dot_general,
)
from covector.lax.elementwise import ROWS as _ROWS
from covector.lax.gather import gather
from covector.lax.precision import Precision, PrecisionLike, canonicalize_precision
from covector.lax.reductions import (
    argmax,
    argmin,
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
from covector.primitives import views as _views  # noqa: F401
from covector.primitives.convert import bitcast_convert_type_p, copy_p
from covector.primitives.cumulative import cumlogsumexp_p, cummax_p, cummin_p, cumprod_p, cumsum_p
from covector.primitives.dot import dot_general_p
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
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p

# The elementwise primitives have one name a row of the table.
globals().update({f"{_name}_p": _prim for _name, _prim in _ELEMENTWISE.items()})

__all__ = [
    "AccuracyMode", "ConvDimensionNumbers", "ConvGeneralDilatedDimensionNumbers", "DotAlgorithm",
    "DotAlgorithmPreset", "DotDimensionNumbers", "FftType", "GatherDimensionNumbers",
    "GatherScatterMode", "Precision", "PrecisionLike", "RaggedDotDimensionNumbers",
    "RandomAlgorithm", "RoundingMethod", "ScatterDimensionNumbers", "Tolerance", "after_all",
    "after_all_p", "all_gather", "all_gather_p", "all_to_all", "all_to_all_p", "approx_max_k",
    "approx_min_k", "approx_top_k_p", "argmax", "argmax_p", "argmin", "argmin_p",
    "associative_scan", "axis_index", "axis_index_p", "axis_size", "batch_matmul", "betainc",
    "bitcast_convert_type", "bitcast_convert_type_p", "broadcast", "broadcast_in_dim",
    "broadcast_in_dim_p", "broadcast_like", "broadcast_shapes", "broadcast_to_rank",
    "broadcasted_iota", "canonicalize_precision", "clamp", "collapse", "composite", "concatenate",
    "concatenate_p", "cond", "cond_p", "conj", "conv", "conv_dimension_numbers",
    "conv_general_dilated", "conv_general_dilated_local", "conv_general_dilated_p",
    "conv_general_dilated_patches", "conv_general_permutations", "conv_general_shape_tuple",
    "conv_shape_tuple", "conv_transpose", "conv_transpose_shape_tuple", "conv_with_general_padding",
    "convert_element_type", "copy_p", "create_token", "create_token_p", "cumlogsumexp",
    "cumlogsumexp_p", "cummax", "cummax_p", "cummin", "cummin_p", "cumprod", "cumprod_p", "cumsum",
    "cumsum_p", "custom_linear_solve", "custom_root", "dce_sink", "dce_sink_p", "device_put_p",
    "dot", "dot_general", "dot_general_p", "dtype", "dynamic_index_in_dim", "dynamic_slice",
    "dynamic_slice_in_dim", "dynamic_slice_p", "dynamic_update_index_in_dim",
    "dynamic_update_slice", "dynamic_update_slice_in_dim", "dynamic_update_slice_p", "empty",
    "eq_to_p", "expand_dims", "fft", "fft_p", "fori_loop", "full", "full_like", "gather",
    "gather_p", "index_in_dim", "index_take", "integer_pow", "iota", "iota_p", "is_nan", "le_to_p",
    "linear_solve_p", "lt_to_p", "map", "mul", "mulhi", "optimization_barrier",
    "optimization_barrier_p", "pad", "pad_p", "padtype_to_pads", "pbroadcast", "pcast",
    "platform_dependent", "pmax", "pmax_p", "pmean", "pmin", "pmin_p", "pow", "ppermute",
    "ppermute_p", "pshuffle", "psum", "psum_p", "psum_scatter", "pswapaxes", "ragged_dot",
    "ragged_dot_general", "reciprocal", "reduce", "reduce_and", "reduce_and_p", "reduce_max",
    "reduce_max_p", "reduce_min", "reduce_min_p", "reduce_or", "reduce_or_p", "reduce_p",
    "reduce_precision", "reduce_prod", "reduce_prod_p", "reduce_sum", "reduce_sum_p",
    "reduce_window", "reduce_window_max_p", "reduce_window_min_p", "reduce_window_p",
    "reduce_window_shape_tuple", "reduce_window_sum_p", "reduce_xor", "reduce_xor_p", "reshape",
    "reshape_p", "rev", "rev_p", "rng_bit_generator", "rng_bit_generator_p", "rng_uniform",
    "rng_uniform_p", "round", "scaled_dot", "scan", "scan_p", "scatter", "scatter_add",
    "scatter_add_p", "scatter_apply", "scatter_max", "scatter_max_p", "scatter_min",
    "scatter_min_p", "scatter_mul", "scatter_mul_p", "scatter_p", "scatter_sub", "scatter_sub_p",
    "select", "select_and_gather_add_p", "select_and_scatter_add_p", "select_and_scatter_p",
    "select_n", "shape_as_value", "slice", "slice_in_dim", "slice_p", "sort", "sort_key_val",
    "sort_p", "split", "split_p", "squeeze", "squeeze_p", "stack", "stack_p", "stage", "stage_p",
    "stop_gradient", "stop_gradient_p", "switch", "threefry2x32_p", "tile", "tile_p", "top_k",
    "top_k_p", "transpose", "transpose_p", "unstack", "unstack_p", "while_loop", "while_p",
    "sharding_constraint_p", "with_sharding_constraint",
    *_ROWS, *(f"{_name}_p" for _name in _ELEMENTWISE),
]  # fmt: skip

_export(globals(), __all__)

# Where the names that are imported when they are first used live.
_LAZY = {
    name: module
    for module, names in {
        "covector.control_flow.associative_scan": "associative_scan",
        "covector.control_flow.cond": "cond cond_p switch",
        "covector.control_flow.custom_jvp": "stop_gradient",
        "covector.control_flow.map": "map",
        "covector.control_flow.scan": "scan",
        "covector.control_flow.scan_rules": "scan_p",
        "covector.control_flow.solves": (
            "custom_linear_solve custom_root linear_solve_p platform_dependent"
        ),
        "covector.control_flow.while_loop": "fori_loop while_loop while_p",
        "covector.lax.parallel": (
            "all_gather all_to_all axis_index axis_size pbroadcast pcast pmax pmean pmin ppermute "
            "pshuffle psum psum_scatter pswapaxes"
        ),
        "covector.lax.algorithms": ("AccuracyMode DotAlgorithm DotAlgorithmPreset Tolerance"),
        "covector.lax.applied": "scatter_apply",
        "covector.lax.convolution": (
            "ConvGeneralDilatedDimensionNumbers conv conv_general_dilated "
            "conv_general_dilated_local conv_general_dilated_patches conv_transpose "
            "conv_with_general_padding"
        ),
        "covector.lax.convolution_shapes": (
            "conv_dimension_numbers conv_general_permutations conv_general_shape_tuple "
            "conv_shape_tuple conv_transpose_shape_tuple padtype_to_pads"
        ),
        "covector.primitives.convolution": "ConvDimensionNumbers conv_general_dilated_p",
        "covector.lax.fourier": "FftType fft fft_p",
        "covector.control_flow.composite": "composite dce_sink dce_sink_p stage stage_p",
        "covector.control_flow.reduce": "reduce_p",
        "covector.lax.composed": (
            "eq_to_p le_to_p lt_to_p reduce_window_p scatter_sub_p select_and_gather_add_p "
            "select_and_scatter_add_p select_and_scatter_p split_p stack_p stop_gradient_p tile_p "
            "unstack_p"
        ),
        "covector.lax.general_reduction": "reduce",
        "covector.lax.generators": "RandomAlgorithm rng_bit_generator rng_bit_generator_p",
        "covector.lax.ragged": "RaggedDotDimensionNumbers ragged_dot ragged_dot_general",
        "covector.lax.ragged_exchange": "precv psend ragged_all_to_all ragged_all_to_all_p",
        "covector.lax.tokens": "after_all after_all_p create_token create_token_p",
        "covector.lax.scaled": "scaled_dot",
        "covector.lax.sorting": (
            "approx_max_k approx_min_k approx_top_k_p sort sort_key_val top_k"
        ),
        "covector.lax.stateful": "rng_uniform rng_uniform_p",
        "covector.lax.taking": "dtype index_take",
        "covector.runtime.constraints": "sharding_constraint_p with_sharding_constraint",
        "covector.lax.windows": "reduce_window reduce_window_shape_tuple",
        "covector.primitives.windows": (
            "reduce_window_max_p reduce_window_min_p reduce_window_sum_p"
        ),
        "covector.runtime.devices": "device_put_p",
        "covector.primitives.parallel": (
            "all_gather_p all_to_all_p axis_index_p pmax_p pmin_p ppermute_p psum_p"
        ),
        "covector.primitives.random_bits": "threefry2x32_p",
        "covector.primitives.sorting": "sort_p top_k_p",
    }.items()
    for name in names.split()
} | dict.fromkeys(_ROWS, "covector.lax.elementwise")

__getattr__, __dir__ = _lazy_names(globals(), _LAZY, ("linalg",))
