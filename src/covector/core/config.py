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
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from covector import _native
from covector.core import presence, processes
from covector.core.options import OPTIONS, STAGE_NAMES, WITHOUT_EFFECT

# Variables that are read elsewhere: by the native core, or where it is built and tested.
_OTHER_VARIABLES = frozenset((
    "NUM_THREADS", "RUNTIME_SLOTS", "POISON_MEMORY", "INPLACE", "SANITIZE", "TEST_NATIVE",
    "UPDATE_GOLDEN", "FUZZ_SEED", "PJRT_PLUGINS", "SHARED_MEMORY",
))  # fmt: skip
# Options that alter tracing, compiled code or what a call does: each is part of the context key.
_TRACED = [name for name, option in OPTIONS.items() if option.traced]


def _canonical(name: str) -> str:
    for prefix in ("covector_", "jax_"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    if name not in OPTIONS:
        raise AttributeError(
            f"unknown configuration option {name!r}{_nearest(name)}; "
            "python -m covector lists all options"
        )
    return name


def _nearest(name: str, shown: Callable[[str], str] = repr) -> str:
    """A question after the option that a misspelt one is most like."""
    import difflib  # few processes need it

    close = difflib.get_close_matches(name.lower(), OPTIONS, 1)
    return f"; did you mean {shown(close[0])}?" if close else ""


# Raises the error for a platform that there is not; set by `backend`.
check_platform: Callable[[str], object] = lambda name: None  # noqa: E731


def _check(name: str, value: Any) -> None:
    """Raise the error for a value that an option does not take."""
    option = OPTIONS[name]
    if name in _CHECKS:
        _CHECKS[name](value)
    elif option.choices:
        if value not in option.choices or type(value) is bool:
            raise ValueError(f"option {name!r} takes one of {option.choices}, got {value!r}")
    elif isinstance(option.default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"option {name!r} takes True or False, got {value!r}")
    elif isinstance(option.default, int | float):
        wanted = int if isinstance(option.default, int) else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise TypeError(f"option {name!r} takes a number, got {value!r}")
    elif isinstance(option.default, str) and not isinstance(value, str):
        raise TypeError(f"option {name!r} takes a string, got {value!r}")


def _check_device(value: Any) -> None:
    if not (value is None or isinstance(value, str) or hasattr(value, "platform")):
        raise TypeError(
            f"option 'default_device' takes a device, such as those of covector.devices(), the "
            f"name of a platform or None, got {value!r}"
        )
    if isinstance(value, str):
        check_platform(value)


def _check_platforms(value: Any) -> None:
    named = isinstance(value, str) and all(p.strip() for p in value.split(","))
    if value not in (None, "") and not named:
        raise ValueError(
            f"option 'platforms' takes names of platforms separated by commas, got {value!r}"
        )


def _check_folder(value: Any) -> None:
    if not (value is None or (isinstance(value, str | os.PathLike) and _is_path(value))):
        raise TypeError(
            f"option 'compilation_cache_dir' takes the path of a folder or None, got {value!r}"
        )


def _check_modes(value: Any) -> None:
    names = value.split(",") if isinstance(value, str) else [value]
    for mode in names:
        if not isinstance(mode, str) or mode.strip() not in STAGE_NAMES:
            raise ValueError(
                f"option 'dump_ir_modes' takes names of stages separated by commas, of "
                f"{', '.join(STAGE_NAMES)}; got {value!r}"
            )


def _check_cpu_devices(value: Any) -> None:
    if type(value) is not int or (value < 1 and value != -1):
        raise ValueError(
            "option 'num_cpu_devices' takes the number of logical devices that the CPU has, at "
            f"least 1, or -1 for the default; got {value!r}"
        )
    if processes.devices and value != processes.devices[processes.index]:
        known = processes.devices[processes.index]
        raise RuntimeError(
            f"option 'num_cpu_devices': initialize told the other processes that this one has "
            f"{known}, so it cannot have {value} now; set it before"
        )


def _check_client_options(value: Any) -> None:
    """A dict of numbers, texts and lists of numbers, or a text of the form key:value;key:value."""
    ok = value is None
    if isinstance(value, str):
        ok = all(":" in item for item in value.split(";") if item.strip())
    elif isinstance(value, dict):
        ok = all(isinstance(k, str) for k in value) and all(
            isinstance(v, bool | int | float | str)
            or (isinstance(v, list | tuple) and all(type(n) is int for n in v))
            for v in value.values()
        )
    if not ok:
        raise ValueError(
            "option 'pjrt_client_create_options' takes a dict of numbers, texts and lists of "
            f"integers, a text of the form key:value;key:value, or None, got {value!r}"
        )


def _check_visible(value: Any) -> None:
    if value != "all" and not (
        isinstance(value, str) and all(part.strip().isdecimal() for part in value.split(","))
    ):
        raise ValueError(
            "options 'cuda_visible_devices' and 'rocm_visible_devices' take 'all' or the numbers "
            f"of devices, separated by commas, got {value!r}"
        )


_CHECKS: dict[str, Callable[[Any], None]] = {
    "pjrt_client_create_options": _check_client_options,
    "cuda_visible_devices": _check_visible,
    "rocm_visible_devices": _check_visible,
    "default_device": _check_device,
    "platforms": _check_platforms,
    "compilation_cache_dir": _check_folder,
    "dump_ir_modes": _check_modes,
    "num_cpu_devices": _check_cpu_devices,
}


def _is_path(value: str | os.PathLike[str]) -> bool:
    try:
        path = os.fsencode(value)
    except (TypeError, UnicodeError):
        return False
    return isinstance(os.fspath(value), str) and bool(path) and b"\0" not in path


def _parse_env(name: str, variable: str, raw: str) -> Any:
    """The value that an environment variable gives an option."""
    default = OPTIONS[name].default
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
    if isinstance(default, int | float):
        try:
            value = type(default)(raw)
        except ValueError:
            raise ValueError(f"{variable}={raw!r} is not a number") from None
    try:
        _check(name, value)
    except (TypeError, ValueError) as e:
        raise ValueError(f"the environment variable {variable}={raw!r}: {e}") from None
    return value


def _read_environment() -> dict[str, Any]:
    """What the environment gives options.

    Warns of variables that no option has, and of a number of threads that is none.
    """
    found = {}
    for variable, value in os.environ.items():
        if not variable.startswith("COVECTOR_"):
            continue
        name = variable[len("COVECTOR_") :]
        if name.lower() in OPTIONS and name.isupper():
            found[name.lower()] = _parse_env(name.lower(), variable, value)
        elif name not in _OTHER_VARIABLES:
            hint = _nearest(name, lambda close: f"COVECTOR_{close.upper()}")
            _warn(
                f"the environment variable {variable} has no effect: there is no such option{hint}"
            )
        if name == "NUM_THREADS" and not (value.strip().isdecimal() and int(value) > 0):
            _warn(
                f"COVECTOR_NUM_THREADS={value!r} is not a positive number: as many threads are "
                "used as this process has processors"
            )
    return found


_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _warn(text: str) -> None:
    """Warn at the line of the user's code; `core.errors` imports what imports this module."""
    found = _native.user_frame(_PACKAGE_DIR)
    if found is None:
        warnings.warn(text, stacklevel=3)
    else:
        warnings.warn_explicit(text, UserWarning, found[0], found[1])


def _warn_without_effect(name: str, value: Any) -> None:
    reason = WITHOUT_EFFECT.get(name)
    if reason is not None and value != OPTIONS[name].default:
        _warn(f"the option {name} is accepted, without effect here: {reason}")


_DIRECTIONS = ("host_to_device", "device_to_device", "device_to_host")
_FOR_LOGGERS = {"logging_level": None, "debug_log_modules": None}.keys()
# Options that say where new arrays are, and whether they may come there, unless they are these.
_PLACES = ("default_device", "platforms", "platform_name", "transfer_guard_host_to_device")
_PLAIN = (None, "", "allow", "cpu")


def _all_of(name: str) -> tuple[str, ...]:
    """The options that are set with one."""
    if name == "transfer_guard":
        return (name, *[f"transfer_guard_{direction}" for direction in _DIRECTIONS])
    return (name,)


# Names of what users have made to be part of the context key, and what says it is not set; of
# them, those that say where new arrays are.
user_contexts: list[str] = []
place_contexts: list[str] = []
UNSET = object()


# Who is told that an option of the process has been set, by the option.
listeners: dict[str, list[Callable[[str], None]]] = {}


# What is asked for every operation, by the context key, which is had in no time.
_x64_of_key: dict[int, bool] = {}
_states: dict[int, Any] = {}
_plain_keys: set[int] = set()
_guarded_keys: set[int] = set()
_stepwise_keys: set[int] = set()


class _Option:
    """An option as an attribute: its value, and what threads have in place of it.

    ``blocks`` holds something for each block of code, in any thread, in which it is overridden.
    ``source`` says where the value of the process is from: default, environment, set, or detected:
    a platform whose device the machine has.
    """

    __slots__ = ("name", "value", "source", "blocks")

    def __init__(self, name: str, value: Any, source: str) -> None:
        self.name = name
        self.value = value
        self.source = source
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

    ``python -m covector`` lists all options with what they are for, their values, and where these
    are from. Those that JAX has for devices and compilers that are not here are accepted, with a
    warning: docs/differences.md lists them.

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
    _thread_keys: dict[tuple[Any, ...], int] = {}
    _default_key = 0
    _next_key = itertools.count(1)

    @classmethod
    def _key_of(cls, get: Callable[[str], Any]) -> int:
        """The context key: a number for the options that change what is traced or compiled."""
        own = [(c, get(c)) for c in user_contexts]
        # Values of different types may be equal.
        typed = [(c, type(v), v) for c, v in own if v is not UNSET]
        state = (*[get(name) for name in _TRACED], *typed)
        key = cls._keys.get(state)
        if key is None:
            key = cls._keys.setdefault(state, next(cls._next_key))
            _x64_of_key[key] = get("enable_x64")
            _states[key] = types.SimpleNamespace(**dict(zip(_TRACED, state, strict=False)))
            somewhere = any(get(name) is not UNSET for name in place_contexts)
            if not somewhere and all(get(name) in _PLAIN for name in _PLACES):
                _plain_keys.add(key)
            checks = (get(f"error_checking_behavior_{what}") for what in ("divide", "oob"))
            if get("disable_jit") or get("debug_key_reuse") or "raise" in checks:
                _stepwise_keys.add(key)
            if get("transfer_guard_host_to_device") not in _PLAIN:
                _guarded_keys.add(key)
        return key

    @classmethod
    def _set_global(cls, name: str, value: Any) -> None:
        option = cls.__dict__[name]
        option.value, option.source = value, "set"
        if name == "platforms" and not value:
            detect_platform()
        cls._publish()
        if name in _FOR_LOGGERS:
            cls._tell_loggers()

    @classmethod
    def _publish(cls) -> None:
        """Tell the native core the options of the process."""
        get = functools.partial(getattr, cls)
        cls._default_key = cls._key_of(get)
        _native.set_default_options(cls._default_key, get("traceback_filtering") != "off")

    @classmethod
    def _tell_loggers(cls) -> None:
        from covector.core import log  # few processes need it

        log.configure(*[getattr(cls, name) for name in _FOR_LOGGERS])

    def _rekey(self) -> None:
        """Tell the native core what this thread has in place of the options of the process."""
        own = self.__dict__
        key = 0
        if own:
            known = (self._default_key, *own.items(), *map(type, own.values()))
            found = self._thread_keys.get(known)
            if found is None:
                found = self._key_of(functools.partial(getattr, self))
                if len(self._thread_keys) > 1000:
                    self._thread_keys.clear()
                self._thread_keys[known] = found
            key = found
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
        _warn_without_effect(name, value)
        for each in _all_of(name):
            self._set_global(each, value)
        for told in listeners.get(name, ()):
            told(name)

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

    def set_context(self, name: str, value: Any) -> None:
        """Set a value of `add_context` for the process."""
        vars(Config)[name].value = value
        self._publish()
        self._rekey()

    @property
    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in OPTIONS}

    @property
    def sources(self) -> dict[str, str]:
        """Where the values of options are from: default, environment, set, detected, or block."""
        own = self.__dict__
        return {n: "block" if n in own else vars(Config)[n].source for n in OPTIONS}


def add_context(place: bool = False) -> str:
    """Make a value of users part of the context key; the name of its attribute of `config`.

    With ``place``, one that says where new arrays are.
    """
    name = f"user_context_{len(user_contexts)}"
    setattr(Config, name, _Option(name, UNSET, "default"))
    if place:
        place_contexts.append(name)
    user_contexts.append(name)
    return name


def changed_options(before: int, after: int) -> list[tuple[str, Any, Any]]:
    """The options in which two context keys differ, with the values under each."""
    states = {key: state for state, key in Config._keys.items()}
    old, new = states.get(before, ()), states.get(after, ())
    return [(n, a, b) for n, a, b in zip(_TRACED, old, new, strict=False) if a != b]


def _install_options() -> None:
    given = _read_environment()
    for name, option in OPTIONS.items():
        setattr(Config, name, _Option(name, option.default, "default"))
    for name, value in given.items():
        _warn_without_effect(name, value)
        for each in _all_of(name):
            if each == name or each not in given:
                found = vars(Config)[each]
                found.value, found.source = value, "environment"
    detect_platform()
    Config._publish()
    if not _FOR_LOGGERS.isdisjoint(given):
        Config._tell_loggers()


def detect_platform(root: str = "/") -> None:
    """Make the accelerator of this machine the default platform, unless the user names one."""
    platforms = vars(Config)["platforms"]
    if platforms.value or vars(Config)["platform_name"].value:
        return
    for seen in presence.detect(root):
        platforms.value, platforms.source = seen.platform, "detected"
        return


def detected_platform() -> str | None:
    """The platform that arrays and programs are on because this machine has its device."""
    option = vars(Config)["platforms"]
    if option.source != "detected" or config.platforms is not option.value:
        return None
    return str(option.value)


def forget_detected() -> bool:
    """Leave the detected platform for the CPU; whether this call did."""
    with _forgetting:
        option = vars(Config)["platforms"]
        if option.source != "detected":
            return False
        option.value, option.source = None, "default"
        Config._publish()
    config._rekey()
    return True


_forgetting = threading.Lock()
_install_options()
config = Config()
_native.set_rekey(config._rekey)


def x64_enabled() -> bool:
    """``config.enable_x64``, several times as fast: it is asked for every operation."""
    found = _x64_of_key.get(_native.context_key())
    return config.enable_x64 if found is None else found


def current() -> Any:
    """The options of the context key as attributes: as of `config`, but had in less time."""
    return _states.get(_native.context_key(), config)


def runs_by_operation() -> bool:
    """Whether functions and control flow run as plain Python: by the option ``disable_jit``, or
    by those that look at the operands of each operation."""
    return _native.context_key() in _stepwise_keys


def transfers_guarded() -> bool:
    """Whether an option asks about what comes from the host to devices."""
    return bool(_guarded_keys) and _native.context_key() in _guarded_keys


def places_set() -> bool:
    """Whether an option may say that new arrays are elsewhere than on the first CPU device."""
    return _native.context_key() not in _plain_keys


@contextlib.contextmanager
def override(**options: Any) -> Iterator[None]:
    """Set options for the current thread until the block ends."""
    for name, value in options.items():
        _check(name, value)
        _warn_without_effect(name, value)
    if "transfer_guard" in options:
        options = {**dict.fromkeys(_all_of("transfer_guard"), options["transfer_guard"]), **options}
    with in_place(options):
        yield


@contextlib.contextmanager
def in_place(options: dict[str, Any]) -> Iterator[None]:
    """Values that the current thread has in place of those of the process, for a block."""
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
