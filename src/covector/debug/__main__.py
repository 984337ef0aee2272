"""``python -m covector.debug FILE.py:FUNCTION TYPE...``: what the compiler makes of a function."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from covector import _command
from covector.core import dtypes
from covector.core.config import config
from covector.core.errors import PACKAGE_DIR, describe
from covector.debug.colour import coloured
from covector.debug.stages import STAGES, known_stages, stages, title
from covector.transforms.jit import jit
from covector.transforms.shapes import ShapeDtypeStruct

_TYPE = re.compile(r"([a-z]+\d*)\[((?:\d+(?:, ?\d+)*)?)\]", re.ASCII)
_LONG = {"f": "float", "i": "int", "u": "uint", "c": "complex", "bf": "bfloat"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the stages; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        fun = load(options.function)
        types = [parse_type(t) for t in options.types]
        if not callable(fun):
            raise _Mistake(f"{options.function} is no function: {describe(fun)}")
        lowered = (fun if hasattr(fun, "lower") else jit(fun)).lower(*types)
        wanted = options.stage or known_stages(lowered)
        texts = [(name, text) for name, text in stages(lowered) if name in wanted]
    except _Mistake as e:
        print(e, file=sys.stderr)
        return 2
    except (Exception, SystemExit) as e:  # noqa: BLE001 - whatever the function does is shown
        print(_report(e), file=sys.stderr, end="")
        return 1
    colours = options.colour == "always"
    if options.colour == "auto":
        colours = sys.stdout.isatty() and config.pprint_use_color
    for k, (name, text) in enumerate(texts):
        whole = text if len(wanted) == 1 else f"{title(name)}\n{text}"
        print("\n" * bool(k) + (coloured(whole, name) if colours else whole))
    return 0


class _Mistake(ValueError):
    """The command was given something wrong."""


def _report(e: BaseException) -> str:
    """The exception with the frames of the user's code alone."""
    shown = traceback.TracebackException.from_exception(e)
    ours = (PACKAGE_DIR, "<frozen ")
    shown.stack = traceback.StackSummary.from_list(
        [frame for frame in shown.stack if not frame.filename.startswith(ours)]
    )
    lines = "".join(shown.format()).splitlines(keepends=True)
    return "".join(line for line in lines if "The error arose at <frozen" not in line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covector.debug",
        description="Print what the compiler makes of a function, stage by stage.",
    )
    parser.add_argument("function", help="FILE.py:FUNCTION or MODULE:FUNCTION")
    parser.add_argument(
        "types", nargs="*", metavar="TYPE", help="types of the arguments, such as 'f32[128,10]'"
    )
    parser.add_argument(
        "--stage", action="append", choices=STAGES, help="only this stage; may be repeated"
    )
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto")
    return parser


def parse_type(text: str) -> ShapeDtypeStruct:
    """A type written as jaxprs write it: ``f32[128,10]``, ``i32[]``, ``bool[3]``, ``key[]``."""
    found = _TYPE.fullmatch(text.strip())
    if found is None:
        raise _Mistake(f"{text!r} is not a type: expected one such as 'f32[128,10]' or 'i32[]'")
    name, dims = found.groups()
    short = re.fullmatch(r"([a-z]+)(\d+)", name)
    if short and short[1] in _LONG:
        name = _LONG[short[1]] + short[2]
    try:
        dtype = dtypes.key_dtype if name == "key" else dtypes.as_dtype(name)
    except TypeError as e:
        raise _Mistake(f"{text!r}: there is no dtype {found[1]}") from e
    if dtype not in dtypes.code_of:
        raise _Mistake(f"{text!r}: arrays of dtype {found[1]} are not supported")
    if dtypes.canonicalize_dtype(dtype) != dtype:
        raise _Mistake(f"{text!r}: 64-bit types need COVECTOR_ENABLE_X64=1")
    return ShapeDtypeStruct(tuple(int(d) for d in dims.split(",") if d), dtype)


def load(name: str) -> Callable[..., Any]:
    """The function that ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` names."""
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise _Mistake(f"{name!r} names no function: expected FILE.py:FUNCTION")
    if place.endswith(".py"):
        if not os.path.exists(place):
            raise _Mistake(f"there is no file {place}")
        sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
        spec = importlib.util.spec_from_file_location("covector_debugged", place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # As an import would: classes look themselves up there.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        if not all(part.isidentifier() for part in place.split(".")):
            raise _Mistake(f"{place!r} is neither a file FILE.py nor a module")
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as e:
            if e.name is None or not (place + ".").startswith(e.name + "."):
                raise  # one that the module itself asks for
            raise _Mistake(f"there is no module {e.name}") from e
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _Mistake(f"{place} has no {attribute}")
        found = getattr(found, part)
    return found


if __name__ == "__main__":
    sys.exit(_command.run(main))
