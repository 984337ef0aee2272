"""Run-time options: the x64 switch, debugging aids, and their thread-local overrides.

Every option that changes what a traced function means is folded into one integer, the
*context key*, which the native call path mixes into the signature of each call.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from covector import _native

_DEFAULTS: dict[str, Any] = {
    "enable_x64": False,
    "disable_jit": False,
    "debug_nans": False,
    "debug_infs": False,
    "enable_checks": False,
    "numpy_rank_promotion": "allow",
    "numpy_dtype_promotion": "standard",
    "default_matmul_precision": None,
    "traceback_filtering": "auto",
    "default_prng_impl": "threefry2x32",
    "enable_compilation_cache": True,
    "compilation_cache_dir": None,
    "platforms": None,
    "default_device": None,
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "numpy_rank_promotion": ("allow", "warn", "raise"),
    "numpy_dtype_promotion": ("standard", "strict"),
    "traceback_filtering": ("auto", "off", "on"),
    "default_prng_impl": ("threefry2x32",),
    "default_matmul_precision": (
        None, "default", "fastest", "high", "highest", "bfloat16", "bfloat16_3x", "tensorfloat32",
        "float32",
    ),
}  # fmt: skip
# Variables that are read elsewhere: by the native core, or where it is built and tested.
_OTHER_VARIABLES = frozenset((
    "NUM_THREADS", "RUNTIME_SLOTS", "POISON_MEMORY", "INPLACE", "SANITIZE", "TEST_NATIVE",
    "UPDATE_GOLDEN", "FUZZ_SEED",
))  # fmt: skip
# Options that alter tracing or compiled code; each contributes to the context key.
_TRACED = (
    "enable_x64",
    "disable_jit",
    "debug_nans",
    "debug_infs",
    "enable_checks",
    "numpy_rank_promotion",
    "numpy_dtype_promotion",
    "default_matmul_precision",
    "platforms",
    "default_device",
)


def _canonical(name: str) -> str:
    for prefix in ("covector_", "jax_"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    if name not in _DEFAULTS:
        raise AttributeError(
            f"unknown configuration option {name!r}; known options: {', '.join(sorted(_DEFAULTS))}"
        )
    return name


# Raises the error for a platform that there is not; set by `backend`.
check_platform: Callable[[str], object] = lambda name: None  # noqa: E731


def _check(name: str, value: Any) -> None:
    default = _DEFAULTS[name]
    if isinstance(default, bool) and not isinstance(value, bool):
        raise TypeError(f"option {name!r} takes True or False, got {value!r}")
    if name == "default_device" and not (
        value is None or isinstance(value, str) or hasattr(value, "platform")
    ):
        raise TypeError(
            f"option 'default_device' takes a device, such as those of covector.devices(), the "
            f"name of a platform or None, got {value!r}"
        )
    if name == "default_device" and isinstance(value, str):
        check_platform(value)
    if name == "platforms" and not (
        value is None or (isinstance(value, str) and all(p.strip() for p in value.split(",")))
    ):
        raise ValueError(
            f"option 'platforms' takes names of platforms separated by commas, got {value!r}"
        )
    if name == "compilation_cache_dir" and not (
        value is None or (isinstance(value, str | os.PathLike) and _is_path(value))
    ):
        raise TypeError(
            f"option 'compilation_cache_dir' takes the path of a folder or None, got {value!r}"
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"option {name!r} takes one of {_CHOICES[name]}, got {value!r}")


def _is_path(value: str | os.PathLike[str]) -> bool:
    try:
        path = os.fsencode(value)
    except (TypeError, UnicodeError):
        return False
    return isinstance(os.fspath(value), str) and bool(path) and b"\0" not in path


def _parse_env(name: str, default: Any) -> Any:
    variable = "COVECTOR_" + name.upper()
    raw = os.environ.get(variable)
    if raw is None:
        return default
    value: Any = raw
    if isinstance(default, bool):
        lowered = raw.strip().lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        if lowered in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(f"{variable}={raw!r} is not a boolean (use 0 or 1)")
    if default is None and not raw.strip():
        return None
    try:
        _check(name, value)
    except (TypeError, ValueError) as e:
        raise ValueError(f"the environment variable {variable}={raw!r}: {e}") from None
    return value


def _check_environment() -> None:
    """Warn of variables that no option has, and of a number of threads that is none."""
    for variable, value in os.environ.items():
        if not variable.startswith("COVECTOR_"):
            continue
        name = variable[len("COVECTOR_") :]
        if name.lower() not in _DEFAULTS and name not in _OTHER_VARIABLES:
            import difflib  # few processes need it

            close = difflib.get_close_matches(name.lower(), _DEFAULTS, 1)
            hint = f"; did you mean COVECTOR_{close[0].upper()}?" if close else ""
            warnings.warn(
                f"the environment variable {variable} has no effect: there is no such option{hint}",
                stacklevel=2,
            )
        if name == "NUM_THREADS" and not (value.strip().isdecimal() and int(value) > 0):
            warnings.warn(
                f"COVECTOR_NUM_THREADS={value!r} is not a positive number: as many threads are "
                "used as this process has processors",
                stacklevel=2,
            )


# What is asked for every operation, by the context key, which is had in no time.
_x64_of_key: dict[int, bool] = {}
_plain_keys: set[int] = set()


class _Option:
    """An option as an attribute: its value, and what threads have in place of it.

    ``blocks`` holds something for each block of code, in any thread, in which it is overridden.
    """

    __slots__ = ("name", "value", "blocks")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value
        self.blocks: dict[object, None] = {}

    def __get__(self, config: Config | None, cls: type[Config]) -> Any:
        if self.blocks and config is not None:
            return config.__dict__.get(self.name, self.value)
        return self.value

    def __set__(self, config: Config, value: Any) -> None:
        config.update(self.name, value)


class Config(threading.local):
    """Options of the process, and what the current thread has in their place.

    Attributes are the option names (``config.enable_x64``). Setting one, or :meth:`update`, changes
    it for the process: every thread sees it from then on, but for blocks of code in which
    :func:`override`, and context managers such as ``enable_x64``, have set it for their thread. An
    environment variable, such as ``COVECTOR_ENABLE_X64=1``, gives the value to start from.

    Attributes
    ----------
    enable_x64 : bool
        64-bit types; without it numbers are 32 bits wide at most.
    disable_jit : bool
        Compiled functions and control flow run as plain Python.
    debug_nans, debug_infs : bool
        Raise FloatingPointError where an operation gives NaN, or infinity.
    enable_checks : bool
        Check the programs that are traced and compiled, to find errors in the library.
    numpy_rank_promotion : {"allow", "warn", "raise"}
        What becomes of operands of different rank.
    numpy_dtype_promotion : {"standard", "strict"}
        Whether arrays of different dtypes mix.
    default_matmul_precision : str, optional
        Of matrix products that none is given for: ``default``, ``high``, ``highest`` or the name
        of a format (`covector.lax.Precision`).
    traceback_filtering : {"auto", "on", "off"}
        Whether tracebacks leave out the frames of the library.
    default_prng_impl : {"threefry2x32"}
        Random number generator of new keys.
    enable_compilation_cache : bool
        Keep compiled programs on disk.
    compilation_cache_dir : str, optional
        Where; by default in the user's folder of caches.
    platforms : str, optional
        The backend to use, the first of several separated by commas.
    default_device : Device or str, optional
        Where arrays are made and programs run that are nowhere in particular: a device, or the
        name of a platform, of which it is the first device.

    Examples
    --------
    >>> import covector as cv
    >>> cv.config.enable_x64
    False
    >>> cv.config.update("enable_x64", True)
    >>> cv.numpy.ones(2).dtype
    dtype('float64')
    >>> cv.config.update("enable_x64", False)
    """

    # What a thread has in place of the values of the process, which the attributes of the class
    # hold, is in the dictionary of the instance: each thread has one of its own.
    _keys: dict[tuple[Any, ...], int] = {}
    _next_key = itertools.count(1)

    @classmethod
    def _key_of(cls, get: Callable[[str], Any]) -> int:
        """The context key: a number for the options that change what is traced or compiled."""
        state = tuple([get(name) for name in _TRACED])
        key = cls._keys.get(state)
        if key is None:
            key = cls._keys.setdefault(state, next(cls._next_key))
            _x64_of_key[key] = get("enable_x64")
            if get("default_device") is None and get("platforms") is None:
                _plain_keys.add(key)
        return key

    @classmethod
    def _set_global(cls, name: str, value: Any) -> None:
        cls.__dict__[name].value = value
        get = functools.partial(getattr, cls)
        _native.set_default_options(cls._key_of(get), get("traceback_filtering") != "off")

    def _rekey(self) -> None:
        """Tell the native core what this thread has in place of the options of the process."""
        own = self.__dict__
        key = self._key_of(functools.partial(getattr, self)) if own else 0
        filtering = own.get("traceback_filtering")
        _native.set_thread_options(key, None if filtering is None else filtering != "off")

    @_native.Boundary
    def update(self, name: str, value: Any) -> None:
        """Set an option for the process.

        Parameters
        ----------
        name : str
            The prefixes ``jax_`` and ``covector_`` are accepted.
        value : object

        Raises
        ------
        AttributeError
            If there is no such option.
        TypeError, ValueError
            If it does not take this value.

        Examples
        --------
        >>> import covector as cv
        >>> cv.config.update("jax_enable_x64", False)
        """
        name = _canonical(name)
        _check(name, value)
        self._set_global(name, value)

    @_native.Boundary
    def read(self, name: str) -> Any:
        """The value of an option.

        Parameters
        ----------
        name : str
            The prefixes ``jax_`` and ``covector_`` are accepted.

        Returns
        -------
        object

        Examples
        --------
        >>> import covector as cv
        >>> cv.config.read("numpy_rank_promotion")
        'allow'
        """
        return getattr(self, _canonical(name))

    def __setattr__(self, name: str, value: Any) -> None:
        self.update(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self, _canonical(name))

    @property
    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _DEFAULTS}


for _name, _value in _DEFAULTS.items():
    setattr(Config, _name, _Option(_name, _parse_env(_name, _value)))
config = Config()
_check_environment()
_native.set_rekey(config._rekey)
Config._set_global("enable_x64", config.enable_x64)


def x64_enabled() -> bool:
    """``config.enable_x64``, several times as fast: it is asked for every operation."""
    found = _x64_of_key.get(_native.context_key())
    return config.enable_x64 if found is None else found


def places_set() -> bool:
    """Whether an option may say that new arrays are elsewhere than on the first CPU device."""
    return _native.context_key() not in _plain_keys


@contextlib.contextmanager
def override(**options: Any) -> Iterator[None]:
    """Set options for the current thread until the block ends."""
    for name, value in options.items():
        _check(name, value)
    own = config.__dict__
    old = dict(own)
    block = object()
    for name in options:
        vars(Config)[name].blocks[block] = None
    own.update(options)
    config._rekey()
    try:
        yield
    finally:
        for name in options:
            if name in old:
                own[name] = old[name]
            else:
                own.pop(name, None)
            vars(Config)[name].blocks.pop(block, None)
        config._rekey()


def enable_x64(new_val: bool = True) -> contextlib.AbstractContextManager[None]:
    """Context manager: 64-bit types for the block (see the ``enable_x64`` option).

    Parameters
    ----------
    new_val : bool
        False narrows 64-bit types to 32 bits.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import covector as cv
    >>> with cv.enable_x64():
    ...     print(repr(cv.numpy.array(0.1)))
    Array(0.1, dtype=float64, weak_type=True)
    >>> cv.numpy.array(0.1).dtype
    dtype('float32')
    """
    return override(enable_x64=new_val)


def disable_jit(disable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Context manager: functions wrapped by ``jit`` run as plain Python for the block.

    Control flow of ``covector.lax`` then runs in Python too, so that breakpoints and
    prints see concrete values.

    Parameters
    ----------
    disable : bool
        False has functions compiled again.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     print("x =", int(x))  # an error while the function is traced
    ...     return x + 1
    >>> with cv.disable_jit():
    ...     y = f(cv.numpy.array(3))
    x = 3
    """
    return override(disable_jit=disable)


def default_device(new_val: Any = None) -> contextlib.AbstractContextManager[None]:
    """Context manager: where arrays are made and programs run for the block.

    Arrays that are committed to a device stay there, and so do programs that take them.

    Parameters
    ----------
    new_val : Device or str, optional
        A device, or the name of a platform, of which it is the first device. None stands for the
        first device of the default platform.

    Returns
    -------
    context manager

    Raises
    ------
    TypeError
        If ``new_val`` is no device.

    Examples
    --------
    >>> import covector as cv
    >>> with cv.default_device(cv.devices("cpu")[0]):
    ...     print(cv.numpy.ones(2).device)
    CpuDevice(id=0)
    """
    return override(default_device=new_val)
