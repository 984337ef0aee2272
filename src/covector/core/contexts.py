"""Context managers that set one option for a block (`covector.debug_nans` and its like)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from covector.core.config import UNSET, add_context, config, in_place, override
from covector.core.options import OPTIONS, WITHOUT_EFFECT

Manager = contextlib.AbstractContextManager[None]


class _NotGiven:
    def __repr__(self) -> str:
        return "..."


_NOT_GIVEN: Any = _NotGiven()

_DOC = """Context manager: the option ``{name}`` for the block, in this thread.

    {summary}.

    Parameters
    ----------
    new_val : {kind}
        {values}

    Returns
    -------
    context manager

    Raises
    ------
    TypeError, ValueError
        If the option does not take the value.

    Examples
    --------
    >>> import covector as cv
    >>> with cv.{name}({example!r}):
    ...     print(cv.config.{name})
    {example}
    """
# Values for the examples of options that take no booleans; None has the default again.
_EXAMPLES: dict[str, Any] = {
    "default_matmul_precision": "highest",
    "numpy_rank_promotion": "raise",
    "numpy_dtype_promotion": "strict",
    "legacy_prng_key": "error",
    "default_prng_impl": "threefry2x32",
    "array_garbage_collection_guard": None,
}


def _document(make: Callable[..., Manager], name: str, example: Any, required: bool) -> None:
    option = OPTIONS[name]
    text = option.summary
    if name in WITHOUT_EFFECT:
        text = f"Accepted, without effect here, with a warning: {text}"
    kind = "bool" if isinstance(option.default, bool) else "str"
    values = f"One of {', '.join(map(repr, option.choices))}." if option.choices else ""
    if not required:
        values = (values + " By default True.").strip()
    make.__name__ = make.__qualname__ = name
    make.__doc__ = _DOC.format(
        name=name, summary=text[0].upper() + text[1:], kind=kind,
        values=values or "The value.", example=example,
    )  # fmt: skip


def _manager(name: str) -> Callable[..., Manager]:
    """The context manager for an option; without a value, those of booleans set True."""
    default = OPTIONS[name].default
    switch = isinstance(default, bool)

    def make(new_val: Any = _NOT_GIVEN) -> Manager:
        if new_val is _NOT_GIVEN:
            if not switch:
                raise TypeError(
                    f"the context manager {name} needs a value for the option of its name, for "
                    f"example {_EXAMPLES.get(name, 'log')!r}"
                )
            new_val = True
        return override(**{name: new_val})

    # What has no effect is shown with its default, which warns of nothing.
    example = default if name in WITHOUT_EFFECT else _EXAMPLES.get(name, True if switch else "log")
    _document(make, name, example, not switch)
    return make


allow_f16_reductions = _manager("allow_f16_reductions")
array_garbage_collection_guard = _manager("array_garbage_collection_guard")
auto_pcast = _manager("auto_pcast")
check_tracer_leaks = _manager("check_tracer_leaks")
debug_infs = _manager("debug_infs")
debug_key_reuse = _manager("debug_key_reuse")
debug_nans = _manager("debug_nans")
default_matmul_precision = _manager("default_matmul_precision")
default_prng_impl = _manager("default_prng_impl")
enable_checks = _manager("enable_checks")
enable_custom_prng = _manager("enable_custom_prng")
explain_cache_misses = _manager("explain_cache_misses")
jax2tf_associative_scan_reductions = _manager("jax2tf_associative_scan_reductions")
legacy_prng_key = _manager("legacy_prng_key")
log_compiles = _manager("log_compiles")
no_execution = _manager("no_execution")
no_tracing = _manager("no_tracing")
numpy_dtype_promotion = _manager("numpy_dtype_promotion")
numpy_rank_promotion = _manager("numpy_rank_promotion")
remove_size_one_mesh_axis_from_type = _manager("remove_size_one_mesh_axis_from_type")
softmax_custom_jvp = _manager("softmax_custom_jvp")
thread_guard = _manager("thread_guard")
threefry_partitionable = _manager("threefry_partitionable")
transfer_guard_device_to_device = _manager("transfer_guard_device_to_device")
transfer_guard_device_to_host = _manager("transfer_guard_device_to_host")
transfer_guard_host_to_device = _manager("transfer_guard_host_to_device")


def checking_leaks() -> Manager:
    """Context manager: a traced value that outlives its trace is an error in the block.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import covector as cv
    >>> kept = []
    >>> with cv.checking_leaks():
    ...     try:
    ...         y = cv.jit(lambda x: kept.append(x * 2))(1.0)
    ...     except cv.errors.UnexpectedTracerError:
    ...         print("leaked")
    leaked
    """
    return override(check_tracer_leaks=True)


def transfer_guard(new_val: str) -> Manager:
    """Context manager: what becomes of transfers between the host and devices in the block.

    Parameters
    ----------
    new_val : {"allow", "log", "disallow", "log_explicit", "disallow_explicit"}
        ``log`` and ``disallow`` are about transfers that nothing asks for, such as a NumPy array
        given to an operation; the others also about those by `device_put` and `device_get`.

    Returns
    -------
    context manager

    Notes
    -----
    The memory of the CPU is the host's: reading an array from there is no transfer.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.ones(2)
    >>> with cv.transfer_guard("disallow"):
    ...     two = cv.device_put(2.0)  # asked for
    ...     y = x * two
    ...     try:
    ...         x * 2.0
    ...     except RuntimeError as e:
    ...         print(str(e).splitlines()[0])
    disallowed transfer from the host to a device: float32[], an operand of multiply
    """
    return override(transfer_guard=new_val)


class UserContext:
    """A value of the current thread that compiled functions depend on; see `make_user_context`."""

    def __init__(self, default_value: Any) -> None:
        self._default = default_value
        self._name = add_context()

    @property
    def value(self) -> Any:
        """The value of the innermost block."""
        found = getattr(config, self._name)
        return self._default if found is UNSET else found

    def __call__(self, new_val: Any) -> Manager:
        """Context manager: another value for the block."""
        try:
            hash(new_val)
        except TypeError:
            raise TypeError(
                "the value of a context must be hashable, because compiled functions are kept by "
                f"it, got {type(new_val).__name__} {new_val!r:.60}"
            ) from None
        return in_place({self._name: new_val})


def make_user_context(default_value: Any = None) -> UserContext:
    """A value of one's own that compiled functions depend on, as on the options.

    A function is traced once for each value, so that it may ask for it.

    Parameters
    ----------
    default_value : object
        The value outside of all blocks.

    Returns
    -------
    UserContext
        Its attribute ``value`` is the value; called with a hashable value, it is a context manager
        that sets it for the thread.

    Examples
    --------
    >>> import covector as cv
    >>> scale = cv.make_user_context(1)
    >>> f = cv.jit(lambda x: x * scale.value)
    >>> with scale(10):
    ...     print(f(3))
    30
    >>> print(f(3))
    3
    """
    return UserContext(default_value)
