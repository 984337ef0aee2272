"""References as arguments: of compiled functions, and of functions that are mapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.references import (
    AbstractRef,
    Reference,
    check_distinct,
    has_refs,
    read,
    write_back,
)
from covector.core.trace import current_trace, eval_trace
from covector.transforms.arguments import LazyNames, fun_name, wraps


class RefUse:
    """The references that a traced function takes and closes over.

    Attributes
    ----------
    arguments : list of int
        Positions, among the flat arguments, of references for which the trace has parameters.
    given : list of Reference
        References among the arguments that were traced as if they were closed over.
    written : list of int or Reference
        Whose last values follow the results: references among the arguments by their positions.
    """

    __slots__ = ("arguments", "given", "written")

    def __init__(self, arguments: list[int], given: list[Reference], written: list[Any]) -> None:
        self.arguments = arguments
        self.given = given
        self.written = written

    @classmethod
    def of(cls, arguments: RefArguments | None, written: Sequence[Reference]) -> RefUse:
        """The use of references in a trace that has ended, which captured some and wrote these."""
        if arguments is None:
            return cls([], [], list(written))
        refs, local = arguments.given.refs, arguments.local
        if local is None:
            return cls([], list(refs.values()), list(written))
        return cls(list(refs), [], [*local.written, *written])

    def outlive(self, hoisted: Sequence[Any]) -> bool:
        """Whether the trace is good for other calls: what it closes over outlives it."""
        return not self.given and all(
            isinstance(c, Reference) and c._home is eval_trace for c in hoisted
        )

    def check_call(
        self, flat: Sequence[Any], hoisted: Sequence[Any], names: LazyNames, what: str
    ) -> None:  # fmt: skip
        """Raise the ValueError for one reference in two roles."""
        given = [(i, x) for i, x in enumerate(flat) if isinstance(x, Reference)]
        check_distinct([ref for _, ref in given], lambda: [names[i] for i, _ in given], what)
        for i, ref in given if self.arguments else ():
            if any(ref is c for c in hoisted):
                raise ValueError(
                    f"{what} closes over {ref.describe()}, which was also passed as {names[i]}: "
                    "what is written to one of them could not be seen in the other. Use the "
                    f"argument{at_user_line()}"
                )

    def lose(self, flat: Sequence[Any]) -> None:
        """Mark the references whose values were given to a program that failed."""
        for ref in self.written_refs(flat):
            if ref._value.is_deleted():
                ref._ended = "was being written by a compiled function that raised an error"

    def write_back(self, flat: Sequence[Any], outs: Sequence[Any]) -> list[Any]:
        """Take the last values of references off the end of results."""
        return write_back(self.written_refs(flat), list(outs))

    def written_refs(self, flat: Sequence[Any]) -> list[Reference]:
        return [w if isinstance(w, Reference) else flat[w] for w in self.written]


class LocalRefs:
    """References among the arguments of a function, which sees others in their place.

    Those hold parts of the values, or values of another trace; what is written to them is handed
    out at the end.

    Attributes
    ----------
    refs : dict of int to Reference
        By the positions of the arguments.
    written : list of int
        Positions of those that were written, once the function has run.
    """

    __slots__ = ("refs", "written", "_local")

    def __init__(self, refs: dict[int, Reference]) -> None:
        self.refs = refs
        self.written: list[int] = []

    def values(self, flat: Sequence[Any]) -> list[Any]:
        """The arguments, with the values of the references."""
        return [read(self.refs[i]) if i in self.refs else x for i, x in enumerate(flat)]

    def put(self, leaves: Sequence[Any]) -> list[Any]:
        """What the function gets, from its parameters."""
        self._local = {i: ref.local(leaves[i], aval_of(leaves[i])) for i, ref in self.refs.items()}
        return [self._local.get(i, x) for i, x in enumerate(leaves)]

    def last_values(self, leaves: Sequence[Any]) -> list[Any]:
        """Last values of the references that were written."""
        self.written = [i for i, ref in self._local.items() if ref._value is not leaves[i]]
        return [self._local[i]._value for i in self.written]


class GivenRefs:
    """References among the arguments of a function that sees them as if it closed over them."""

    __slots__ = ("refs",)

    def __init__(self, flat: Sequence[Any]) -> None:
        self.refs = {i: x for i, x in enumerate(flat) if isinstance(x, Reference)}

    def others(self, flat: Sequence[Any]) -> list[Any]:
        """The arguments that are no references."""
        return [x for i, x in enumerate(flat) if i not in self.refs] if self.refs else list(flat)

    def put(self, others: Sequence[Any], *instead: Any) -> list[Any]:
        """All arguments, with one value ``instead`` of each reference if it is given."""
        if not self.refs:
            return list(others)
        rest = iter(others)
        n = len(others) + len(self.refs)
        return [
            (instead[0] if instead else self.refs[i]) if i in self.refs else next(rest)
            for i in range(n)
        ]


class RefArguments:
    """The references among the arguments of a function while it is traced for `jit`.

    At the outermost level the trace has parameters for them, and is good for any others. Inside
    of other transformations they are seen as closed over, so that a rule for derivatives, which
    runs after the trace, may still use them.
    """

    __slots__ = ("given", "local")

    def __init__(self, flat: Sequence[Any]) -> None:
        self.given = GivenRefs(flat)
        self.local = None if current_trace() is not eval_trace else LocalRefs(self.given.refs)

    def types(self, avals: Sequence[Any]) -> list[ShapedArray]:
        """The types of the trace's parameters."""
        if self.local is None:
            return self.given.others(avals)
        return [a.inner_aval if type(a) is AbstractRef else a for a in avals]

    def put(self, parameters: Sequence[Any]) -> list[Any]:
        """What the function gets, from the trace's parameters."""
        return (self.given if self.local is None else self.local).put(parameters)

    def last_values(self, parameters: Sequence[Any]) -> list[Any]:
        """Last values of the references with parameters that were written."""
        return [] if self.local is None else self.local.last_values(parameters)


def has_ref_types(avals: Sequence[Any]) -> bool:
    return any([type(a) is AbstractRef for a in avals])


def mapped_refs(flat: Sequence[Any], dims: Sequence[int | None]) -> LocalRefs | None:
    """The references among arguments that are mapped along an axis."""
    if not has_refs(flat):
        return None
    refs = [(i, x) for i, x in enumerate(flat) if isinstance(x, Reference)]
    return LocalRefs({i: x for i, x in refs if dims[i] is not None})


def close_over_refs(
    funs: Sequence[Callable[..., Any]], flat: Sequence[Any], treedef: Any, what: str
) -> tuple[Sequence[Callable[..., Any]], list[Any]]:
    """Functions that close over the references among their operands, and take the others."""
    given = GivenRefs(flat)
    check_distinct(
        list(given.refs.values()), lambda: [f"operand {i}" for i in given.refs],
        f"{what} of {fun_name(funs[0])}",
    )  # fmt: skip

    def closed(fun: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fun)
        def call(*others: Any) -> Any:
            return fun(*tree.unflatten(treedef, given.put(others)))

        return call

    return [closed(f) for f in funs], given.others(flat)
