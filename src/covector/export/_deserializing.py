"""Exported functions from the bytes of files."""

from __future__ import annotations

from typing import Any

from covector.core.dim_scope import SymbolicScope
from covector.core.errors import at_user_line
from covector.export._encoding import Decoder
from covector.export._exported import (
    Exported,
    maximum_supported_calling_convention_version,
    minimum_supported_calling_convention_version,
)
from covector.export._file import FRAME, Refused
from covector.export._safety import DisabledSafetyCheck
from covector.export._shardings import Spread
from covector.export._trees import tree_of


def deserialize(blob: bytes | bytearray) -> Exported:
    """The exported function of a file.

    Nothing in a file is run before the function is called, and then its program alone; what a
    file says of its types and sizes is checked.

    Parameters
    ----------
    blob : bytes or bytearray
        As `Exported.serialize` returned it.

    Returns
    -------
    Exported

    Raises
    ------
    ValueError
        If the bytes are no such file, are damaged or cut off, or of a later release.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import export
    >>> data = export.export(cv.jit(lambda x: x**2))(1.0).serialize(vjp_order=1)
    >>> square = export.deserialize(data)
    >>> square.call(3.0), cv.grad(square.call)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    head, data = FRAME.unpacked(blob)
    try:
        scope = SymbolicScope(head["constraints"])
        decoder = Decoder(head["programs"], head["constants"], data, scope)
        made: Exported | None = None
        for code in reversed(head["functions"]):
            made = _function(code, decoder, made)
    except Refused as e:
        raise ValueError(f"deserialize: {e}{at_user_line()}") from e
    except (LookupError, AttributeError, TypeError, ValueError, AssertionError) as e:
        raise ValueError(
            "deserialize: the content of the file of an exported function is not what this "
            f"release of Covector writes: {e}{at_user_line()}"
        ) from e
    if made is None:
        raise ValueError(f"deserialize: the file holds no function{at_user_line()}")
    return made


def _spread(code: dict[str, Any], decoder: Decoder) -> Spread:
    """How the function lies; earlier releases wrote nothing of it."""
    program = decoder.programs[code["program"][0]]
    none = [[None] * len(program.invars), [None] * len(program.outvars)]
    ins, outs = ([decoder.value(s) for s in each] for each in code.get("lie", none))
    return Spread(code.get("devices", 1), tuple(ins), tuple(outs))


def _function(code: dict[str, Any], decoder: Decoder, backward: Exported | None) -> Exported:
    version = code["version"]
    least = minimum_supported_calling_convention_version
    most = maximum_supported_calling_convention_version
    if not least <= version <= most:
        raise Refused(
            f"the exported function {code['name']} has the calling convention {version}, and this "
            f"release of Covector has those from {least} to {most}"
        )
    return Exported(
        code["name"],
        tree_of(code["in"], decoder.value),
        tree_of(code["out"], decoder.value),
        decoder.closed(code["program"]),
        code["platforms"],
        [DisabledSafetyCheck(d) for d in code["disabled"]],
        code["texts"],
        _spread(code, decoder),
        version,
        backward,
    )
