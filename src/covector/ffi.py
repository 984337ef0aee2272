"""Calls of functions in C and C++ (`covector.ffi`); see docs/native-functions.md."""

from __future__ import annotations

import ctypes
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of, is_array_like
from covector.core.backend import get_backend
from covector.core.errors import at_user_line, describe, meaningless
from covector.core.errors import export as _export
from covector.core.trace import NO_EFFECTS, Primitive
from covector.interpreters.mlir import LoweringRule
from covector.lax.shape_functions import transpose
from covector.runtime import foreign
from covector.transforms.callbacks import VMAP_METHODS, pure_callback_p
from covector.transforms.foreign import EFFECTS, ForeignFunction, Layout
from covector.transforms.shapes import aval_like

_CAPSULE = b"xla._CUSTOM_CALL_TARGET"
_POINTERS = (ctypes._CFuncPtr, ctypes._Pointer, ctypes.c_void_p)  # type: ignore[attr-defined]


_new_capsule = foreign.of_python(
    "PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)

_PLATFORMS = {
    "cpu": "cpu", "host": "cpu", "xla_cpu": "xla_cpu", "cuda": "cuda", "gpu": "cuda",
    "rocm": "rocm",
}  # fmt: skip


def include_dir() -> str:
    """The folder of the headers that native functions include: ``#include "covector/ffi.h"``.

    Returns
    -------
    str

    Examples
    --------
    >>> import os
    >>> import covector as cv
    >>> sorted(os.listdir(os.path.join(cv.ffi.include_dir(), "covector")))
    ['ffi.h', 'ffi_abi.h']
    """
    return str(pathlib.Path(__file__).parent / "include")


def pycapsule(funcptr: Any) -> Any:
    """The address of a symbol of a library, for `register_ffi_target`.

    Parameters
    ----------
    funcptr : ctypes function pointer
        A handler, as an attribute of a `ctypes.CDLL`, or another pointer of ctypes.

    Returns
    -------
    PyCapsule

    Raises
    ------
    TypeError
        If it is no pointer of ctypes.
    ValueError
        If it points nowhere.

    Examples
    --------
    >>> import ctypes
    >>> import covector as cv
    >>> type(cv.ffi.pycapsule(ctypes.pythonapi.Py_IncRef)).__name__
    'PyCapsule'
    """
    # A number would be taken for an address, which is called without a look at it.
    if not isinstance(funcptr, _POINTERS):
        raise TypeError(
            "ffi.pycapsule takes a symbol of a ctypes.CDLL, or another pointer of ctypes, got "
            f"{describe(funcptr)}{at_user_line()}"
        )
    address = ctypes.cast(funcptr, ctypes.c_void_p).value
    if not address:
        raise ValueError(f"ffi.pycapsule got a null pointer, {funcptr!r}{at_user_line()}")
    return _new_capsule(address, _CAPSULE, None)


def _platform(what: str, platform: str) -> str:
    found = _PLATFORMS.get(platform.lower())
    if found is None:
        raise ValueError(
            f"{what}: native functions run on the platforms {', '.join(sorted(_PLATFORMS))}, got "
            f"{platform!r}{at_user_line()}"
        )
    return found


def _address(what: str, capsule: Any) -> int:
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError(
            f"{what} takes what ffi.pycapsule returns, got {describe(capsule)}{at_user_line()}"
        )
    return foreign.address_of(capsule)


def register_ffi_target(
    name: str, fn: Any, platform: str = "cpu", api_version: int = 1, **kwargs: Any
) -> None:
    """Give a native function the name that `ffi_call` calls it by.

    Parameters
    ----------
    name : str
    fn : PyCapsule or dict
        A handler of XLA's FFI interface: see `pycapsule`. A dictionary has one for each stage:
        ``"instantiate"``, ``"prepare"``, ``"initialize"``, ``"execute"``, of which only the last
        is required.
    platform : str
        Where its arrays are: ``"cpu"``, or a platform of XLA's plugins, ``"xla_cpu"``, ``"CUDA"``
        or ``"ROCM"``. A function of ``"cpu"`` also serves ``"xla_cpu"``.
    api_version : int
        1.
    **kwargs
        ``traits``: what XLA may assume of the function, as bits.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the handler was built for a version of the interface that is not known, or if the name
        is that of another function.

    Notes
    -----
    Of something else than a handler nothing can be told: calling it ends the process, as in JAX.

    Examples
    --------
    See docs/native-functions.md.

    >>> import covector as cv
    >>> cv.ffi.register_ffi_target("norm", "norm")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    TypeError: register_ffi_target takes what ffi.pycapsule returns, got str 'norm'
    """
    where = _platform("register_ffi_target", platform)
    traits = kwargs.pop("traits", 0)
    if api_version != 1 or kwargs:
        raise ValueError(
            "register_ffi_target: functions have XLA's FFI interface, api_version=1; got "
            f"api_version={api_version}{''.join(f', {k}={v!r}' for k, v in kwargs.items())}"
            f"{at_user_line()}"
        )
    stages = fn if isinstance(fn, Mapping) else {"execute": fn}
    unknown = set(stages) - set(foreign.STAGES)
    if unknown or "execute" not in stages:
        raise ValueError(
            "register_ffi_target: the stages of a function are instantiate, prepare, initialize "
            f"and execute, of which it must have the last, got {sorted(stages)}{at_user_line()}"
        )
    handlers = tuple([
        _address("register_ffi_target", stages[s]) if s in stages else 0 for s in foreign.STAGES
    ])  # fmt: skip
    foreign.add_target(where, foreign.Target(name, handlers, int(traits), fn))


def _layouts(what: str, layouts: Any, avals: Sequence[ShapedArray]) -> tuple[Layout, ...]:
    """The order of the axes of each array, the major one first."""
    if layouts is None:
        return tuple([tuple(range(a.ndim)) for a in avals])
    if len(layouts) != len(avals):
        raise ValueError(
            f"ffi_call: {what} has {len(layouts)} layouts for {len(avals)} arrays{at_user_line()}"
        )
    out = []
    for layout, a in zip(layouts, avals, strict=True):
        order = getattr(layout, "major_to_minor", layout)
        order = tuple(range(a.ndim)) if order is None else tuple([int(d) for d in order])
        if sorted(order) != list(range(a.ndim)):
            raise ValueError(
                f"ffi_call: {what} gives {a.str_short()} the layout {order}: the axes in their "
                f"order in memory are expected, the major one first{at_user_line()}"
            )
        out.append(order)
    return tuple(out)


def _check_aliases(
    aliases: Mapping[int, int], ins: Sequence[Any], outs: Sequence[Any],
    layouts: tuple[Sequence[Layout], Sequence[Layout]],
) -> Any:  # fmt: skip
    """The aliases as pairs, of arrays of one type each."""
    pairs = tuple(sorted(aliases.items()))
    for i, j in pairs:
        there = 0 <= i < len(ins) and 0 <= j < len(outs)
        if not there or not ins[i].matches(outs[j]) or layouts[0][i] != layouts[1][j]:
            raise ValueError(
                f"ffi_call: input_output_aliases gives argument {i} the memory of result {j}: "
                f"there must be both, of one type{at_user_line()}"
            )
    if len({j for _, j in pairs}) < len(pairs):
        raise ValueError(f"ffi_call: input_output_aliases names a result twice{at_user_line()}")
    return pairs


def _in_order(x: Any, layout: Layout) -> Any:
    """An array with its axes in the order of a layout."""
    return x if list(layout) == sorted(layout) else transpose(x, layout)


def _back(x: Any, layout: Layout) -> Any:
    """An array whose axes are in the order of a layout, with them in theirs."""
    return _in_order(x, tuple([layout.index(d) for d in range(len(layout))]))


def _check_call(vmap_method: str | None, api_version: int, backend_config: str | None) -> None:
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ValueError(
            f"ffi_call: vmap_method must be one of {', '.join(VMAP_METHODS)}, got {vmap_method!r}"
            f"{at_user_line()}"
        )
    if api_version != 4 or backend_config is not None:
        raise ValueError(
            "ffi_call: functions have XLA's FFI interface: custom_call_api_version must be 4, "
            f"legacy_backend_config None{at_user_line()}"
        )


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
    input_layouts, output_layouts : sequence of (sequence of int, Layout or None), optional
        The axes of each array in the order that the function has them in memory, the major one
        first; None stands for row-major order.
    input_output_aliases : dict, optional
        Arguments that the function is given in the memory of a result, which it may write to.
    custom_call_api_version : int
        4.
    legacy_backend_config : None

    Returns
    -------
    callable
        Takes the arrays, and attributes by name: numbers, strings, arrays of numbers and
        dictionaries of these. Python's numbers are of 64 bits, NumPy's of theirs. Returns an
        array, or a list for a sequence of types.

    Raises
    ------
    ValueError
        If there is no function of this name.
    RuntimeError
        If the function reports an error: it has its name and message.

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
    _check_call(vmap_method, custom_call_api_version, legacy_backend_config)
    several = isinstance(result_shape_dtypes, (list, tuple))
    results = list(result_shape_dtypes) if several else [result_shape_dtypes]
    avals = tuple([aval_like(r) for r in results])
    if output_layouts is not None and not several:
        output_layouts = [output_layouts]
    of_results = _layouts("output_layouts", output_layouts, avals)
    made = tuple([
        a.update(shape=tuple([a.shape[d] for d in order]))
        for a, order in zip(avals, of_results, strict=True)
    ])  # fmt: skip

    def call(*args: Any, **attributes: Any) -> Any:
        for x in args:
            if not is_array_like(x):
                raise TypeError(
                    f"{target_name} takes arrays as positional arguments, and attributes by name; "
                    f"got {describe(x)}{at_user_line()}"
                )
        ins = [aval_of(x) for x in args]
        of_args = _layouts("input_layouts", input_layouts, ins)
        for a in (*ins, *avals):
            if dtypes.is_extended(a.dtype):
                raise TypeError(f"{target_name}: native functions take no PRNG keys")
            foreign.number_of(a.dtype, target_name)
        layouts = (of_args, of_results)
        pairs = _check_aliases(input_output_aliases or {}, ins, avals, layouts)
        given = tuple(sorted([(k, foreign.attribute(k, v)) for k, v in attributes.items()]))
        effects = EFFECTS if has_side_effect else NO_EFFECTS
        what = ForeignFunction(target_name, given, pairs, layouts, (), effects)
        out = pure_callback_p.bind(
            *[_in_order(x, o) for x, o in zip(args, of_args, strict=True)],
            callback=what, result_avals=made, vmap_method=vmap_method,
        )  # fmt: skip
        out = [_back(x, o) for x, o in zip(out, of_results, strict=True)]
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


def _major_first(layouts: Sequence[Any] | None) -> Any:
    if layouts is None:
        return None
    return [x if x is None or hasattr(x, "major_to_minor") else tuple(x)[::-1] for x in layouts]


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
        The axes of each array in their order in memory, the minor one first, as XLA has them.
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
    options = dict(
        lowering_args,
        input_layouts=_major_first(operand_layouts), output_layouts=_major_first(result_layouts),
    )  # fmt: skip
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


def register_ffi_type(name: str, type_registration: Any, platform: str = "cpu") -> None:
    """Make a type known whose objects functions keep as a state between their stages.

    Parameters
    ----------
    name : str
    type_registration : dict of PyCapsule
        ``"type_id"``: the address of the number of the type, which is set; ``"type_info"``: the
        address of what says how its objects are destroyed.
    platform : str
        As of `register_ffi_target`, which comes afterwards.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the name is that of another type.

    Examples
    --------
    >>> import ctypes
    >>> import covector as cv
    >>> class Info(ctypes.Structure):
    ...     _fields_ = [("size", ctypes.c_size_t), ("next", ctypes.c_void_p),
    ...                 ("deleter", ctypes.c_void_p)]
    >>> number = ctypes.c_int64(0)
    >>> info = Info(ctypes.sizeof(Info), None, ctypes.cast(ctypes.pythonapi.PyMem_Free, \
ctypes.c_void_p))
    >>> parts = {"type_id": ctypes.pointer(number), "type_info": ctypes.pointer(info)}
    >>> cv.ffi.register_ffi_type("counts", {k: cv.ffi.pycapsule(v) for k, v in parts.items()})
    >>> number.value > 0
    True
    """
    if not isinstance(type_registration, Mapping) or "type_id" not in type_registration:
        raise TypeError(
            "register_ffi_type takes a dictionary with the capsules 'type_id' and 'type_info', got "
            f"{describe(type_registration)}{at_user_line()}"
        )
    _register_type(
        "register_ffi_type", name, type_registration["type_id"], type_registration.get("type_info"),
        platform,
    )  # fmt: skip


def register_ffi_type_id(name: str, obj: Any, platform: str = "cpu") -> None:
    """Make the number of a type known, of whose objects functions keep none as a state.

    Parameters
    ----------
    name : str
    obj : PyCapsule
        The address of the number of the type, which is set.
    platform : str
        As of `register_ffi_target`.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the name is that of another type.

    Examples
    --------
    >>> import ctypes
    >>> import covector as cv
    >>> number = ctypes.c_int64(0)
    >>> cv.ffi.register_ffi_type_id("units", cv.ffi.pycapsule(ctypes.pointer(number)))
    >>> number.value > 0
    True
    """
    _register_type("register_ffi_type_id", name, obj, None, platform)


# Native code keeps pointers to them.
_types: list[Any] = []


def _register_type(what: str, name: str, type_id: Any, info: Any, platform: str) -> None:
    where = _platform(what, platform)
    number, about = _address(what, type_id), 0 if info is None else _address(what, info)
    ffi = foreign.native()
    _types.append((type_id, info))
    try:
        if where == "cpu":
            ffi.register_type(name, number, about)
        else:
            backend: Any = get_backend(where)
            backend.register_ffi_type(name, number, about)
    except ffi.Failure as e:
        raise ValueError(f"{what}: {e}{at_user_line()}") from None


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
