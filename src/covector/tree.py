"""Pytrees: the short interface (`covector.tree`)."""

from typing import Any

from covector.core.errors import export as _export
from covector.core.tree import (
    flatten,
    leaves,
    map,  # noqa: A004 - the public name
    structure,
    unflatten,
)
from covector.core.tree_paths import flatten_with_path
from covector.tree_util import (
    tree_all as all,  # noqa: A004 - the public name
)
from covector.tree_util import (
    tree_broadcast as broadcast,
)
from covector.tree_util import (
    tree_leaves_with_path as leaves_with_path,
)
from covector.tree_util import (
    tree_map_with_path as map_with_path,
)
from covector.tree_util import (
    tree_reduce as reduce,
)
from covector.tree_util import (
    tree_reduce_associative as reduce_associative,
)
from covector.tree_util import (
    tree_transpose as transpose,
)


def static(**kwargs: Any) -> Any:
    """A dataclass field that belongs to the structure rather than to the children.

    Parameters
    ----------
    **kwargs
        As for `dataclasses.field`.

    Returns
    -------
    dataclasses.Field
        With ``{"static": True}`` in its metadata, for `covector.tree_util.register_dataclass`.

    Examples
    --------
    >>> import dataclasses
    >>> import covector as cv
    >>> @cv.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Layer:
    ...     weight: float
    ...     activation: str = cv.tree.static(default="relu")
    >>> cv.tree.flatten(Layer(0.5))[0]
    [0.5]
    >>> cv.tree.structure(Layer(0.5)) == cv.tree.structure(Layer(0.5, "tanh"))
    False
    """
    import dataclasses

    metadata = {**kwargs.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]

_export(globals(), __all__)
