"""Jaxprs: the typed, first-order programs that tracing produces; printing and checking."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.core.errors import JaxprTypeError
from covector.core.levels import descends
from covector.core.places import at_equations


class Var:
    """A variable of a jaxpr; identity is what names it."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray, initial_qdd: Any = None, final_qdd: Any = None) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var(id={id(self)}):{self.aval.str_short(True)}"


class DropVar(Var):
    """Stands for a result that nothing uses; printed as ``_``."""

    __slots__ = ()

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval


class Literal:
    """A scalar constant written into a jaxpr: a Python or NumPy scalar, and its aval."""

    __slots__ = ("val", "aval")

    def __init__(self, val: Any, aval: ShapedArray) -> None:
        self.val = val
        self.aval = aval

    def __repr__(self) -> str:
        return f"{self.val}"


Atom = Var | Literal


class JaxprEqn:
    """One application of a primitive: ``outvars = primitive[params] invars``."""

    __slots__ = ("invars", "outvars", "primitive", "params", "effects", "source_info")

    def __init__(
        self,
        invars: Sequence[Atom],
        outvars: Sequence[Var],
        primitive: Any,
        params: dict[str, Any],
        effs: frozenset[Any] = frozenset(),
        source_info: Any = None,
        ctx: None = None,
    ) -> None:
        self.invars = invars
        self.outvars = outvars
        self.primitive = primitive
        self.params = params
        self.effects = effs
        self.source_info = source_info

    @property
    def ctx(self) -> None:
        """What compilers are told of one equation: nothing."""

    def replace(self, **changes: Any) -> JaxprEqn:
        changes.pop("ctx", None)
        return JaxprEqn(*[changes.pop(n, getattr(self, n)) for n in self.__slots__], **changes)

    def __repr__(self) -> str:
        return _print_eqn(self, _Namer(), 0)


class DebugInfo:
    """Where a jaxpr comes from: function name, source line, names of its arguments.

    ``trees``, if it is known, are the structures of its arguments, ``(args, kwargs)``, and results.
    """

    __slots__ = ("traced_for", "func_src_info", "arg_names", "result_paths", "trees")

    def __init__(
        self,
        traced_for: str,
        func_src_info: str,
        arg_names: Iterable[str] | None = None,
        result_paths: Sequence[str] | None = None,
    ) -> None:
        self.traced_for = traced_for
        self.func_src_info = func_src_info
        self.arg_names = arg_names
        self.result_paths = result_paths
        self.trees: tuple[Any, Any] | None = None

    @property
    def func_name(self) -> str:
        return self.func_src_info.partition(" at ")[0]

    @property
    def source(self) -> str:
        return self.func_src_info.partition(" at ")[2]


class Jaxpr:
    """``{ lambda constvars ; invars . let eqns in outvars }``."""

    __slots__ = (
        "constvars",
        "invars",
        "outvars",
        "eqns",
        "effects",
        "debug_info",
        "__weakref__",
    )

    def __init__(
        self,
        constvars: Sequence[Var],
        invars: Sequence[Var],
        outvars: Sequence[Atom],
        eqns: Sequence[JaxprEqn],
        effects: frozenset[Any] = frozenset(),
        debug_info: DebugInfo | None = None,
        is_high: bool = False,
    ) -> None:
        self.constvars = list(constvars)
        self.invars = list(invars)
        self.outvars = list(outvars)
        self.eqns = list(eqns)
        self.effects = effects
        self.debug_info = debug_info

    @property
    def in_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.outvars]

    @property
    def is_high(self) -> bool:
        """Whether its values are objects that stand for several arrays: they never are."""
        return False

    def replace(self, **changes: Any) -> Jaxpr:
        names = ("constvars", "invars", "outvars", "eqns", "effects", "debug_info")
        return Jaxpr(**{name: changes.get(name, getattr(self, name)) for name in names})

    def pretty_print(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return _print_jaxpr(self, _Namer(), 0)

    __repr__ = __str__


class ClosedJaxpr:
    """A jaxpr and the values of its constant variables."""

    __slots__ = ("jaxpr", "consts", "__weakref__")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any] = ()) -> None:
        self.jaxpr = jaxpr
        self.consts = list(consts)
        if len(self.consts) != len(jaxpr.constvars):
            raise JaxprTypeError(
                f"{len(jaxpr.constvars)} constant variables but {len(self.consts)} constants"
            )

    @property
    def in_avals(self) -> list[ShapedArray]:
        return self.jaxpr.in_avals

    @property
    def out_avals(self) -> list[ShapedArray]:
        return self.jaxpr.out_avals

    @property
    def literals(self) -> list[Any]:
        return self.consts

    def map_jaxpr(self, f: Callable[[Jaxpr], Jaxpr]) -> ClosedJaxpr:
        return ClosedJaxpr(f(self.jaxpr), self.consts)

    def pretty_print(self) -> str:
        return str(self)

    @property
    def eqns(self) -> list[JaxprEqn]:
        return self.jaxpr.eqns

    @property
    def effects(self) -> frozenset[Any]:
        return self.jaxpr.effects

    def replace(
        self, jaxpr: Jaxpr | None = None, consts: Sequence[Any] | None = None
    ) -> ClosedJaxpr:
        return ClosedJaxpr(
            self.jaxpr if jaxpr is None else jaxpr, self.consts if consts is None else consts
        )

    def __str__(self) -> str:
        return str(self.jaxpr)

    __repr__ = __str__


def types_alone(ins: Sequence[ShapedArray], outs: Sequence[ShapedArray]) -> ClosedJaxpr:
    """What stands for a program of which only the types are known."""
    return ClosedJaxpr(Jaxpr([], [Var(a) for a in ins], [Var(a) for a in outs], []))


def sub_jaxprs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The jaxprs among an equation's parameters, closed or not, in tuples or lists too."""
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item


def map_inner(eqn: JaxprEqn, f: Callable[[Jaxpr], Jaxpr]) -> JaxprEqn:
    """The equation with ``f`` of each jaxpr among its parameters; itself if nothing changes."""
    params = {k: _mapped(v, f) for k, v in eqn.params.items()}
    same = all(params[k] is v for k, v in eqn.params.items())
    return eqn if same else eqn.replace(params=params)


def _mapped(value: Any, f: Callable[[Jaxpr], Jaxpr]) -> Any:
    if type(value) is Jaxpr:
        return f(value)
    if type(value) is ClosedJaxpr:
        inner = f(value.jaxpr)
        return value if inner is value.jaxpr else value.replace(inner)
    if type(value) in (tuple, list):
        items = [_mapped(v, f) for v in value]
        same = all(a is b for a, b in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value


def all_jaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """``jaxpr`` and those inside it, each before those inside it."""
    waiting = [jaxpr]
    while waiting:
        found = waiting.pop()
        yield found
        inner = [sub for eqn in found.eqns for sub in sub_jaxprs(eqn.params)]
        waiting.extend(reversed(inner))


_nesting: weakref.WeakKeyDictionary[Jaxpr, int] = weakref.WeakKeyDictionary()


def nesting(jaxpr: Jaxpr) -> int:
    """How many levels of jaxprs are in each other."""
    found = _nesting.get(jaxpr)
    if found is None:
        level, found = [jaxpr], 0
        while level:
            found += 1
            inner = [sub for j in level for eqn in j.eqns for sub in sub_jaxprs(eqn.params)]
            level = list({id(sub): sub for sub in inner}.values())
        _nesting[jaxpr] = found
    return found


# ``again(eqn)`` is a context in which an equation is bound once more, where its types say how
# arrays are split over devices; set once there are such types.
again: Callable[[JaxprEqn], contextlib.AbstractContextManager[None]] | None = None


def bind_again(eqn: JaxprEqn, values: Sequence[Any]) -> Any:
    """Bind an equation of a program to other values, under the current trace."""
    if again is None or not eqn.outvars or eqn.outvars[0].aval.placed is None:
        return eqn.primitive.bind_params(values, eqn.params)
    with again(eqn):
        return eqn.primitive.bind_params(values, eqn.params)


@descends
def eval_jaxpr(
    jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, propagate_source_info: bool = True
) -> list[Any]:
    """Bind the equations of ``jaxpr`` one by one under the current trace.

    Parameters
    ----------
    jaxpr : Jaxpr
    consts : sequence of array_like
        Values of ``jaxpr.constvars``.
    *args : array_like
        Values of ``jaxpr.invars``.
    propagate_source_info : bool
        What is traced anew is of the lines of the equations, rather than of the one that runs.

    Returns
    -------
    list
        Values of ``jaxpr.outvars``.

    Examples
    --------
    >>> import covector as cv
    >>> closed = cv.make_jaxpr(lambda x: 2 * x + 1)(1.0)
    >>> cv.core.eval_jaxpr(closed.jaxpr, closed.consts, 3.0)
    [Array(7., dtype=float32, weak_type=True)]
    """
    env: dict[Var, Any] = {}
    env.update(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    # A value is dropped after its last use, so that a long program needs no more memory
    # than the values alive at once.
    last: dict[Atom, int] = {}
    for i, eqn in enumerate(jaxpr.eqns):
        for a in eqn.invars:
            last[a] = i
    for a in jaxpr.outvars:
        last[a] = len(jaxpr.eqns)
    with at_equations() as at:
        for i, eqn in enumerate(jaxpr.eqns):
            if propagate_source_info:
                at(eqn.source_info)
            vals = [a.val if type(a) is Literal else env[a] for a in eqn.invars]  # type: ignore[index]
            out = bind_again(eqn, vals)
            if eqn.primitive.multiple_results:
                env.update(zip(eqn.outvars, out, strict=True))
            else:
                env[eqn.outvars[0]] = out
            for a in eqn.invars:
                if type(a) is not Literal and last.get(a) == i:
                    env.pop(a, None)  # type: ignore[arg-type]
    return [a.val if type(a) is Literal else env[a] for a in jaxpr.outvars]  # type: ignore[index]


def jaxpr_as_fun(closed: ClosedJaxpr) -> Callable[..., list[Any]]:
    """The function that a closed jaxpr computes, from flat arguments to a flat list."""
    return lambda *args: eval_jaxpr(closed.jaxpr, closed.consts, *args)


# --- printing ----------------------------------------------------------------------------


class _Namer:
    """Short names for variables: a, b, …, z, ba, bb, …"""

    def __init__(self) -> None:
        self.names: dict[Var, str] = {}
        self.count = itertools.count()

    def __call__(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            val = atom.val.item() if isinstance(atom.val, np.generic) else atom.val
            return f"{val}:{_aval_str(atom.aval)}"
        if isinstance(atom, DropVar):
            return "_"
        if atom not in self.names:
            n, name = next(self.count), ""
            while True:
                name = chr(ord("a") + n % 26) + name
                n //= 26
                if n == 0:
                    break
            self.names[atom] = name
        return self.names[atom]

    def typed(self, v: Var) -> str:
        return f"{self(v)}:{_aval_str(v.aval)}"


def _aval_str(aval: ShapedArray) -> str:
    return aval.str_short(short_dtypes=True) + ("*" if aval.weak_type else "")


def _print_param(value: Any, indent: int) -> str:
    if isinstance(value, ClosedJaxpr):
        value = value.jaxpr
    if isinstance(value, Jaxpr):
        return _print_jaxpr(value, _Namer(), indent + 4)
    if isinstance(value, (tuple, list)) and any(isinstance(v, (Jaxpr, ClosedJaxpr)) for v in value):
        return "(" + ", ".join(_print_param(v, indent) for v in value) + ")"
    if isinstance(value, np.dtype):
        return value.name
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return str(value)


def _print_eqn(eqn: JaxprEqn, name: _Namer, indent: int) -> str:
    ins = " ".join(name(a) for a in eqn.invars)
    outs = " ".join(f"{name(v)}:{_aval_str(v.aval)}" for v in eqn.outvars)
    shown = {k: v for k, v in eqn.params.items() if v is not None}
    params = ""
    if shown:
        items = [f"{k}={_print_param(v, indent)}" for k, v in sorted(shown.items())]
        one_line = "[" + " ".join(items) + "]"
        if "\n" in one_line or len(one_line) > 90:
            pad = "\n" + " " * (indent + 2)
            params = "[" + pad + pad.join(items) + "\n" + " " * indent + "]"
        else:
            params = one_line
    left = f"{outs} = " if outs else ""
    return f"{left}{eqn.primitive.name}{params} {ins}".rstrip()


@descends
def _print_jaxpr(jaxpr: Jaxpr, name: _Namer, indent: int) -> str:
    consts = " ".join(name.typed(v) for v in jaxpr.constvars)
    ins = " ".join(name.typed(v) for v in jaxpr.invars)
    lines = [" " * (indent + 4) + _print_eqn(eqn, name, indent + 4) for eqn in jaxpr.eqns]
    outs = ", ".join(name(a) for a in jaxpr.outvars)
    tail = f"({outs}{',' if len(jaxpr.outvars) == 1 else ''})"
    body = "\n".join(lines)
    pad = " " * indent
    if not lines:
        return f"{{ lambda {consts} ; {ins}. let  in {tail} }}"
    return f"{{ lambda {consts} ; {ins}. let\n{body}\n{pad}  in {tail} }}"


# --- checking ----------------------------------------------------------------------------


# Jaxprs are not changed: each is checked once, however many enclose it.
_well_formed: weakref.WeakSet[Jaxpr] = weakref.WeakSet()


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Verify that every variable is bound before use and every equation is well typed.

    Parameters
    ----------
    jaxpr : Jaxpr

    Returns
    -------
    None

    Raises
    ------
    JaxprTypeError
        Names the equation that is wrong and what is wrong with it.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.check_jaxpr(cv.make_jaxpr(lambda x: x + 1)(1.0).jaxpr)
    """
    waiting = [jaxpr]
    while waiting:
        checked = waiting.pop()
        if checked in _well_formed:
            continue
        _check_level(checked)
        _well_formed.add(checked)
        waiting.extend(sub for eqn in checked.eqns for sub in sub_jaxprs(eqn.params))


def _check_level(jaxpr: Jaxpr) -> None:
    bound: set[Var] = set()

    def bind(v: Var, where: object) -> None:
        if v in bound:
            raise JaxprTypeError(f"variable bound twice, in {_place(where)}\n{jaxpr}")
        bound.add(v)

    def read(a: Atom, where: object) -> None:
        if isinstance(a, Var) and a not in bound:
            raise JaxprTypeError(f"variable used before it is bound, in {_place(where)}\n{jaxpr}")

    for v in (*jaxpr.constvars, *jaxpr.invars):
        bind(v, "the arguments")
    for eqn in jaxpr.eqns:
        for a in eqn.invars:
            read(a, eqn)
        expected, _ = eqn.primitive.infer([a.aval for a in eqn.invars], eqn.params)
        if len(expected) != len(eqn.outvars):
            raise JaxprTypeError(
                f"{_place(eqn)} has {len(eqn.outvars)} results, its rule says {len(expected)}"
            )
        for v, aval in zip(eqn.outvars, expected, strict=True):
            if not v.aval.matches(aval):
                raise JaxprTypeError(f"{_place(eqn)}: result typed {v.aval}, its rule says {aval}")
            if not isinstance(v, DropVar):
                bind(v, eqn)
    for a in jaxpr.outvars:
        read(a, "the results")


def _place(where: object) -> str:
    return f"equation `{where}`" if isinstance(where, JaxprEqn) else str(where)
