"""Products of block-scaled narrow floats."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from covector import lax
from covector.control_flow.custom_vjp import custom_vjp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.numpy import asarray, pad, where


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = None
) -> Any:
    """Matrix products of block-scaled operands, with the rows of both as vectors.

    Parameters
    ----------
    lhs, rhs : array_like
        Shapes ``(B, M, K)`` and ``(B, N, K)``, usually of a float type of at most eight bits.
    lhs_scales, rhs_scales : array_like
        Factors of blocks of ``K / S`` elements, of shapes ``(B, M, S)`` and ``(B, N, S)``.
    preferred_element_type : dtype, optional
        Of the result; by default float32. Products are summed in float32.

    Returns
    -------
    Array
        Shape ``(B, M, N)``.

    Raises
    ------
    ValueError
        If the operands have not three dimensions, or sizes do not fit.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.ones((1, 1, 64), "float8_e4m3fn")
    >>> scales = cv.numpy.array([[[0.5, 2.0]]], "float8_e8m0fnu")
    >>> cv.nn.scaled_matmul(x, x, scales, scales)
    Array([[[136.]]], dtype=float32)
    """
    given = [asarray(x) for x in (lhs, rhs, lhs_scales, rhs_scales)]
    _check_scaled(*given)
    a, b = (_scaled(x, s) for x, s in zip(given[:2], given[2:], strict=True))
    out = lax.dot_general(a, b, (((2,), (2,)), ((0,), (0,))))
    dt = dtypes.float32 if preferred_element_type is None else preferred_element_type
    return out.astype(dt)


def _check_scaled(a: Any, b: Any, a_scales: Any, b_scales: Any) -> None:
    """Raise the ValueError for operands of `scaled_matmul` that do not fit."""
    shapes = [x.shape for x in (a, b, a_scales, b_scales)]
    fits = (
        all(len(s) == 3 for s in shapes)
        and a.shape[::2] == b.shape[::2]
        and all(x.shape[:2] == s.shape[:2] for x, s in ((a, a_scales), (b, b_scales)))
        and a_scales.shape[2] == b_scales.shape[2] > 0
        and a.shape[2] % a_scales.shape[2] == 0
    )
    if not fits:
        raise ValueError(
            "scaled_matmul takes operands of shapes (B, M, K) and (B, N, K) with scales of shapes "
            f"(B, M, S) and (B, N, S), where S divides K; got {', '.join(map(str, shapes))}"
            f"{at_user_line()}"
        )


def _scaled(x: Any, scales: Any) -> Any:
    """The operand in float32, its blocks multiplied by their factors."""
    blocks = x.astype(dtypes.float32).reshape(*scales.shape, -1)
    return (blocks * scales.astype(dtypes.float32)[..., None]).reshape(x.shape)


# --- scales that are chosen here ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class BlockScaleConfig:
    """How an operand of `scaled_dot_general` is scaled.

    Attributes
    ----------
    mode : {'mxfp8', 'nvfp4'}
    block_size : int
        Elements that have one factor, along the contracted axes.
    data_type, scale_type : dtype
    global_scale : array, optional
        A factor of all elements.
    infer_only : bool
        Has no effect.

    Examples
    --------
    >>> import covector as cv
    >>> config = cv.nn.get_scaled_dot_general_config("mxfp8")
    >>> config.mode, config.block_size
    ('mxfp8', 32)
    """

    mode: str
    block_size: int
    data_type: Any
    scale_type: Any
    global_scale: Any = None
    infer_only: bool = False


_FORMATS = {
    "mxfp8": (32, "float8_e4m3fn", "float8_e8m0fnu"),
    "nvfp4": (16, "float4_e2m1fn", "float8_e4m3fn"),
}


def get_scaled_dot_general_config(mode: str, global_scale: Any = None) -> BlockScaleConfig:
    """How operands of `scaled_dot_general` are scaled, by the name of a format.

    Parameters
    ----------
    mode : {'mxfp8', 'nvfp4'}
        Floats of eight bits in blocks of 32, whose factors are powers of two; floats of four bits
        in blocks of 16, whose factors are floats of eight.
    global_scale : array_like, optional
        For ``"nvfp4"``: a factor of all elements; by default 1.

    Returns
    -------
    BlockScaleConfig

    Raises
    ------
    ValueError
        If there is no such format.

    References
    ----------
    OCP Microscaling Formats (MX) Specification 1.0, 2023.

    Examples
    --------
    >>> import covector as cv
    >>> cv.nn.get_scaled_dot_general_config("nvfp4").data_type
    dtype(float4_e2m1fn)
    """
    if mode not in _FORMATS:
        raise ValueError(
            f"get_scaled_dot_general_config: mode must be one of {', '.join(map(repr, _FORMATS))}, "
            f"got {mode!r}{at_user_line()}"
        )
    size, data, scale = _FORMATS[mode]
    if mode == "mxfp8":
        factor = None
    else:
        factor = asarray(1.0 if global_scale is None else global_scale, dtypes.float32)
        if factor.size != 1:
            raise ValueError(
                "get_scaled_dot_general_config: global_scale must be one number, got an array of "
                f"shape {factor.shape}{at_user_line()}"
            )
    return BlockScaleConfig(mode, size, dtypes.as_dtype(data), dtypes.as_dtype(scale), factor)


def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = None,
    configs: Any = None,
    implementation: str | None = None,
) -> Any:
    """Generalised product of operands that are rounded to narrow floats with factors of blocks.

    Parameters
    ----------
    lhs, rhs : array_like
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))
        As for `lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the result: float32, the default, bfloat16 or float16.
    configs : sequence of BlockScaleConfig, optional
        How the operands and, in derivatives, the cotangent are scaled: of
        `get_scaled_dot_general_config`. By default nothing is rounded.
    implementation : str, optional
        Has no effect.

    Returns
    -------
    Array
        Batch axes, then the others of ``lhs``, then those of ``rhs``.

    Raises
    ------
    TypeError
        If ``preferred_element_type`` is another dtype.
    ValueError
        If ``configs`` has not an item for each operand.

    Notes
    -----
    Each block is divided by its largest absolute value over that of the format, rounded to the
    type of factors, and up where those are powers of two. Derivatives are those of the product
    without rounding. Of ``"mxfp8"`` they are computed by products of rounded operands, too; of
    ``"nvfp4"``, they are zero where an element is beyond what the format holds.

    Examples
    --------
    >>> import covector as cv
    >>> config = cv.nn.get_scaled_dot_general_config("mxfp8")
    >>> x = cv.numpy.full((2, 32), 3.1)
    >>> cv.nn.scaled_dot_general(x, x, (((1,), (1,)), ((), ())), configs=[config] * 3)
    Array([[288., 288.],
           [288., 288.]], dtype=float32)
    """
    a, b = asarray(lhs), asarray(rhs)
    dt = dtypes.as_dtype(
        dtypes.float32 if preferred_element_type is None else preferred_element_type
    )
    if dt not in (dtypes.float32, dtypes.bfloat16, dtypes.float16):
        raise TypeError(
            "scaled_dot_general: preferred_element_type must be float32, bfloat16 or float16, got "
            f"{dt}{at_user_line()}"
        )
    if configs is None:
        return lax.dot_general(a, b, dimension_numbers, preferred_element_type=dt)
    configs = tuple(configs)
    if len(configs) not in (2, 3) or not all(isinstance(c, BlockScaleConfig) for c in configs):
        raise ValueError(
            "scaled_dot_general: configs has items of get_scaled_dot_general_config for lhs, rhs "
            f"and, for derivatives, the cotangent, got {configs!r:.200}{at_user_line()}"
        )
    (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
    a, a_free = _as_rows(a, a_contract, a_batch)
    b, b_free = _as_rows(b, b_contract, b_batch)
    if a.shape[::2] != b.shape[::2]:
        raise ValueError(
            f"scaled_dot_general: the sizes of batch axes and of contracted axes of {lhs.shape} "
            f"and {rhs.shape} differ under {dimension_numbers}{at_user_line()}"
        )
    batch = tuple([lhs.shape[d] for d in a_batch])
    out = _product_of_rows(a, b, configs).reshape(*batch, *a_free, *b_free)
    return out.astype(dt)


def _as_rows(x: Any, contract: Any, batch: Any) -> tuple[Any, tuple[int, ...]]:
    """An operand of shape (B, M, K) in float32, and the sizes that make up M."""
    contract, batch = [d % x.ndim for d in contract], [d % x.ndim for d in batch]
    free = [d for d in range(x.ndim) if d not in contract and d not in batch]
    parts = [tuple([x.shape[d] for d in part]) for part in (batch, free, contract)]
    moved = lax.transpose(x, (*batch, *free, *contract))
    rows = moved.reshape([math.prod(part) for part in parts])
    return rows.astype(dtypes.float32), parts[1]


def _product_of_rows(a: Any, b: Any, configs: tuple[BlockScaleConfig, ...]) -> Any:
    """Products of the rounded rows of two operands, with derivatives."""

    @custom_vjp
    def product(a: Any, b: Any) -> Any:
        return _rounded_product(a, b, configs[0], configs[1])

    def forward(a: Any, b: Any) -> Any:
        return product(a, b), (a, b)

    def backward(saved: Any, ct: Any) -> Any:
        a, b = saved
        return (
            _ct_of(ct, a, b, configs, 0),
            _ct_of(lax.transpose(ct, (0, 2, 1)), b, a, configs, 1),
        )

    product.defvjp(forward, backward)
    return product(a, b)


def _ct_of(ct: Any, x: Any, other: Any, configs: tuple[BlockScaleConfig, ...], place: int) -> Any:
    """The cotangent of the operand ``x``, of whose rows are those of the product and of ``ct``."""
    columns = lax.transpose(other, (0, 2, 1))
    config = configs[place]
    if config.mode == "mxfp8":
        if len(configs) < 3:
            raise ValueError(
                "scaled_dot_general: derivatives need a third item of configs, for the cotangent"
                f"{at_user_line()}"
            )
        return _rounded_product(ct, columns, configs[2], configs[1 - place])
    out = lax.dot_general(ct, columns, (((2,), (2,)), ((0,), (0,))))
    most = _largest(config.data_type) * _largest(config.scale_type) * config.global_scale.reshape()
    return where(lax.abs(x) <= most, out, 0)


def _rounded_product(a: Any, b: Any, a_config: BlockScaleConfig, b_config: BlockScaleConfig) -> Any:
    (a, a_scales), (b, b_scales) = _rounded(a, a_config), _rounded(b, b_config)
    out = lax.dot_general(_scaled(a, a_scales), _scaled(b, b_scales), (((2,), (2,)), ((0,), (0,))))
    for config in (a_config, b_config):
        if config.global_scale is not None:
            out = out * config.global_scale.reshape()
    return out


def _largest(dtype: Any) -> float:
    return float(dtypes.finfo(dtype).max)


def _rounded(x: Any, config: BlockScaleConfig) -> tuple[Any, Any]:
    """Rows as narrow floats, and the factors of their blocks; zeros fill up the last block."""
    size, most = config.block_size, _largest(config.data_type)
    short = -x.shape[2] % size
    blocks = pad(x, ((0, 0), (0, 0), (0, short))).reshape(*x.shape[:2], -1, size)
    if config.global_scale is not None:
        blocks = blocks / config.global_scale.reshape()
    scales = _factors(lax.reduce_max(lax.abs(blocks), (3,)) / most, config.scale_type)
    divisor = scales.astype(dtypes.float32)
    divisor = where(divisor == 0, 1, divisor)  # its elements are zero, or as good as that
    data = lax.clamp(-most, blocks / divisor[..., None], most).astype(config.data_type)
    return data.reshape(*x.shape[:2], -1), scales


def _factors(x: Any, dtype: Any) -> Any:
    """Numbers that are not negative, as factors: the next power of two, or the nearest float."""
    if dtype != dtypes.as_dtype("float8_e8m0fnu"):
        return lax.clamp(0.0, x, _largest(dtype)).astype(dtype)
    bits = lax.bitcast_convert_type(x, "uint32")
    exponent, rest = bits >> 23, bits & 0x7FFFFF
    # The least factor, 2**-127, is half of the least normal number of float32.
    up = (rest > where(exponent == 0, 1 << 22, 0)) & (exponent < 254)
    return lax.bitcast_convert_type((exponent + up.astype("uint32")).astype("uint8"), dtype)
