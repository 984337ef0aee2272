"""The primitives of programs (`covector.extend.core.primitives`).

They stand where their rules do. Those that are made of others (`core.trace.Composed`) do not occur
in programs: what they are made of does.
"""

from covector.core.lazy import lazy_names as _lazy_names

# Names without their ending "_p".
_LAX = (
    "abs acos acosh add after_all all_gather all_to_all and approx_top_k argmax argmin asin "
    "asinh atan atan2 atanh axis_index bessel_i0e bessel_i1e bitcast_convert_type "
    "broadcast_in_dim cbrt ceil clamp clz complex concatenate cond conj conv_general_dilated "
    "convert_element_type copy cos cosh create_token cumlogsumexp cummax cummin cumprod "
    "cumsum device_put digamma div dot_general dynamic_slice dynamic_update_slice eq eq_to "
    "erf erf_inv erfc exp exp2 expm1 fft floor gather ge gt igamma igamma_grad_a igammac imag "
    "integer_pow iota is_finite le le_to lgamma linear_solve log log1p logistic lt lt_to max "
    "min mul ne neg nextafter not or pad pmax pmin polygamma population_count pow ppermute "
    "psum real reduce_and reduce_max reduce_min reduce_or reduce_precision reduce_prod "
    "reduce_sum reduce_window reduce_window_max reduce_window_min reduce_window_sum "
    "reduce_xor regularized_incomplete_beta rem reshape rev rng_bit_generator rng_uniform "
    "round rsqrt scan scatter scatter_add scatter_max scatter_min scatter_mul "
    "select_and_gather_add select_and_scatter select_and_scatter_add select_n "
    "sharding_constraint shift_left shift_right_arithmetic shift_right_logical sign sin sinh "
    "slice sort sqrt square squeeze stop_gradient sub tan tanh top_k transpose while xor zeta "
)
_LINALG = (
    "cholesky eig eigh hessenberg householder_product lu qr schur svd triangular_solve "
    "tridiagonal tridiagonal_solve "
)
_COMPOSED = (
    "call closed_call random_bits random_fold_in random_gamma random_seed random_split "
    "remat add_jaxvals empty2 get swap "
)
_NAMES = {
    **{f"{name}_p": "covector.lax" for name in _LAX.split()},
    **{f"{name}_p": "covector.lax.linalg" for name in _LINALG.split()},
    **{f"{name}_p": "covector.extend.core._composed" for name in _COMPOSED.split()},
    "custom_jvp_call_p": "covector.control_flow.custom_jvp",
    **dict.fromkeys(("custom_lin_p", "custom_vjp_call_p"), "covector.control_flow.custom_vjp"),
    "jit_p": "covector.transforms.jit",
    "ragged_all_to_all_p": "covector.lax",
    "name_p": "covector.control_flow.checkpoint",
    "reduce_p": "covector.control_flow.reduce",
    "threefry2x32_p": "covector.primitives.random_bits",
}
__getattr__, __dir__ = _lazy_names(globals(), _NAMES)

__all__ = sorted(_NAMES)
