"""Operators, methods and properties of arrays, attached to `Array` and `Tracer` alike."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as onp

from covector import _native, lax
from covector.core import dtypes
from covector.core.avals import Array, array_from_numpy, settled
from covector.core.errors import ConcretizationTypeError, at_user_line, describe
from covector.core.operands import PY_SCALARS
from covector.core.trace import Tracer, eval_trace, origin
from covector.numpy import (
    creation,
    elementwise,
    manipulation,
    powers,
    products,
    reductions,
    ufuncs,
)
from covector.numpy._util import (
    beside_all,
    compile_lazily,
    convert,
    current_trace,
    is_concrete,
    operand,
)
from covector.numpy.at import IndexHelper, IndexRef, setitem_error
from covector.numpy.indexing import getitem
from covector.numpy.printing import array_format, array_repr, array_string

Boundary = _native.Boundary
_FAST = frozenset((Array, *PY_SCALARS))
# Codes of the dtypes beside which no Python integer of 32 bits is special.
_HOLD_32 = frozenset([dtypes.code_of[dt] for dt in (dtypes.int32, dtypes.int64, *dtypes.FLOATS)])

# --- operators ---------------------------------------------------------------------------


def _accepts(x: Any) -> bool:
    return isinstance(x, (Tracer, onp.ndarray, onp.generic, *PY_SCALARS)) or hasattr(
        x, "__jax_array__"
    )


# What arithmetic with an array never means anything for, however the other side sees it.
_NEVER = frozenset((list, tuple, dict, set, str, bytes, type(None)))


def _attach_binary(name: str, impl: Callable[..., Any], reflected: bool = True) -> None:
    """``x op y`` and ``y op x``; operands of foreign types get ``NotImplemented``."""
    compiled: Any = None
    never = frozenset() if name in ("eq", "ne") else _NEVER

    def declined(self: Any, other: Any, position: int) -> Any:
        """What comes for an operand that is not accepted, which may know what to do."""
        if type(other) not in never:
            return NotImplemented
        if name == "mul" and not self.shape and self.dtype in dtypes.INTEGERS:
            return NotImplemented  # a list or string, repeated
        return operand(other, impl.__name__, position)

    def foreign(self: Any, other: Any) -> Any:
        nonlocal compiled
        if not _accepts(other):
            return declined(self, other, 1)
        other = operand(other, impl.__name__, 1)
        if current_trace() is not eval_trace:
            return impl(self, other)
        if compiled is None:
            compiled = compile_lazily(impl)
        return compiled(self, other)

    def array_op(self: Any, other: Any) -> Any:
        nonlocal compiled
        if type(other) not in _FAST:
            return foreign(self, other)
        if compiled is None:
            compiled = compile_lazily(impl)
        try:
            return compiled(self, other)
        except OverflowError:
            return impl(self, other)  # see `ufunc2`

    def array_comparison(self: Any, other: Any) -> Any:
        nonlocal compiled
        if type(other) is int:
            if not (0 <= other < 128 or (self._code in _HOLD_32 and -(2**31) <= other < 2**31)):
                if beside_all(self, other):
                    return impl(self, other)
        elif type(other) not in _FAST:
            return foreign(self, other)
        if compiled is None:
            compiled = compile_lazily(impl)
        try:
            return compiled(self, other)
        except OverflowError:
            return impl(self, other)

    def array_rop(self: Any, other: Any) -> Any:
        nonlocal compiled
        if type(other) not in _FAST:
            if not _accepts(other):
                return declined(self, other, 0)
            other = operand(other, impl.__name__)
        if current_trace() is not eval_trace:
            return impl(other, self)
        if compiled is None:
            compiled = compile_lazily(impl)
        try:
            return compiled(other, self)
        except OverflowError:
            return impl(other, self)

    def tracer_op(self: Any, other: Any) -> Any:
        if type(other) not in _FAST and not _accepts(other):
            return declined(self, other, 1)
        return impl(self, other)

    def tracer_rop(self: Any, other: Any) -> Any:
        if type(other) not in _FAST and not _accepts(other):
            return declined(self, other, 0)
        return impl(other, self)

    forward, backward = f"__{name}__", f"__r{name}__"
    _attach(Array, forward, array_comparison if getattr(impl, "exact", False) else array_op)
    _attach(Tracer, forward, tracer_op)
    if reflected:
        _attach(Array, backward, array_rop)
        _attach(Tracer, backward, tracer_rop)


def _attach(cls: Any, name: str, value: Any) -> None:
    if callable(value):
        value.__name__ = name
        value.__qualname__ = f"Array.{name}"
        value = Boundary(value, "covector")
    setattr(cls, name, value)


def _attach_unary(name: str, function: Callable[..., Any]) -> None:
    def op(self: Any) -> Any:
        return function(self)

    for cls in (Array, Tracer):
        _attach(cls, f"__{name}__", op)


def _attach_power() -> None:
    power = powers.power

    def op(self: Any, other: Any, modulus: Any = None) -> Any:
        if modulus is not None or (type(other) not in _FAST and not _accepts(other)):
            return NotImplemented
        return power(self, other)

    def rop(self: Any, other: Any, modulus: Any = None) -> Any:
        if modulus is not None or (type(other) not in _FAST and not _accepts(other)):
            return NotImplemented
        return power(other, self)

    for cls in (Array, Tracer):
        _attach(cls, "__pow__", op)
        _attach(cls, "__rpow__", rop)


_BINARY = {
    "add": ufuncs.add, "sub": ufuncs.subtract, "mul": ufuncs.multiply, "truediv": ufuncs.divide,
    "floordiv": powers.floor_divide, "mod": powers.remainder, "and": ufuncs.bitwise_and,
    "or": ufuncs.bitwise_or, "xor": ufuncs.bitwise_xor, "lshift": ufuncs.left_shift,
    "rshift": ufuncs.right_shift,
}  # fmt: skip
_COMPARISONS = {
    "eq": ufuncs.equal, "ne": ufuncs.not_equal, "lt": ufuncs.less, "le": ufuncs.less_equal,
    "gt": ufuncs.greater, "ge": ufuncs.greater_equal,
}  # fmt: skip


def _matmul(x: Any, y: Any) -> Any:
    return products.matmul(x, y)


def _divmod(x: Any, y: Any) -> Any:
    return powers.divmod(x, y)


def _round(self: Any, ndigits: int | None = None) -> Any:
    out = elementwise.round(self, ndigits or 0)
    # round(x) is an integer in Python; with a number of digits it keeps its type.
    if ndigits is None and out.dtype in dtypes.FLOATS:
        out = convert(out, dtypes.default_int())
    return out


# --- item access -------------------------------------------------------------------------


def _iter(self: Any) -> Any:
    shape = self.shape
    if not shape:
        raise TypeError(f"iteration over {describe(self)}, an array of rank 0{at_user_line()}")
    rows = _whole_rows(self) if type(self) is Array else self
    return iter([getitem(rows, i) for i in range(shape[0])])


def _whole_rows(x: Any) -> Any:
    """``x``, whose type does not say that its first dimension is split."""
    placed = x.aval.placed
    if placed is None or placed.spec[0] is None:
        return x
    from covector.sharding.constraints import reshard  # it is there if there is such a type

    where = x.sharding
    return reshard(x, where.update(spec=where.spec.update(partitions=(None, *where.spec[1:]))))


def _setitem(self: Any, index: Any, value: Any) -> None:
    raise setitem_error(self, index, value)


def _delitem(self: Any, index: Any) -> None:
    raise TypeError(
        f"arrays are immutable: elements cannot be deleted from {describe(self)}; see "
        f"covector.numpy.delete{at_user_line()}"
    )


def _contains(self: Any, item: Any) -> Any:
    return bool(reductions.any(ufuncs.equal(self, item)))


def _reversed(self: Any) -> Any:
    return iter(list(_iter(self))[::-1])


# --- conversion, copying, pickling -------------------------------------------------------


def _rebuild(values: onp.ndarray, weak: bool) -> Any:
    return settled(array_from_numpy(values, values.dtype, weak))


def _rebuild_keys(words: onp.ndarray) -> Any:
    return lax.bitcast_convert_type_p.bind(
        settled(array_from_numpy(words)), new_dtype=dtypes.key_dtype
    )


def _reduce(self: Any) -> Any:
    if dtypes.is_extended(self.dtype):
        return _rebuild_keys, (
            onp.asarray(lax.bitcast_convert_type_p.bind(self, new_dtype=dtypes.uint32)),
        )
    return _rebuild, (onp.array(self), self.weak_type)


def _copied(self: Any, memo: Any = None) -> Any:
    return self._copied() if type(self) is Array else self


def _tracer_format(self: Any, spec: str) -> str:
    if is_concrete(self):
        return array_format(self.concrete(), spec) if spec else format(repr(self))
    try:
        return format(repr(self), spec)
    except ValueError as e:
        raise ConcretizationTypeError(
            f"the format {spec!r} is one of numbers, but the value {self.describe()} is not known "
            f"while the function is being traced.{origin(self)}\nTo print it when the program "
            'runs, use covector.debug.print("{x}", x=x), or print the result outside.'
            f"{at_user_line()}"
        ) from e


# --- methods -----------------------------------------------------------------------------


def astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Any:
    """The array converted to ``dtype``."""
    return creation.astype(self, dtype, copy=copy, device=device)


def reshape(
    self: Any, *args: Any, order: str = "C", copy: bool | None = None, out_sharding: Any = None
) -> Any:
    """The array in another shape, given as integers or a sequence."""
    sizes = args[0] if len(args) == 1 else args
    return manipulation.reshape(self, sizes, order, copy=copy, out_sharding=out_sharding)


def transpose(self: Any, *args: Any) -> Any:
    """The array with its dimensions reversed, or in the given order."""
    if not args or args[0] is None:
        return manipulation.transpose(self)
    return manipulation.transpose(self, args[0] if len(args) == 1 else args)


def ravel(self: Any, order: str = "C", *, out_sharding: Any = None) -> Any:
    """The array as a vector."""
    return manipulation.ravel(self, order, out_sharding=out_sharding)


def view(self: Any, dtype: Any = None, type: None = None) -> Any:  # noqa: A002
    """The bytes of the array read as another dtype; the last dimension changes with its size."""
    if type is not None:
        raise NotImplementedError("view: the argument type is not supported")
    if dtype is None:
        return self
    dt = dtypes.canonicalize_dtype(dtype)
    old, new = self.dtype.itemsize, dt.itemsize
    x = self
    if x.dtype == dtypes.bool_:
        x = convert(x, dtypes.uint8)
    if dt == dtypes.bool_:
        return lax.ne(lax.bitcast_convert_type(x, dtypes.uint8), onp.uint8(0))
    if old == new:
        return lax.bitcast_convert_type(x, dt)
    if x.ndim == 0:
        raise ValueError(f"view of {describe(x)} as {dt}: sizes differ and rank is 0")
    if old > new:
        out = lax.bitcast_convert_type(x, dt)
        return lax.reshape(out, (*x.shape[:-1], x.shape[-1] * (old // new)))
    k = new // old
    if x.shape[-1] % k:
        raise ValueError(
            f"view of {describe(x)} as {dt}: the last dimension must be a multiple of {k}"
            f"{at_user_line()}"
        )
    return lax.bitcast_convert_type(lax.reshape(x, (*x.shape[:-1], x.shape[-1] // k, k)), dt)


def byteswap(self: Any, inplace: bool = False) -> Any:
    """The array with the bytes of each element in reverse order."""
    if self.dtype.itemsize == 1:
        return self
    parts = lax.bitcast_convert_type(self, dtypes.uint8)
    return lax.bitcast_convert_type(lax.rev(parts, (parts.ndim - 1,)), self.dtype)


def clip(self: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    """The array limited to ``[min, max]``."""
    return elementwise.clip(self, min, max)


def to_device(self: Any, device: Any, *, stream: Any = None) -> Any:
    """The array on another device."""
    return creation.on_device(self, device)


# The versions of the Python array API standard that `covector.numpy` follows.
_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


def _namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    """The module whose functions take the array: `covector.numpy`."""
    if api_version is not None and api_version not in _API_VERSIONS:
        raise ValueError(
            f"there is no version {api_version!r} of the array API standard here; there are "
            f"{', '.join(_API_VERSIONS)}{at_user_line()}"
        )
    return sys.modules["covector.numpy"]


def tobytes(self: Any, order: str = "C") -> bytes:
    """The elements as bytes, in the order of C or of Fortran (``"F"``)."""
    return onp.asarray(self).tobytes(order)


def copy(self: Any) -> Any:
    """An array with the same elements."""
    return creation.copy(self)


def _flat(self: Any) -> Any:
    raise NotImplementedError("the attribute flat is not supported: use ravel()")


def _devices(self: Any) -> Any:
    return self.sharding.device_set


def _format(self: Any) -> Any:
    """How the elements lie in memory, and on which devices."""
    from covector.core.layout import format_of  # few processes need it

    return format_of(self.ndim, self.sharding)


def _device(self: Any) -> Any:
    """The device, or the sharding where there are several."""
    devices = self.sharding.device_set
    return next(iter(devices)) if len(devices) == 1 else self.sharding


def _shards(self: Any) -> Any:
    """The parts that the devices of this process have, in the order of the sharding's devices."""
    from covector.runtime import shards  # few processes look at them

    return shards.addressable_shards(self)


def _global_shards(self: Any) -> Any:
    """The parts on all devices; those of other processes have no data here."""
    from covector.runtime import shards

    return shards.global_shards(self)


def _addressable_data(self: Any, index: int) -> Any:
    """The part on the device of number ``index`` among those of this process."""
    from covector.runtime import shards

    return shards.addressable_data(self, index)


_METHODS: dict[str, Callable[..., Any]] = {
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax,
    "argmin": reductions.argmin, "astype": astype, "byteswap": byteswap, "clip": clip,
    "conj": ufuncs.conjugate, "conjugate": ufuncs.conjugate, "copy": copy, "clone": copy,
    "cumprod": reductions.cumprod, "cumsum": reductions.cumsum, "dot": products.dot,
    "flatten": ravel, "max": reductions.max, "mean": reductions.mean, "min": reductions.min,
    "prod": reductions.prod, "ptp": reductions.ptp, "ravel": ravel, "reshape": reshape,
    "round": elementwise.round, "squeeze": manipulation.squeeze, "std": reductions.std,
    "sum": reductions.sum, "swapaxes": manipulation.swapaxes, "to_device": to_device,
    "transpose": transpose, "var": reductions.var, "view": view,
}  # fmt: skip
# Those whose modules are imported when they are first called.
_RARE_METHODS = {
    "argpartition": "sorting", "argsort": "sorting", "choose": "selection",
    "compress": "selection", "diagonal": "diagonals", "nonzero": "selection",
    "repeat": "joining", "searchsorted": "sorting", "sort": "sorting", "take": "selection",
    "trace": "diagonals",
}  # fmt: skip
_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "T": lambda self: manipulation.transpose(self),
    "mT": lambda self: manipulation.matrix_transpose(self),
    "real": lambda self: elementwise.real(self),
    "imag": lambda self: elementwise.imag(self),
    "at": IndexHelper,
    "flat": _flat,
}
# Those of tracers that raise where the value is not known.
_CONVERSIONS = (
    "__array__", "__bool__", "__complex__", "__float__", "__index__", "__int__", "__len__",
    "item", "tolist",
)  # fmt: skip


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__doc__ = function.__doc__
    method.__wrapped__ = function  # type: ignore[attr-defined]
    return method


class _Later:
    """A function of a module that is imported when its signature is asked for."""

    def __init__(self, name: str, module: str) -> None:
        self.name, self.module = name, module

    @property
    def __signature__(self) -> inspect.Signature:
        module = importlib.import_module(f"covector.numpy.{self.module}")
        found = inspect.signature(getattr(module, self.name))
        if self.name != "compress":
            return found
        condition, array, *rest = found.parameters.values()
        return found.replace(parameters=[array, condition, *rest])


def _rare_method(name: str, module: str) -> Callable[..., Any]:
    function: Any = None

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal function
        if function is None:
            function = getattr(importlib.import_module(f"covector.numpy.{module}"), name)
        if name == "compress":
            return function(args[0], self, *args[1:], **kwargs)
        return function(self, *args, **kwargs)

    method.__doc__ = f"See `covector.numpy.{name}`."
    method.__wrapped__ = _Later(name, module)  # type: ignore[attr-defined]
    return method


def _of_one_memory(native: Any, error: type[Exception]) -> Any:
    """A method of arrays in one memory, and an error for those whose parts are in several."""
    name = native.__name__

    @functools.wraps(native)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._on_host and self.sharding.spread:
            devices = self.sharding.device_set
            count = len({d.process_index for d in devices})
            of = f" of {count} processes" if count > 1 else ""
            raise error(
                f"{name}: the parts of {self.aval.str_short()} are on {len(devices)} devices{of}, "
                "each in a memory of its own. Take the parts that this process has, "
                "[shard.data for shard in x.addressable_shards]"
                f"{at_user_line()}"
            )
        return native(self, *args, **kwargs)

    return method


def attach() -> None:
    """Give `Array` and `Tracer` their operators, methods and properties."""
    for name, function in _BINARY.items():
        _attach_binary(name, function.impl)  # type: ignore[attr-defined]
    for name, function in _COMPARISONS.items():
        _attach_binary(name, function.impl, reflected=False)  # type: ignore[attr-defined]
    _attach_binary("matmul", _matmul)
    _attach_binary("divmod", _divmod)
    _attach_power()
    _attach_unary("neg", ufuncs.negative)
    _attach_unary("pos", ufuncs.positive)
    _attach_unary("abs", ufuncs.absolute)
    _attach_unary("invert", ufuncs.invert)
    for cls in (Array, Tracer):
        for name, method in _METHODS.items():
            _attach(cls, name, _as_method(method))
        for name, module in _RARE_METHODS.items():
            _attach(cls, name, _rare_method(name, module))
        for name, getter in _PROPERTIES.items():
            setattr(cls, name, property(Boundary(getter)))
        cls.__getitem__ = Boundary(getitem)
        cls.__setitem__ = Boundary(_setitem)
        cls.__delitem__ = Boundary(_delitem)
        cls.__iter__ = Boundary(_iter)
        cls.__contains__ = Boundary(_contains)
        cls.__reversed__ = Boundary(_reversed)
        cls.__round__ = Boundary(_round)
        cls.__copy__ = _copied
        cls.__deepcopy__ = _copied
        cls.__array_priority__ = 1000
        cls.__array_namespace__ = Boundary(_namespace)
    Array.__repr__ = array_repr
    Array.__str__ = array_string
    Array.__format__ = Boundary(array_format)
    Array.__reduce__ = _reduce
    Tracer.__format__ = Boundary(_tracer_format)
    for name in _CONVERSIONS:
        setattr(Tracer, name, Boundary(getattr(Tracer, name)))
    for name, method in list(vars(IndexRef).items()):
        if callable(method) and not name.startswith("_"):
            setattr(IndexRef, name, Boundary(method))
    for name, error in (("unsafe_buffer_pointer", RuntimeError), ("__dlpack__", BufferError)):
        setattr(Array, name, Boundary(_of_one_memory(getattr(Array, name), error), "covector"))
    for name, value in {
        "device": property(_device),
        "devices": _devices,
        "format": property(_format),
        "tobytes": Boundary(tobytes, "covector"),
        "platform": lambda self: _device(self).platform,
        "addressable_data": Boundary(_addressable_data, "covector"),
        "addressable_shards": property(_shards),
        "global_shards": property(_global_shards),
        "is_fully_addressable": property(lambda self: self.sharding.is_fully_addressable),
        "is_fully_replicated": property(lambda self: self.sharding.is_fully_replicated),
    }.items():
        setattr(Array, name, value)
