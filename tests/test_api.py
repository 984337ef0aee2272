"""The public names and their signatures, against the lists in `tests/api`.

A list has a line a name: ``name``, ``name(parameters)``, ``class Name(parameters)`` or
``Class.member(parameters)``, with ``...`` for a default that is no literal. Ours may have more:
names, optional parameters after those that are listed, options that are given by name, defaults.

`tests/api/not_yet.txt` holds the names that are listed and missing, `tests/api/different.txt` those
whose signature differs, with the reason. Both can only shrink.
"""

import ast
import dataclasses
import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = Path(__file__).parent / "api"
MODULES = sorted(f.stem for f in FOLDER.glob("covector*.txt"))
MOST_DIFFERENT = 80
KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "by position or name",
    inspect.Parameter.KEYWORD_ONLY: "by name only",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


class Parameter(NamedTuple):
    """A parameter: its name, kind, and default as text (None: it has none)."""

    name: str
    kind: str
    default: str | None


class Entry(NamedTuple):
    """A line of a list; no parameters where only the name is listed."""

    name: str
    parameters: tuple[Parameter, ...] | None


def _parameters(text: str) -> tuple[Parameter, ...]:
    args = ast.parse(f"def f({text}): pass").body[0].args
    positional = args.posonlyargs + args.args
    defaults = [None] * (len(positional) - len(args.defaults)) + args.defaults
    out = []
    for i, (arg, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = "positional only" if i < len(args.posonlyargs) else "by position or name"
        out.append(Parameter(arg.arg, kind, None if default is None else ast.unparse(default)))
    if args.vararg:
        out.append(Parameter(args.vararg.arg, "*", None))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        out.append(
            Parameter(arg.arg, "by name only", None if default is None else ast.unparse(default))
        )
    if args.kwarg:
        out.append(Parameter(args.kwarg.arg, "**", None))
    return tuple(out)


def entries(module: str) -> list[Entry]:
    """What the list of a module has."""
    out = []
    for line in (FOLDER / f"{module}.txt").read_text().splitlines():
        name, paren, rest = line.removeprefix("class ").partition("(")
        out.append(Entry(name, _parameters(rest[:-1]) if paren else None))
    return out


def _default(value: Any) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    text = repr(value)
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text if text == "frozenset()" else "..."
    return text


def signature(value: Any) -> tuple[Parameter, ...] | None:
    """The parameters of one of ours; None where it tells none."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    return tuple(
        Parameter(p.name, KINDS[p.kind], _default(p.default))
        for p in found.parameters.values()
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or not p.name.startswith("_")
    )


def differences(want: tuple[Parameter, ...], got: tuple[Parameter, ...]) -> list[str]:
    """In what one of ours differs from the list; nothing where it only has more."""
    out = []
    by_position = [p for p in want if p.kind in ("positional only", "by position or name")]
    ours = [p for p in got if p.kind in ("positional only", "by position or name")]
    rest = {p.name: p for p in got[len(by_position) :]}
    for i, p in enumerate(by_position):
        q = ours[i] if i < len(ours) else None
        if p.name == "self" and q is not None:
            continue  # a function may be a method too
        if q is None or q.name != p.name:
            out.append(f"parameter {i} is {q.name if q else 'missing'}, listed {p.name}")
        else:
            out += _compare(p, q)
    for p in want:
        if p.kind in ("*", "**"):
            if all(q.kind != p.kind or q.name != p.name for q in got):
                out.append(f"no {p.kind}{p.name}")
        elif p.kind == "by name only":
            q = rest.get(p.name)
            out += [f"no {p.name}"] if q is None else _compare(p, q)
    listed = {p.name for p in want}
    for q in got[1:] if "self" in listed else got:
        if q.name not in listed and q.kind not in ("*", "**") and q.default is None:
            out.append(f"{q.name} is required, and not listed")
    return out


def _compare(want: Parameter, got: Parameter) -> list[str]:
    out = []
    if want.kind != got.kind:
        out.append(f"{want.name} is {got.kind}, listed {want.kind}")
    if want.default is not None and got.default is None:
        out.append(f"{want.name} has no default, listed {want.default}")
    elif want.default not in (None, "...", got.default):
        out.append(f"{want.name} has the default {got.default}, listed {want.default}")
    return out


MISSING = object()


def _owner(module: str) -> Any:
    package, _, last = module.rpartition(".")
    try:
        return importlib.import_module(module)
    except ImportError:
        if not package:
            raise
    try:
        return getattr(importlib.import_module(package), last, MISSING)
    except ImportError:
        return MISSING


def find(module: str, name: str) -> Any:
    """What a listed name is with us; `MISSING` if it is not there."""
    at = _owner(module)
    for part in name.split("."):
        if at is MISSING:
            return MISSING
        found = getattr(at, part, MISSING)
        if found is MISSING and part in _fields(at):
            return None  # an attribute of instances
        at = found
    return at


def _fields(owner: Any) -> set[str]:
    if not isinstance(owner, type):
        return set()
    out = {part for c in owner.__mro__ for part in getattr(c, "__annotations__", ())}
    if dataclasses.is_dataclass(owner):
        out |= {f.name for f in dataclasses.fields(owner)}
    return out


def _lines(name: str) -> list[str]:
    return [line for line in (FOLDER / name).read_text().splitlines() if line[:1] not in ("", "#")]


@cache
def not_yet() -> frozenset[str]:
    """Listed names that are missing: ``module.name``, or ``module.*`` for all of a module."""
    return frozenset(_lines("not_yet.txt"))


@cache
def different() -> dict[str, str]:
    """Names whose signature is not the list's, each with the reason."""
    return {
        n.strip(): why.strip() for n, _, why in (x.partition(":") for x in _lines("different.txt"))
    }


def _owed(module: str, name: str) -> bool:
    """Whether a name, or the module or the class it belongs to, is still to come."""
    parts = name.split(".")
    names = [f"{module}.{'.'.join(parts[: i + 1])}" for i in range(len(parts))]
    return f"{module}.*" in not_yet() or any(n in not_yet() for n in names)


@pytest.mark.parametrize("module", MODULES)
def test_every_listed_name_is_there(module):
    missing = [
        e.name
        for e in entries(module)
        if not _owed(module, e.name) and find(module, e.name) is MISSING
    ]
    assert not missing, f"{module} has no {', '.join(missing)}"


def test_what_is_owed_is_missing():
    there = []
    for line in not_yet():
        module, _, name = line.rpartition(".")
        while module not in MODULES:
            module, _, more = module.rpartition(".")
            name = f"{more}.{name}"
        assert name == "*" or name in {e.name for e in entries(module)}, f"{line} is not listed"
        names = [e.name for e in entries(module)] if name == "*" else [name]
        if name == "*":
            names = names if _owner(module) is not MISSING else []
        there += [f"{module}.{n}" for n in names if find(module, n) is not MISSING]
    assert not there, f"take from tests/api/not_yet.txt what is there now: {sorted(there)}"


@pytest.mark.parametrize("module", MODULES)
def test_signatures_are_those_of_the_list(module):
    wrong = {}
    for e in entries(module):
        full = f"{module}.{e.name}"
        if e.parameters is None or _owed(module, e.name):
            continue
        value = find(module, e.name)
        if isinstance(value, type) and issubclass(value, BaseException):
            continue  # the library makes them
        got = signature(value)
        found = ["no signature"] if got is None else differences(e.parameters, got)
        if full in different():
            assert found, f"take {full} from tests/api/different.txt: it is as listed"
        elif found:
            wrong[full] = "; ".join(found)
    assert not wrong, "\n" + "\n".join(f"{n}: {why}" for n, why in wrong.items())


def test_reasons():
    assert len(different()) <= MOST_DIFFERENT
    known = {f"{m}.{e.name}" for m in MODULES for e in entries(m)}
    assert set(different()) <= known
    assert all(len(why) > 10 for why in different().values())


def test_comparison():
    def compare(want, got):
        return differences(_parameters(want), _parameters(got))

    assert not compare("x, /, *, axis=-1", "x, /, *, axis=-1, more=None")
    assert not compare("x, y=...", "x, y=None, z=0")
    assert compare("x, y", "y, x")
    assert compare("x, /", "x")
    assert compare("x, *, axis=-1", "x, *, axis=0")
    assert compare("x, *, axis=-1", "x, axis=-1")
    assert not compare("x", "x=0")
    assert not compare("self, axis", "a, axis")
    assert compare("x", "x, y")
    assert compare("x, y=0", "x, y")
    assert compare("*args", "args")
