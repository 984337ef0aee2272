"""What `vjp` returns, and what becomes of each cotangent that it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from covector.core import tree
from covector.core.avals import aval_of
from covector.core.dtypes import float0
from covector.core.errors import at_user_line, describe
from covector.core.references import Reference, read, write
from covector.core.structural import add_any, convert_element_type
from covector.core.tree_nodes import Partial, register_partial, register_static
from covector.transforms.arguments import api_boundary


@dataclasses.dataclass(frozen=True)
class GradValue:
    """In place of an argument: its cotangent is wanted as a value.

    Examples
    --------
    >>> import covector as cv
    >>> y, pullback = cv.vjp(lambda x, w: x * w, 2.0, 3.0)
    >>> pullback.with_refs(cv.ad.GradValue(), cv.ad.DontWant())(1.0)
    (Array(3., dtype=float32, weak_type=True), DidntWant())
    """


@dataclasses.dataclass(frozen=True)
class DontWant:
    """In place of an argument: its cotangent is not wanted.

    Examples
    --------
    >>> import covector as cv
    >>> y, pullback = cv.vjp(lambda x: 2 * x, 1.0)
    >>> pullback.with_refs(cv.ad.DontWant())(1.0)
    (DidntWant(),)
    """


@register_static
@dataclasses.dataclass(frozen=True)
class GradRef:
    """In place of a cotangent: it was added to the reference.

    Examples
    --------
    >>> import covector as cv
    >>> total = cv.new_ref(1.0)
    >>> y, pullback = cv.vjp(lambda x: 2 * x, 1.0)
    >>> pullback.with_refs(total)(1.0), total[...]
    ((GradRef(),), Array(3., dtype=float32, weak_type=True))
    """


@register_static
@dataclasses.dataclass(frozen=True)
class DidntWant:
    """In place of a cotangent: it was not wanted.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree.leaves(cv.ad.DidntWant())
    []
    """


class Pullback(Partial):
    """A function from cotangents of results to those of arguments, which is a pytree."""

    def with_refs(self, *maybe_ct_refs: Any) -> Callable[..., Any]:
        """The pullback that adds cotangents of arguments to references.

        Parameters
        ----------
        *maybe_ct_refs
            For each array in the arguments, in their structure: a reference, to which its
            cotangent is added, `ad.GradValue` where it is to be a value, or `ad.DontWant`.

        Returns
        -------
        callable
            As the pullback; with `ad.GradRef` where a cotangent was added to a reference, and
            `ad.DidntWant` where none was wanted.

        Examples
        --------
        >>> import covector as cv
        >>> total = cv.new_ref(cv.numpy.zeros(2))
        >>> for x in ([1.0, 2.0], [3.0, 4.0]):
        ...     y, pullback = cv.vjp(lambda x: (x**2).sum(), cv.numpy.array(x))
        ...     done = pullback.with_refs(total)(1.0)
        >>> total
        Ref([ 8., 12.], dtype=float32)
        """
        wanted = _wanted(self.func, maybe_ct_refs)

        @api_boundary
        def pull(cts: Any) -> Any:
            found, in_tree = tree.flatten(self(cts))
            return tree.unflatten(
                in_tree, [_given(w, ct) for w, ct in zip(wanted, found, strict=True)]
            )

        return pull


register_partial(Pullback)


def _wanted(pull: Any, given: tuple[Any, ...]) -> list[Any]:
    wanted, structure = tree.flatten(given)
    if structure != pull.in_tree:
        raise ValueError(
            "with_refs takes a reference, ad.GradValue() or ad.DontWant() for each array in the "
            f"arguments, in their structure {pull.in_tree}, got {structure}{at_user_line()}"
        )
    for w, aval in zip(wanted, pull.in_avals, strict=True):
        if isinstance(w, Reference):
            inner, expected = w.aval.inner_aval, aval.to_tangent_aval()
            if expected.dtype == float0:
                raise ValueError(
                    f"with_refs: an argument of type {aval.str_short()} has no cotangent that "
                    f"could be added to a reference; give ad.DontWant(){at_user_line()}"
                )
            if (inner.shape, inner.dtype) != (expected.shape, expected.dtype):
                raise ValueError(
                    f"with_refs: a cotangent of type {expected.str_short()} cannot be added to a "
                    f"reference of type {inner.str_short()}{at_user_line()}"
                )
        elif type(w) not in (GradValue, DontWant):
            raise TypeError(
                "with_refs takes a reference, ad.GradValue() or ad.DontWant() for each array in "
                f"the arguments, got {describe(w)}{at_user_line()}"
            )
    return wanted


def _given(wanted: Any, ct: Any) -> Any:
    if type(wanted) is GradValue:
        return ct
    if type(wanted) is DontWant:
        return DidntWant()
    inner = wanted.aval.inner_aval
    total = add_any(read(wanted), convert_element_type(ct, inner.dtype, inner.weak_type))
    if aval_of(total).weak_type != inner.weak_type:
        total = convert_element_type(total, inner.dtype, inner.weak_type)
    write(wanted, total)
    return GradRef()
