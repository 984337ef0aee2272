"""What types say of values inside of `shard_map`: `ManualAxisType`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from covector.core.errors import at_user_line

Axes = frozenset[Hashable]


class ManualAxisType:
    """Over which axes of a mesh a value varies, is a sum not yet taken, or its cotangent is one.

    Parameters
    ----------
    varying : set of hashable
        Axes over which devices may have different values.
    unreduced : set of hashable
        Axes over which the value is the sum of what the devices have.
    reduced : set of hashable
        Axes over which its cotangent is such a sum.

    Raises
    ------
    ValueError
        If an axis is in two of them.

    Examples
    --------
    >>> from covector.sharding import ManualAxisType
    >>> ManualAxisType(varying={"x"}).varying
    frozenset({'x'})
    """

    __slots__ = ("varying", "unreduced", "reduced")
    varying: Axes
    unreduced: Axes
    reduced: Axes

    def __init__(
        self,
        *,
        varying: Iterable[Hashable] = frozenset(),
        unreduced: Iterable[Hashable] = frozenset(),
        reduced: Iterable[Hashable] = frozenset(),
    ) -> None:
        self.varying = frozenset(varying)
        self.unreduced = frozenset(unreduced)
        self.reduced = frozenset(reduced)
        if len(self.vur) != len(self.varying) + len(self.unreduced) + len(self.reduced):
            raise ValueError(
                f"ManualAxisType: an axis is in more than one of varying, unreduced and reduced: "
                f"{self!r}{at_user_line()}"
            )

    @property
    def vur(self) -> Axes:
        """All axes that are named."""
        return self.varying | self.unreduced | self.reduced

    @property
    def empty(self) -> bool:
        """Whether no axis is named."""
        return not self.vur

    def invarying(self, mesh: Any) -> Axes:
        """The manual axes of a mesh over which the value is the same on all devices.

        Parameters
        ----------
        mesh : Mesh or AbstractMesh

        Returns
        -------
        frozenset of hashable

        Examples
        --------
        >>> from covector.sharding import AbstractMesh, AxisType, ManualAxisType
        >>> mesh = AbstractMesh((2, 2), ("x", "y"), AxisType.Manual)
        >>> ManualAxisType(varying={"x"}).invarying(mesh)
        frozenset({'y'})
        """
        return frozenset(mesh.manual_axes) - self.vur

    def to_ct_mat(self) -> ManualAxisType:
        """That of the cotangent: sums not yet taken, and the other way round.

        Returns
        -------
        ManualAxisType

        Examples
        --------
        >>> from covector.sharding import ManualAxisType
        >>> ManualAxisType(unreduced={"x"}).to_ct_mat().reduced
        frozenset({'x'})
        """
        return ManualAxisType(varying=self.varying, unreduced=self.reduced, reduced=self.unreduced)

    def update(self, **kwargs: Any) -> ManualAxisType:
        """The same with something else in place of a part.

        Parameters
        ----------
        varying, unreduced, reduced : set of hashable, optional

        Returns
        -------
        ManualAxisType

        Examples
        --------
        >>> from covector.sharding import ManualAxisType
        >>> ManualAxisType(varying={"x"}).update(varying={"y"}).varying
        frozenset({'y'})
        """
        given = {name: kwargs.pop(name, getattr(self, name)) for name in self.__slots__}
        if kwargs:
            raise TypeError(
                f"ManualAxisType.update has no argument {min(kwargs)!r}; it takes varying, "
                f"unreduced and reduced{at_user_line()}"
            )
        return ManualAxisType(**given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManualAxisType) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    def __hash__(self) -> int:
        return hash((self.varying, self.unreduced, self.reduced))

    def __repr__(self) -> str:
        items = ", ".join(
            f"{name}={{{', '.join(sorted(map(repr, getattr(self, name))))}}}"
            for name in self.__slots__
            if getattr(self, name)
        )
        return f"ManualAxisType({items})"
