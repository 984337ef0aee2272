"""What the functions of `covector.numpy` share: operands, promotion, broadcasting, fusion."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as onp

from covector import _native
from covector.core import dtypes
from covector.core.avals import Array, aval_of, is_array_like, sparse_remedy, to_array
from covector.core.config import config, x64_enabled
from covector.core.dims import DimExpr
from covector.core.errors import (
    ConcretizationTypeError,
    ShapeMismatchError,
    at_user_line,
    describe,
    warn,
)
from covector.core.operands import PY_SCALARS, scalar
from covector.core.structural import broadcast_in_dim_p, convert_element_type
from covector.core.trace import Tracer, eval_trace, origin
from covector.lax.convert import reduce_precision
from covector.lax.elementwise import real
from covector.transforms.jit import jit

current_trace = _native.current_trace
F = TypeVar("F", bound=Callable[..., Any])
_KIND_OF_PY = {bool: 0, int: 1, float: 2, complex: 3}


def fused(*static: str) -> Callable[[F], F]:
    """Run the function as one compiled program when it is called on concrete arrays.

    Under a transformation it is plain Python: its operations are traced where it is called.
    ``static`` names the arguments that are not arrays.
    """

    def decorate(fun: F) -> F:
        compiled: Any = None

        @functools.wraps(fun)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal compiled
            if current_trace() is not eval_trace:
                return fun(*args, **kwargs)
            if compiled is None:
                compiled = compile_lazily(fun, static)
            try:
                return compiled(*args, **kwargs)
            except OverflowError:
                # Operation by operation a Python integer takes the type of what is beside it.
                return fun(*args, **kwargs)
            except ValueError:
                bound = inspect.signature(fun).bind(*args, **kwargs)
                given = bound.arguments
                lists = [
                    name for name in static
                    if type(given.get(name)) is list or hasattr(given.get(name), "tolist")
                ]  # fmt: skip
                if not lists:
                    raise
            # Programs are kept by their static arguments, which a list (of axes, say) or an array
            # cannot be.
            given.update({name: _as_static(given[name]) for name in lists})
            return compiled(*bound.args, **bound.kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def _as_static(x: Any) -> Any:
    """A list or an array of integers as a tuple or a Python number."""
    x = x.tolist() if hasattr(x, "tolist") else x
    return tuple(x) if isinstance(x, list) else x


def compile_lazily(
    fun: Callable[..., Any], static: Sequence[str] = (), donate: bool = False
) -> Callable[..., Any]:
    """The jitted function, which with ``donate`` takes over the memory of its first argument."""
    return jit(
        fun,
        static_argnames=tuple(static) or None,
        donate_argnums=0 if donate else None,
        inline=True,
    )


def check_out(out: Any, name: str) -> None:
    if out is not None:
        raise NotImplementedError(
            f"the argument out of covector.numpy.{name} is not supported: arrays are immutable; "
            f"use the result instead{at_user_line()}"
        )


def operand(x: Any, name: str, position: int = 0) -> Any:
    """``x`` as an operand: an array, tracer, NumPy array or number.

    Raises
    ------
    TypeError
        For lists, strings and other objects.
    """
    t = type(x)
    if t is Array or t in PY_SCALARS or isinstance(x, Tracer):
        return x
    if hasattr(x, "__jax_array__"):
        return x.__jax_array__()
    if isinstance(x, (onp.ndarray, onp.generic)):
        if x.dtype not in dtypes.code_of:
            dtypes.canonicalize_dtype(x.dtype)
        return x
    if not is_array_like(x):
        hint = sparse_remedy(x)
        if isinstance(x, (list, tuple)):
            hint = "convert it with covector.numpy.array() first"
        hint = f": {hint}" if hint else ""
        raise TypeError(
            f"{name} requires arrays or scalars as arguments, got {describe(x)} at position "
            f"{position}{hint}{at_user_line()}"
        )
    return x


def array(x: Any, name: str = "the function", position: int = 0) -> Any:
    """``x`` as an Array or Tracer (see `operand`)."""
    t = type(x)
    if t is Array or isinstance(x, Tracer):
        return x
    x = operand(x, name, position)
    return x if isinstance(x, Tracer) else to_array(x)


def shape_of(x: Any) -> tuple[int, ...]:
    t = type(x)
    if t in PY_SCALARS:
        return ()
    shape = getattr(x, "shape", None)
    return aval_of(x).shape if shape is None else shape


def convert(x: Any, dtype: Any, weak: bool = False) -> Any:
    """``x`` in ``dtype``; complex numbers lose their imaginary part."""
    t = type(x)
    if t in PY_SCALARS and not weak:
        return scalar_of(x, dtype)
    if t is not Array and not isinstance(x, Tracer):
        x = x.__jax_array__() if t is DimExpr else to_array(x)
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(dtype) and dtype != dtypes.bool_:
        x = real(x)
    return convert_element_type(x, dtype, weak)


def rounded(x: Any) -> Any:
    """A product as it is when it is rounded, which is not fused with an addition of it."""
    info = dtypes.finfo(x.dtype)
    return reduce_precision(x, int(info.nexp), int(info.nmant))


def scalar_of(x: Any, dtype: Any) -> Any:
    """A Python scalar converted to ``dtype`` as elements of arrays are."""
    t = type(x)
    rank = dtypes.kind_rank(dtype)
    if _KIND_OF_PY[t] <= rank or (t is bool):
        return scalar(x, dtype)
    if t is complex and rank < 3:
        x = x.real
    if rank == 0:
        return onp.bool_(x)
    if rank != 1:
        return scalar(x, dtype)
    return scalar(dtypes.cast(onp.asarray(x), dtype).item(), dtype)


def _taken(pytype: type, x: Any) -> Any:
    """The dtype of an array that a Python number beside it takes; None if both change."""
    aval = x.aval
    dt = aval.dtype
    if dt not in dtypes.code_of or _KIND_OF_PY[pytype] > dtypes.kind_rank(dt) or pytype is bool:
        return None
    # Where enable_x64 was changed since, types give way to the wider or narrower ones of now.
    if dt in dtypes.WIDE:
        return dt if x64_enabled() else None
    return None if aval.weak_type and dt in dtypes.NARROWED and x64_enabled() else dt


def promote2(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in one dtype and shape (a rank-0 operand stays as it is)."""
    tx, ty = type(x), type(y)
    if ty in PY_SCALARS and (tx is Array or isinstance(x, Tracer)):
        dt = _taken(ty, x)
        if dt is not None:
            return x, scalar(y, dt)
    elif tx in PY_SCALARS and (ty is Array or isinstance(y, Tracer)):
        dt = _taken(tx, y)
        if dt is not None:
            return scalar(x, dt), y
    else:
        xa, ya = getattr(x, "aval", None), getattr(y, "aval", None)
        if xa is not None and ya is not None and xa.dtype is ya.dtype:
            if xa.shape == ya.shape:
                if xa.weak_type is ya.weak_type or not xa.weak_type:
                    return x, y
    x, y = promote_dtypes(name, x, y)
    return broadcast2(name, x, y)


def beside_all(x: Any, y: Any) -> int:
    """How a Python integer ``y`` compares with all that the integer dtype of ``x`` can hold.

    Returns
    -------
    int
        1 if it is greater than any of these numbers, -1 if it is less, 0 if it is among them or
        there is no such operand.
    """
    if type(y) is not int or 0 <= y < 128:
        return 0
    dt = getattr(x, "dtype", None)
    if (dt is dtypes.int32 or dt is dtypes.float32) and -(2**31) <= y < 2**31:
        return 0
    low, high = dtypes.LIMITS.get(dtypes.default_int() if dt == dtypes.bool_ else dt, (y, y))
    return int(y > high) - int(y < low)


def broadcast2(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in one shape; a rank-0 operand stays as it is."""
    a, b = shape_of(x), shape_of(y)
    if a == b or not a or not b:
        return x, y
    shape = broadcast_shapes(name, a, b, of=(x, y))
    return broadcast_to(x, shape), broadcast_to(y, shape)


def broadcast_shapes(
    name: str, *shapes: tuple[int, ...], of: Sequence[Any] = ()
) -> tuple[int, ...]:
    """The common shape by NumPy's rules.

    Raises
    ------
    ShapeMismatchError
        Names the function and the shapes that do not fit, or the operands ``of`` these shapes.
    """
    rank = max(map(len, shapes), default=0)
    if config.numpy_rank_promotion != "allow":
        _check_rank_promotion(name, shapes)
    out = [1] * rank
    for s in shapes:
        for i, n in enumerate(s, rank - len(s)):
            if n != 1:
                if out[i] != 1 and out[i] != n:
                    raise ShapeMismatchError(
                        f"{name} got incompatible shapes for broadcasting: "
                        f"{', '.join(map(describe, of) if of else map(str, shapes))}. Trailing "
                        f"dimensions must be equal or 1.{at_user_line()}"
                    )
                out[i] = n
    return tuple(out)


def _check_rank_promotion(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    ranks = {len(s) for s in shapes if s}
    if len(ranks) > 1:
        text = (
            f"operands of {name} have shapes {', '.join(map(str, shapes))} of different rank, "
            "which numpy_rank_promotion does not allow silently"
        )
        if config.numpy_rank_promotion == "raise":
            raise ValueError(text + at_user_line())
        warn(text)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` broadcast to a shape it is known to broadcast to."""
    old = shape_of(x)
    if old == shape:
        return x
    n = len(shape) - len(old)
    return broadcast_in_dim_p.bind_params(
        (x,), {"shape": shape, "broadcast_dimensions": tuple(range(n, len(shape)))}
    )


def broadcast_all(name: str, *xs: Any) -> list[Any]:
    """All operands in one shape."""
    shapes = [shape_of(x) for x in xs]
    shape = broadcast_shapes(name, *shapes, of=xs)
    return [array(broadcast_to(x, shape)) for x in xs]


def promote_dtypes(name: str, *xs: Any) -> list[Any]:
    """Operands in their common dtype."""
    first = getattr(xs[0], "aval", None)
    if first is not None and first.dtype in dtypes.code_of:
        for x in xs:
            aval = getattr(x, "aval", None)
            if aval is None or aval.dtype is not first.dtype or aval.weak_type:
                break
        else:
            return list(xs)
    ops = [operand(x, name, i) for i, x in enumerate(xs)]
    avals = [aval_of(x) for x in ops]
    dt, weak = dtypes.promote(tuple([(a.dtype, a.weak_type) for a in avals]))
    return [
        x if a.dtype is dt and (type(x) not in PY_SCALARS or weak) else
        scalar(x, dt) if type(x) in PY_SCALARS and not weak else
        convert(x, dt, weak)
        for x, a in zip(ops, avals, strict=True)
    ]  # fmt: skip


def promote_inexact(name: str, *xs: Any) -> list[Any]:
    """Operands in their common dtype, or the default float if that is not inexact."""
    ops = [operand(x, name, i) for i, x in enumerate(xs)]
    avals = [aval_of(x) for x in ops]
    dt, weak = dtypes.promote(tuple([(a.dtype, a.weak_type) for a in avals]))
    if dt not in dtypes.INEXACT:
        if dtypes.is_extended(dt):
            raise TypeError(f"{name} does not take PRNG keys{at_user_line()}")
        dt = dtypes.to_inexact_dtype(dt)
    return [
        x if a.dtype is dt and (type(x) not in PY_SCALARS or weak) else
        scalar(x, dt) if type(x) in PY_SCALARS and not weak else
        convert(x, dt, weak)
        for x, a in zip(ops, avals, strict=True)
    ]  # fmt: skip


def inexact(x: Any, name: str) -> Any:
    """One operand, as a float or complex number."""
    aval = getattr(x, "aval", None)
    if aval is not None and aval.dtype in dtypes.INEXACT:
        return x
    return promote_inexact(name, x)[0]


def result_dtype(*xs: Any) -> tuple[Any, bool]:
    """Common dtype and weak type of operands."""
    avals = [aval_of(x) for x in xs]
    return dtypes.promote(tuple([(a.dtype, a.weak_type) for a in avals]))


def concrete(x: Any, what: str) -> onp.ndarray:
    """The value of ``x`` as a NumPy array, where it decides the size of a result.

    Raises
    ------
    ConcretizationTypeError
        If ``x`` is traced.
    """
    check_concrete(x, what)
    value = x.concrete() if isinstance(x, Tracer) else x
    check_here(value, what)
    return onp.asarray(value)


def check_here(x: Any, what: str) -> None:
    """Raise the error for an array whose values decide the size of a result, and of which this
    process has a part."""
    if type(x) is Array and not x.is_fully_addressable and not x.is_fully_replicated:
        raise RuntimeError(
            f"the size of the result depends on the values of {what}, {x.aval.str_short()}, which "
            f"is spread over processes, {x.sharding!r}: each has a part. Use covector.numpy.where("
            "mask, x, other) in place of x[mask], x.at[mask].set(scalar) to assign, or the "
            "argument size of covector.numpy.nonzero; covector.experimental.multihost_utils."
            f"process_allgather(x, tiled=True) gives all of it to each process{at_user_line()}"
        )


def check_concrete(x: Any, what: str) -> None:
    """Raise a ConcretizationTypeError that names ``what`` if ``x`` is not known."""
    if not is_concrete(x):
        raise ConcretizationTypeError(
            f"{what} must be known while the function is traced, but it is the traced value "
            f"{x.describe()}.{origin(x)}\n{_known(x)}{at_user_line()}"
        )


def _known(x: Any) -> str:
    """How a traced value becomes known."""
    if not x.aval.shape:
        return "Mark the argument static (static_argnums or static_argnames of jit)."
    return (
        "Give the size of the result where the function has an argument for it (size=), or call "
        "the function outside of what is compiled or transformed."
    )


def is_concrete(x: Any) -> bool:
    return not isinstance(x, Tracer) or x.concrete() is not None
