"""The mesh that programs are traced for: `set_mesh`, `use_abstract_mesh`."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from covector.core.backend import get_backend
from covector.core.config import UNSET, Config, add_context, config, in_place
from covector.core.errors import at_user_line, boundaries
from covector.core.trace import current_trace, eval_trace
from covector.sharding.mesh import EMPTY, ENTERED, AbstractMesh, Mesh

# Part of the context key: what is traced under one mesh is not used under another.
_NAME = add_context(place=True)


def _current(name: str = _NAME) -> Any:
    found = getattr(config, name)
    return None if found is UNSET else found


def get_mesh() -> Mesh:
    """The mesh that `set_mesh` has set.

    Returns
    -------
    Mesh
        One without axes, if none is set.

    Raises
    ------
    ValueError
        While a function is transformed: then only the abstract mesh is known.

    Examples
    --------
    >>> import covector as cv
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> with cv.set_mesh(mesh):
    ...     cv.sharding.get_mesh() == mesh
    True
    """
    if current_trace() is not eval_trace:
        raise ValueError(
            "get_mesh: devices are not known while a function is transformed; "
            f"covector.sharding.get_abstract_mesh gives the axes{at_user_line()}"
        )
    found = concrete_mesh()
    return Mesh(_no_devices(), ()) if found is None else found


def _no_devices() -> Any:
    return np.array(get_backend(None).devices()[0], dtype=object)


def concrete_mesh(entered: bool = True) -> Mesh | None:
    """The mesh that is set or (``entered``) in whose block the code is, with devices."""
    for name in (_NAME, ENTERED) if entered else (_NAME,):
        found = _current(name)
        if isinstance(found, Mesh):
            return found
    return None


def get_abstract_mesh() -> AbstractMesh:
    """The axes that programs are traced for.

    Returns
    -------
    AbstractMesh
        One without axes, if none are set.

    Examples
    --------
    >>> import covector as cv
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",))):
    ...     cv.jit(lambda: print(cv.sharding.get_abstract_mesh().axis_names))()
    ('x',)
    """
    found = _current()
    return EMPTY if found is None else found.abstract_mesh


def mesh_for_specs() -> Mesh | AbstractMesh | None:
    """The mesh that a `PartitionSpec` alone refers to."""
    found = _current()
    return _current(ENTERED) if found is None else found


@boundaries
class use_abstract_mesh(contextlib.AbstractContextManager[Any]):
    """Context manager: the axes that programs are traced for.

    Parameters
    ----------
    mesh : AbstractMesh

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import AbstractMesh, use_abstract_mesh
    >>> with use_abstract_mesh(AbstractMesh((4,), ("x",))):
    ...     cv.sharding.get_abstract_mesh().shape["x"]
    4
    """

    def __init__(self, mesh: AbstractMesh) -> None:
        if not isinstance(mesh, AbstractMesh):
            raise TypeError(
                f"use_abstract_mesh takes an AbstractMesh, got {mesh!r}; set_mesh takes a Mesh"
                f"{at_user_line()}"
            )
        self._block = in_place({_NAME: mesh})

    def __enter__(self) -> None:
        self._block.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self._block.__exit__(*exc)


@boundaries
class set_mesh(contextlib.AbstractContextManager[Any]):
    """Set the mesh that programs are traced for and arrays lie on.

    As a function it sets the mesh of the process, as a context manager that of the thread for the
    block. A `PartitionSpec` alone refers to it then.

    Parameters
    ----------
    mesh : Mesh or None

    Raises
    ------
    TypeError
        If ``mesh`` is something else.
    ValueError
        While a function is transformed.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",))):
    ...     cv.device_put(cv.numpy.arange(4), P("x")).sharding.spec
    P('x',)
    """

    def __init__(self, mesh: Mesh | None) -> None:
        if mesh is not None and not isinstance(mesh, Mesh):
            raise TypeError(
                f"set_mesh takes a Mesh, such as those of make_mesh, or None, got {mesh!r}"
                f"{at_user_line()}"
            )
        if current_trace() is not eval_trace:
            raise ValueError(
                "set_mesh: the mesh cannot be changed while a function is transformed; set it "
                f"outside of the function{at_user_line()}"
            )
        self._before = vars(Config)[_NAME].value
        self._mesh = UNSET if mesh is None else mesh
        config.set_context(_NAME, self._mesh)

    def __enter__(self) -> Any:
        # As a context manager, it sets the thread's alone.
        config.set_context(_NAME, self._before)
        self._block = in_place({_NAME: self._mesh})
        self._block.__enter__()
        return None if self._mesh is UNSET else self._mesh

    def __exit__(self, *exc: Any) -> None:
        self._block.__exit__(*exc)
