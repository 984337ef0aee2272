"""Calls of functions in C and C++ (`covector.ffi`); see docs/native-functions.md."""

from __future__ import annotations

import ctypes
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of, is_array_like
from covector.core.errors import at_user_line, describe, meaningless
from covector.core.errors import export as _export
from covector.core.trace import NO_EFFECTS, Primitive
from covector.interpreters.mlir import LoweringRule
from covector.runtime import foreign
from covector.transforms.callbacks import VMAP_METHODS, pure_callback_p
from covector.transforms.foreign import EFFECTS, ForeignFunction
from covector.transforms.shapes import aval_like

_CAPSULE = b"covector.ffi"
_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def include_dir() -> str:
    """The folder of the header that native functions include: ``#include "covector/ffi.h"``.

    Returns
    -------
    str

    Examples
    --------
    >>> import os
    >>> import covector as cv
    >>> os.listdir(os.path.join(cv.ffi.include_dir(), "covector"))
    ['ffi.h']
    """
    return str(pathlib.Path(__file__).parent / "include")


def pycapsule(funcptr: Any) -> Any:
    """The address of a symbol of a library, for `register_ffi_target`.

    Parameters
    ----------
    funcptr : ctypes function pointer
        A symbol that COVECTOR_FFI_TARGET defines, as an attribute of a `ctypes.CDLL`.

    Returns
    -------
    PyCapsule

    Examples
    --------
    >>> import ctypes
    >>> import covector as cv
    >>> type(cv.ffi.pycapsule(ctypes.pythonapi.Py_IncRef)).__name__
    'PyCapsule'
    """
    address = ctypes.cast(funcptr, ctypes.c_void_p).value
    return _api.PyCapsule_New(address, _CAPSULE, None)


def register_ffi_target(
    name: str, fn: Any, platform: str = "cpu", api_version: int = 1, **kwargs: Any
) -> None:
    """Give a native function the name that `ffi_call` calls it by.

    Parameters
    ----------
    name : str
    fn : PyCapsule
        See `pycapsule`.
    platform : str
        ``"cpu"``.
    api_version : int
        1.
    **kwargs
        There are no others.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If ``fn`` is not what COVECTOR_FFI_TARGET defines, was compiled with another version of
        the header, or if the name is that of another function.

    Examples
    --------
    >>> import ctypes
    >>> import covector as cv
    >>> function = cv.ffi.pycapsule(ctypes.pythonapi.Py_IncRef)
    >>> cv.ffi.register_ffi_target("mine", function)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ValueError: what is registered as 'mine' is no target of covector/ffi.h
    """
    if platform != "cpu" or api_version != 1 or kwargs:
        raise ValueError(
            "register_ffi_target: native functions run on the platform 'cpu', by version 1 of the "
            f"interface; got platform={platform!r}, api_version={api_version}"
            f"{''.join(f', {k}={v!r}' for k, v in kwargs.items())}{at_user_line()}"
        )
    if type(fn).__name__ != "PyCapsule":
        raise TypeError(
            f"register_ffi_target takes what ffi.pycapsule returns, got {describe(fn)}"
            f"{at_user_line()}"
        )
    try:
        address = _api.PyCapsule_GetPointer(fn, _CAPSULE)
    except ValueError:
        raise ValueError(
            f"register_ffi_target: the capsule of {name!r} is not of ffi.pycapsule{at_user_line()}"
        ) from None
    foreign.add_target(name, address, fn)


def _check_layouts(what: str, layouts: Any, n: int) -> None:
    for layout in layouts or ():
        if layout is not None and list(layout) != sorted(layout):
            raise ValueError(
                f"ffi_call: {what} {layouts!r}: arrays of Covector are in row-major order; "
                f"transpose what the function is to have in another{at_user_line()}"
            )
    if layouts is not None and len(layouts) != n:
        raise ValueError(f"ffi_call: {what} has {len(layouts)} layouts for {n} arrays")


def _check_aliases(aliases: Mapping[int, int], ins: Sequence[Any], outs: Sequence[Any]) -> Any:
    """The aliases as pairs, of arrays of one type each."""
    pairs = tuple(sorted(aliases.items()))
    for i, j in pairs:
        if not (0 <= i < len(ins) and 0 <= j < len(outs)) or not ins[i].matches(outs[j]):
            raise ValueError(
                f"ffi_call: input_output_aliases gives argument {i} the memory of result {j}: "
                f"there must be both, of one type{at_user_line()}"
            )
    if len({j for _, j in pairs}) < len(pairs):
        raise ValueError(f"ffi_call: input_output_aliases names a result twice{at_user_line()}")
    return pairs


def ffi_call(
    target_name: str,
    result_shape_dtypes: Any,
    *,
    has_side_effect: bool = False,
    vmap_method: str | None = None,
    input_layouts: Sequence[Any] | None = None,
    output_layouts: Any = None,
    input_output_aliases: dict[int, int] | None = None,
    custom_call_api_version: int = 4,
    legacy_backend_config: str | None = None,
) -> Callable[..., Any]:
    """A function that calls a native one, from compiled programs without Python between.

    Parameters
    ----------
    target_name : str
        What the native function was registered under.
    result_shape_dtypes : ShapeDtypeStruct or sequence of them
        Types of its results.
    has_side_effect : bool
        Whether it is called even if nothing uses its results.
    vmap_method : str, optional
        How `vmap` calls it: ``"sequential"`` for each element; ``"broadcast_all"`` once, with a
        leading axis of the size of the batch before all arguments; ``"expand_dims"`` once, with a
        leading axis of size 1 before arguments that are not mapped. By default `vmap` raises an
        error.
    input_layouts, output_layouts : sequence of (sequence of int or None), optional
        Must be those of arrays in row-major order.
    input_output_aliases : dict, optional
        Arguments that the function is given in the memory of a result, which it may write to.
    custom_call_api_version : int
        4.
    legacy_backend_config : None

    Returns
    -------
    callable
        Takes the arrays, and attributes by name: numbers, strings, arrays of numbers. Returns an
        array, or a list for a sequence of types.

    Raises
    ------
    ValueError
        If there is no function of this name, or if it takes another number of arrays.
    RuntimeError
        If the function reports an error.

    Notes
    -----
    It cannot be differentiated: call it from a function with a rule of its own (`custom_jvp`,
    `custom_vjp`).

    Examples
    --------
    See docs/native-functions.md.

    >>> import covector as cv
    >>> norm = cv.ffi.ffi_call("norm", cv.ShapeDtypeStruct((2,), "float32"))
    >>> norm.__name__
    'norm'
    """
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ValueError(
            f"ffi_call: vmap_method must be one of {', '.join(VMAP_METHODS)}, got {vmap_method!r}"
            f"{at_user_line()}"
        )
    if custom_call_api_version != 4 or legacy_backend_config is not None:
        raise ValueError(
            "ffi_call: functions have the interface of covector/ffi.h: custom_call_api_version "
            f"must be 4, legacy_backend_config None{at_user_line()}"
        )
    several = isinstance(result_shape_dtypes, (list, tuple))
    results = list(result_shape_dtypes) if several else [result_shape_dtypes]
    avals = tuple([aval_like(r) for r in results])
    _check_layouts("output_layouts", output_layouts if several else output_layouts and
                   [output_layouts], len(avals))  # fmt: skip

    def call(*args: Any, **attributes: Any) -> Any:
        for x in args:
            if not is_array_like(x):
                raise TypeError(
                    f"{target_name} takes arrays as positional arguments, and attributes by name; "
                    f"got {describe(x)}{at_user_line()}"
                )
        ins = [aval_of(x) for x in args]
        _check_layouts("input_layouts", input_layouts, len(ins))
        for a in (*ins, *avals):
            if dtypes.is_extended(a.dtype):
                raise TypeError(f"{target_name}: native functions take no PRNG keys")
        pairs = _check_aliases(input_output_aliases or {}, ins, avals)
        given = tuple((k, foreign.attribute(k, v)) for k, v in sorted(attributes.items()))
        effects = EFFECTS if has_side_effect else NO_EFFECTS
        what = ForeignFunction(target_name, given, pairs, (), effects)
        out = pure_callback_p.bind(
            *args, callback=what, result_avals=avals, vmap_method=vmap_method
        )
        return out if several else out[0]

    call.__name__ = target_name
    return call


class _ForeignRule(LoweringRule):
    """A rule that calls a native function with the parameters of the primitive as attributes."""

    __slots__ = ("name", "options")

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__(lambda: None, True)
        self.name = name
        self.options = options

    def expansion(self, prim: Primitive) -> Callable[..., Any]:
        def call(*args: Any, **params: Any) -> Any:
            avals, _ = prim.infer([aval_of(x) for x in args], params)
            out = ffi_call(self.name, avals, **self.options)(*args, **params)
            return out if prim.multiple_results else out[0]

        return call


def ffi_lowering(
    call_target_name: str,
    *,
    operand_layouts: Sequence[Any] | None = None,
    result_layouts: Sequence[Any] | None = None,
    backend_config: Mapping[str, Any] | str | None = None,
    skip_ffi_layout_processing: bool = False,
    **lowering_args: Any,
) -> LoweringRule:
    """The lowering rule of a primitive that a native function computes.

    Parameters
    ----------
    call_target_name : str
        What the native function was registered under. The parameters of the primitive are its
        attributes.
    operand_layouts, result_layouts : sequence, optional
        As those of `ffi_call`.
    backend_config : None
        That of XLA.
    skip_ffi_layout_processing : bool
        Has no effect.
    **lowering_args
        Options of `ffi_call`.

    Returns
    -------
    LoweringRule
        For `interpreters.mlir.register_lowering`.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import mlir
    >>> norm_p = cv.extend.core.Primitive("norm")
    >>> rule = mlir.register_lowering(norm_p, cv.ffi.ffi_lowering("norm"))
    """
    if backend_config is not None:
        raise meaningless("ffi_lowering", "backend_config is of XLA: give attributes")
    options = dict(lowering_args, input_layouts=operand_layouts, output_layouts=result_layouts)
    return _ForeignRule(call_target_name, options)


def build_ffi_lowering_function(
    call_target_name: str,
    *,
    operand_layouts: Sequence[Any] | None = None,
    result_layouts: Sequence[Any] | None = None,
    backend_config: Mapping[str, Any] | str | None = None,
    skip_ffi_layout_processing: bool = False,
    **lowering_args: Any,
) -> LoweringRule:
    """The same as `ffi_lowering`.

    Parameters
    ----------
    call_target_name : str
        What the native function was registered under.
    operand_layouts, result_layouts, backend_config, skip_ffi_layout_processing
        As those of `ffi_lowering`.
    **lowering_args
        Options of `ffi_call`.

    Returns
    -------
    LoweringRule

    Examples
    --------
    >>> import covector as cv
    >>> rule = cv.ffi.build_ffi_lowering_function("norm")
    """
    return ffi_lowering(
        call_target_name,
        operand_layouts=operand_layouts,
        result_layouts=result_layouts,
        backend_config=backend_config,
        skip_ffi_layout_processing=skip_ffi_layout_processing,
        **lowering_args,
    )


_NO_STATE = "native functions of covector/ffi.h keep no state of user types between calls"


def register_ffi_type(name: str, type_registration: Any, platform: str = "cpu") -> None:
    """Not to be had: types of the state of functions of XLA.

    Parameters
    ----------
    name, type_registration, platform

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.ffi.register_ffi_type("state", {})
    Traceback (most recent call last):
    NotImplementedError: register_ffi_type: native functions of covector/ffi.h keep no state of \
user types between calls
    """
    raise meaningless("register_ffi_type", _NO_STATE)


def register_ffi_type_id(name: str, obj: Any, platform: str = "cpu") -> None:
    """Not to be had: types of the state of functions of XLA.

    Parameters
    ----------
    name, obj, platform

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.ffi.register_ffi_type_id("state", None)
    Traceback (most recent call last):
    NotImplementedError: register_ffi_type_id: native functions of covector/ffi.h keep no state \
of user types between calls
    """
    raise meaningless("register_ffi_type_id", _NO_STATE)


def register_ffi_target_as_batch_partitionable(name: str) -> None:
    """Not to be had: functions that are run in parts on several devices.

    Parameters
    ----------
    name : str

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.ffi.register_ffi_target_as_batch_partitionable("norm")
    Traceback (most recent call last):
    NotImplementedError: register_ffi_target_as_batch_partitionable: a program runs on one \
device, whole
    """
    raise meaningless(
        "register_ffi_target_as_batch_partitionable", "a program runs on one device, whole"
    )


__all__ = [
    "build_ffi_lowering_function",
    "ffi_call",
    "ffi_lowering",
    "include_dir",
    "pycapsule",
    "register_ffi_target",
    "register_ffi_target_as_batch_partitionable",
    "register_ffi_type",
    "register_ffi_type_id",
]
_export(globals(), __all__)
