"""References: places whose value changes while a function runs, and how traces see them.

A reference belongs to the trace that was current when it was made, its home, and holds a value of
that trace. Writing replaces the value, so that transformations see ordinary values alone. A jaxpr
that is traced inside of the home *captures* the references that its function touches: the value at
the beginning becomes a constant of the jaxpr, for which the reference itself stands, and the last
value of those that were written becomes a further result. Whoever asked for the jaxpr reads the
former when it applies it, and writes the latter back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from covector import _native
from covector.core.avals import Array, ShapedArray, aval_of, to_array
from covector.core.errors import UnexpectedTracerError, at_user_line, user_frame

_current_trace: Callable[[], Any] = _native.current_trace


class AbstractRef:
    """The type of a reference.

    Parameters
    ----------
    inner_aval : ShapedArray
        The type of its value.
    memory_space, kind : optional
        Kept as they are.

    Examples
    --------
    >>> import covector as cv
    >>> cv.new_ref(cv.numpy.zeros(3)).aval
    Ref{float32[3]}
    """

    __slots__ = ("inner_aval", "memory_space", "kind")

    def __init__(self, inner_aval: Any, memory_space: Any = None, kind: Any = None) -> None:
        self.inner_aval = inner_aval
        self.memory_space = memory_space
        self.kind = kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner_aval.shape

    @property
    def dtype(self) -> Any:
        return self.inner_aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.inner_aval.shape)

    @property
    def size(self) -> int:
        return self.inner_aval.size

    @property
    def weak_type(self) -> bool:
        # Operations ask operands for it: this is where a reference among them is noticed.
        raise not_a_value(self)

    def to_tangent_aval(self) -> Any:
        raise not_a_value(self)

    def str_short(self, short_dtypes: bool = False) -> str:
        return f"Ref{{{self.inner_aval.str_short(short_dtypes)}}}"

    def _key(self) -> tuple[Any, ...]:
        return self.inner_aval, self.memory_space, self.kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractRef) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self.str_short()


def not_a_value(aval: AbstractRef) -> TypeError:
    """The error for a reference where an array is wanted."""
    return TypeError(
        f"a reference of type {aval.str_short()} was given where an array is expected: read its "
        f"value with ref[...], or a part of it with ref[index]{at_user_line()}"
    )


class Reference:
    """What traces know of a reference; its indexing is added by `covector.ref.Ref`.

    Attributes
    ----------
    aval : AbstractRef
    """

    __slots__ = ("aval", "_value", "_home", "_made", "_ended", "_stands_for", "__weakref__")

    def __init__(self, aval: AbstractRef, refs: Any) -> None:
        self.aval = aval
        self._value = refs
        self._home = _current_trace()
        self._made = user_frame()
        self._ended = ""
        self._stands_for = False

    def describe(self) -> str:
        return f"the reference of type {self.aval.str_short()} made at {self._made}"

    def local(self, value: Any, aval: ShapedArray) -> Any:
        """A reference of the current trace that stands for this one, or for parts of it."""
        new = type(self)(AbstractRef(aval, self.aval.memory_space, self.aval.kind), value)
        new._made = self._made
        new._stands_for = True
        return new


class Captured:
    """A reference in a jaxpr that is being traced.

    Attributes
    ----------
    value
        Its value at this point of the jaxpr.
    written : bool
        Whether it was assigned to.
    """

    __slots__ = ("value", "written")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.written = False


def _frame(ref: Reference) -> Any:
    """The innermost trace that captures ``ref``, None at home.

    Raises
    ------
    ValueError
        If the reference was frozen or freed.
    NotImplementedError
        If its home is a transformation within which the current trace has no part.
    UnexpectedTracerError
        If its home is not around.
    """
    if ref._ended:
        raise ValueError(f"{ref.describe()} cannot be used: it {ref._ended}{at_user_line()}")
    found = None
    trace, home = _current_trace(), ref._home
    while trace is not home:
        if trace is None and home.alive:
            # A rule of the user's runs where the transformation was called from.
            raise NotImplementedError(
                f"{ref.describe()}, whose value is being transformed by {home.describe()}, was "
                "used in a function with a custom rule: pass its value, ref[...], as an argument"
                f"{at_user_line()}"
            )
        if trace is None:
            raise UnexpectedTracerError(
                f"{ref.describe()} was used outside of the function in which it was made, by "
                f"{home.describe()}: return its value, ref[...], instead{at_user_line()}"
            )
        if found is None and trace.captures:
            found = trace
        trace = trace.parent
    return found


def read(ref: Reference) -> Any:
    """The value of ``ref`` for the current trace."""
    frame = _frame(ref)
    return ref._value if frame is None else frame.captured(ref).value


def write(ref: Reference, x: Any) -> None:
    """Have ``x``, of the type of its value, be the value of ``ref``."""
    frame = _frame(ref)
    holder = ref._home if frame is None else frame
    of = getattr(x, "_trace", None)
    if of is not None and of is not holder:
        _check_level(ref, of, holder)
    if frame is None:
        ref._value = x if of is not None else alias(to_array(x, ref.aval.inner_aval))
        return
    captured = frame.captured(ref)
    captured.value = x
    captured.written = True


def alias(x: Array) -> Array:
    """An array of the same memory, which can be given away while ``x`` stays with its owner.

    As long as there are both, the memory is copied where it is written.
    """
    weak = x.weak_type
    # A change of the weak type gives a new array, so that two give one of the same type.
    return x._with_weak(not weak)._with_weak(weak)  # type: ignore[no-any-return]


def _check_level(ref: Reference, of: Any, holder: Any) -> None:
    """Raise the error for a value of the trace ``of`` that ``holder`` does not know."""
    while holder is not None:
        if holder is of:
            return
        holder = holder.parent
    raise ValueError(
        f"a value of {of.describe()} was written to {ref.describe()}, outside of that "
        "transformation, which has no place for it. Pass the reference as an argument of the "
        "transformed function (to vmap, with an axis to be mapped), make it inside, or write "
        f"what does not depend on the transformation (lax.stop_gradient(x)){at_user_line()}"
    )


def end(ref: Reference, how: str) -> Any:
    """The last value of ``ref``, which cannot be used any more."""
    if _frame(ref) is not None or ref._stands_for:
        raise ValueError(
            f"{ref.describe()} cannot be {how} inside of a function that is traced, because it was "
            f"made outside of it: do that where it was made{at_user_line()}"
        )
    value = ref._value
    ref._value = None
    ref._ended = f"was {how} at {user_frame()}"
    return value


def values_of(consts: Iterable[Any]) -> list[Any]:
    """Constants of a jaxpr, with the values of captured references."""
    return [read(c) if isinstance(c, Reference) else c for c in consts]


def write_back(written: Sequence[Reference], outs: list[Any]) -> list[Any]:
    """Take the values of the ``written`` references off the end of results."""
    if not written:
        return outs
    n = len(outs) - len(written)
    for ref, x in zip(written, outs[n:], strict=True):
        write(ref, x)
    return outs[:n]


def has_refs(xs: Iterable[Any]) -> bool:
    return any([isinstance(x, Reference) for x in xs])


def check_distinct(
    refs: Sequence[Reference], names: Callable[[], Sequence[str]], what: str
) -> None:
    """Raise the ValueError for a reference given twice; ``names`` belong to ``refs``."""
    for i, ref in enumerate(refs):
        for k in range(i):
            if refs[k] is ref:
                given = names()
                raise ValueError(
                    f"{what} was given {ref.describe()} twice, as {given[k]} and as {given[i]}: "
                    f"what is written to one of them could not be seen in the other{at_user_line()}"
                )


def refuse_not_read(refs: Iterable[Reference], where: str) -> None:
    """Raise the error for references captured where nobody reads and writes them back."""
    for ref in refs:
        raise NotImplementedError(
            f"{ref.describe()} was used in {where}, which must be a pure function: read "
            f"its value before, and pass that{at_user_line()}"
        )


def type_of_value(x: Any) -> ShapedArray:
    """The type of an array, or of the value of a reference."""
    return x.aval.inner_aval if isinstance(x, Reference) else aval_of(x)
