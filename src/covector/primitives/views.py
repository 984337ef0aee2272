"""Operations on the host that need no program: the same bytes in another shape or type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import to_array
from covector.core.structural import broadcast_in_dim_p, convert_element_type_p, reshape_p
from covector.core.trace import EvalTrace, Primitive, Tracer, raise_leaked
from covector.primitives.convert import bitcast_convert_type_p
from covector.primitives.structure import squeeze_p

Impl = Callable[[Sequence[Any], dict[str, Any]], list[Any]]


def _operand(x: Any) -> Any:
    if isinstance(x, Tracer):
        raise_leaked(x)
    return to_array(x)


def _view(prim: Primitive) -> Impl:
    """The result shares the operand's memory: only its shape differs."""

    def impl(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        x = _operand(args[0])
        if not x._viewable:
            return EvalTrace.dispatch(prim, args, params)
        (aval,), _ = prim.infer([x.aval], params)
        return [x._reshaped(aval.shape)]

    return impl


def _broadcast(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    x = _operand(args[0])
    shape = params["shape"]
    size = 1
    for n in shape:
        size *= n
    if size == x.size and x._viewable:
        broadcast_in_dim_p.infer([x.aval], params)
        return [x._reshaped(shape)]
    return EvalTrace.dispatch(broadcast_in_dim_p, args, params)


def _convert(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    x = _operand(args[0])
    if x.dtype == params["new_dtype"]:
        return [x._with_weak(params["weak_type"])]
    return EvalTrace.dispatch(convert_element_type_p, args, params)


def _bitcast(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    x = _operand(args[0])
    if not x._viewable:
        return EvalTrace.dispatch(bitcast_convert_type_p, args, params)
    (aval,), _ = bitcast_convert_type_p.infer([x.aval], params)
    return [x._bitcast(dtypes.code_of[aval.dtype], aval.shape)]


reshape_p.impl = _view(reshape_p)
squeeze_p.impl = _view(squeeze_p)
broadcast_in_dim_p.impl = _broadcast
convert_element_type_p.impl = _convert
bitcast_convert_type_p.impl = _bitcast
