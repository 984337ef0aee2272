"""Exported functions as the bytes of files."""

from __future__ import annotations

from typing import Any

import covector
from covector.core.jaxpr import nesting
from covector.core.levels import room_for
from covector.export._encoding import Encoder
from covector.export._file import FRAME
from covector.export._refining import scope_of
from covector.export._trees import tree_code


def serialized(exported: Any, vjp_order: int) -> bytearray:
    """The bytes of an exported function, with so many backward passes."""
    encoder = Encoder(vjp_order)
    functions = []
    for order in range(vjp_order, -1, -1):
        encoder.depth = order
        functions.append(_function_code(exported, encoder))
        if order:
            exported = exported.vjp()
    scope = scope_of(exported.in_avals)
    head = {
        "covector": covector.__version__,
        # The first, its backward pass, that of the backward pass, …
        "functions": functions,
        "programs": encoder.programs,
        "constants": encoder.constants,
        "constraints": [] if scope is None else scope.texts,
    }
    return FRAME.packed(head, b"".join(encoder.blob))


def _function_code(exported: Any, encoder: Encoder) -> dict[str, Any]:
    with room_for(nesting(exported._closed.jaxpr)):
        program = encoder.closed(exported._closed)
    return {
        "name": exported.fun_name,
        "in": tree_code(exported.in_tree, encoder.value),
        "out": tree_code(exported.out_tree, encoder.value),
        "platforms": list(exported.platforms),
        "disabled": [str(d) for d in exported.disabled_safety_checks],
        "version": exported.calling_convention_version,
        "texts": exported._texts,
        "program": program,
        "devices": exported.nr_devices,
        "lie": [[encoder.value(s) for s in each] for each in exported._spread[1:]],
    }
