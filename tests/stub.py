"""What type checkers know of `Array`: its operators and methods are attached when it is imported.

``python -m tests.stub`` writes `covector/core/array_type.pyi` anew from what is attached.
"""

from __future__ import annotations

import importlib
import inspect
import pathlib
from typing import Any

from covector.core import array_type
from covector.core.errors import unwrapped
from covector.numpy import array_methods as methods

PATH = pathlib.Path(array_type.__file__).with_suffix(".pyi")

_HEAD = '''"""The public type `Array`, for type checkers. Written by `python -m tests.stub`."""

from collections.abc import Iterator
from typing import Any

from covector.numpy.at import IndexHelper

class Array:
'''
# Of the native core, and what is no function of covector.numpy.
_PROPERTIES = {
    "shape": "tuple[int, ...]", "ndim": "int", "size": "int", "nbytes": "int", "itemsize": "int",
    "dtype": "Any", "weak_type": "bool", "aval": "Any", "sharding": "Any", "committed": "bool",
    "device": "Any", "format": "Any", "is_fully_addressable": "bool", "is_fully_replicated": "bool",
    "addressable_shards": "list[Any]", "global_shards": "list[Any]",
    "T": "Array", "mT": "Array", "real": "Array", "imag": "Array", "at": "IndexHelper",
}  # fmt: skip
_METHODS = {
    "item": "*index: int) -> Any", "tolist": ") -> Any", "tobytes": "order: str = 'C') -> bytes",
    "is_deleted": ") -> bool", "delete": ") -> None", "block_until_ready": ") -> Array",
    "unsafe_buffer_pointer": ") -> int", "devices": ") -> set[Any]", "is_ready": ") -> bool",
    "copy_to_host_async": ") -> None", "platform": ") -> str",
    "on_device_size_in_bytes": ") -> int", "addressable_data": "index: int) -> Array",
    "compress": "condition: Any, axis: Any = None, out: Any = None, *, size: Any = None, "
                "fill_value: Any = 0) -> Array",
    "nonzero": "*, size: Any = None, fill_value: Any = None) -> tuple[Array, ...]",
}  # fmt: skip
_SPECIAL = {
    "len": ") -> int", "iter": ") -> Iterator[Array]", "contains": "x: Any, /) -> bool",
    "getitem": "index: Any, /) -> Array", "bool": ") -> bool", "int": ") -> int",
    "float": ") -> float", "complex": ") -> complex", "index": ") -> int",
    "round": "ndigits: int | None = None, /) -> Array", "format": "spec: str, /) -> str",
    "hash": ") -> int", "neg": ") -> Array", "pos": ") -> Array", "abs": ") -> Array",
    "invert": ") -> Array", "copy": ") -> Array", "deepcopy": "memo: Any, /) -> Array",
    "array": "dtype: Any = None, copy: bool | None = None) -> Any",
    "dlpack": "*, stream: Any = None, max_version: Any = None, dl_device: Any = None, "
              "copy: bool | None = None) -> Any",
    "dlpack_device": ") -> tuple[int, int]",
    "array_namespace": "/, *, api_version: str | None = None) -> Any",
}  # fmt: skip


def _signature(function: Any) -> str:
    parameters = list(inspect.signature(unwrapped(function)).parameters.values())[1:]
    parts = []
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            parts.append(f"*{p.name}: Any")
            continue
        if p.kind is p.KEYWORD_ONLY and not any(x.startswith("*") for x in parts):
            parts.append("*")
        if p.kind is p.VAR_KEYWORD:
            parts.append(f"**{p.name}: Any")
        else:
            parts.append(f"{p.name}: Any" + ("" if p.default is p.empty else " = ..."))
    return ", ".join(parts) + ") -> Array"


def _functions() -> dict[str, str]:
    out = {name: _signature(f) for name, f in methods._METHODS.items()}
    for name, module in methods._RARE_METHODS.items():
        function = getattr(importlib.import_module(f"covector.numpy.{module}"), name)
        out.setdefault(name, _signature(function))
    return {**out, **_METHODS}


def _method(name: str, rest: str) -> str:
    comma = "" if rest.startswith(")") else ", "
    return f"    def {name}(self{comma}{rest}: ..."


def text() -> str:
    """The stub."""
    lines = []
    for name, kind in _PROPERTIES.items():
        lines += ["    @property", f"    def {name}(self) -> {kind}: ..."]
    lines += [_method(name, rest) for name, rest in sorted(_functions().items())]
    lines += [_method(f"__{name}__", rest) for name, rest in _SPECIAL.items()]
    for name in [*methods._BINARY, "matmul", "divmod", "pow"]:
        result = "tuple[Array, Array]" if name == "divmod" else "Array"
        for side in ("", "r"):
            lines.append(_method(f"__{side}{name}__", f"other: Any, /) -> {result}"))
    for name in methods._COMPARISONS:
        ignore = "  # type: ignore[override]" if name in ("eq", "ne") else ""
        lines.append(_method(f"__{name}__", "other: Any, /) -> Array") + ignore)
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
