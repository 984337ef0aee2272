"""Draw the pictures of docs/architecture.md from the code.

``python docs/draw.py`` writes ``docs/layers.svg`` (which layer imports which, from the imports
themselves and the order that import-linter holds) and ``docs/way.svg`` (what a first call of a
compiled function goes through, from watching one). ``--check`` fails if the files are not what the
code gives.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

# What a call goes through must not depend on what was compiled before.
os.environ["COVECTOR_ENABLE_COMPILATION_CACHE"] = "0"

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = "covector"
FONT = "font-family='sans-serif' font-size='13'"


# --- the layers ----------------------------------------------------------------------------


def layers() -> list[list[str]]:
    """The layers from the top, each with the packages in it, as pyproject.toml orders them."""
    with open(ROOT / "pyproject.toml", "rb") as f:
        contracts = tomllib.load(f)["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c["name"] == "Layers"]
    return [[p.strip() for p in row.replace(":", "|").split("|")] for row in contract["layers"]]


def summary(module: str) -> str:
    """The first line of a module's docstring."""
    doc = importlib.import_module(module).__doc__ or ""
    return doc.strip().splitlines()[0] if doc.strip() else ""


def imports(rows: list[list[str]]) -> set[tuple[int, int]]:
    """Pairs of layers of which the first imports the second."""
    import grimp

    graph = grimp.build_graph(PACKAGE)
    found = set()
    for a, upper in enumerate(rows):
        for b, lower in enumerate(rows):
            if a != b and any(
                graph.direct_import_exists(importer=m, imported=n, as_packages=True)
                for m in upper
                for n in lower
            ):
                found.add((a, b))
    return found


def draw_layers() -> str:
    """A row for each layer; dots say which layers it imports."""
    rows = layers()
    pairs = imports(rows)
    height, left, right, cell = 46, 20, 660, 34
    width = right + cell * len(rows) + 20
    out = []
    for a, row in enumerate(rows):
        y = 60 + a * height
        names = ", ".join(m.removeprefix(PACKAGE + ".") for m in row)
        about = summary(row[0]) if len(row) == 1 else ""
        out.append(f"<rect x='{left}' y='{y}' width='{right - left - 20}' height='{height - 10}'"
                   " rx='5' fill='#eef3fa' stroke='#4a6fa5'/>")  # fmt: skip
        out.append(text(left + 10, y + 16, f"{a + 1}  {names}", "font-weight='bold'"))
        out.append(text(left + 10, y + 31, about[:98], "fill='#555' font-size='11'"))
        x = right + a * cell
        out.append(text(x + cell / 2, 44, str(a + 1), "text-anchor='middle' font-weight='bold'"))
        for b in range(len(rows)):
            at = right + b * cell + cell / 2
            if a == b:
                out.append(f"<rect x='{at - 4}' y='{y + 14}' width='8' height='8' fill='#ccc'/>")
            elif (a, b) in pairs:
                out.append(f"<circle cx='{at}' cy='{y + 18}' r='5' fill='#4a6fa5'/>")
    out.append(text(left, 24, "Each layer imports only layers below it: the dots"))
    return svg(width, 70 + height * len(rows), out)


# --- the way of a call -----------------------------------------------------------------------


def way() -> list[tuple[str, str]]:
    """The folders that a first call enters, in order, each with the function it enters by."""
    import covector as cv
    import covector.numpy as np

    def scaled(x: Any) -> Any:
        return (np.tanh(x) * 2).sum()

    x = np.ones((100, 100))
    cv.jit(lambda x: scaled(x + 1))(x)  # so that everything is imported
    cv.clear_caches()
    seen: dict[str, str] = {}
    folder = os.path.dirname(cv.__file__)

    def watch(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(folder + os.sep):
            return
        parts = os.path.relpath(code.co_filename, folder).removesuffix(".py").split(os.sep)
        if "/".join(parts).startswith(_DETAILS):
            return
        where = parts[: 1 if parts[0] in _WHOLE else 3 if parts[0] == "backends" else 2]
        seen.setdefault("/".join(where), f"{parts[-1]}.{code.co_qualname}")

    compiled = cv.jit(scaled)
    sys.setprofile(watch)
    try:
        compiled(x)
    finally:
        sys.setprofile(None)
    return list(seen.items())


# Packages that are one step, and places that serve every step.
_WHOLE = frozenset(("core", "primitives", "lax", "numpy"))
_DETAILS = (
    "core/config", "transforms/cache", "transforms/arguments", "compiler/access", "compiler/target",
    "backends/cpu/fortran",
)  # fmt: skip


def draw_way() -> str:
    """The way down from the call to machine code, and the short one of later calls."""
    steps = [
        ("your program", "y = f(x), for the first time with these types"),
        ("native/call", "JitFunction: the signature of the arguments is unknown"),
        *way(),
        ("native/cpu", "CpuExecutable: buffers, then the code's entry point"),
        ("your program", "y, an array on the device"),
    ]
    height, left, width = 38, 150, 720
    out = []
    for k, (where, what) in enumerate(steps):
        y = 50 + k * height
        ours = not where.startswith(("your", "native"))
        fill, edge = ("#eef3fa", "#4a6fa5") if ours else ("#fdf3e3", "#b9812c")
        out.append(f"<rect x='{left}' y='{y}' width='{width - left - 20}' height='{height - 12}'"
                   f" rx='5' fill='{fill}' stroke='{edge}'/>")  # fmt: skip
        out.append(text(left + 10, y + 17, where, "font-weight='bold'"))
        out.append(text(left + 210, y + 17, what[:58], "fill='#333' font-size='12'"))
        if k:
            out.append(arrow(left + 40, y - 12, left + 40, y))
    first, last = 50 + height + 13, 50 + (len(steps) - 2) * height + 13
    out.append(f"<path d='M {left} {first} H 70 V {last} H {left - 3}' fill='none' "
               "stroke='#b9812c' stroke-width='1.5' marker-end='url(#tip)'/>")  # fmt: skip
    out.append(text(8, (first + last) / 2, "later", "fill='#b9812c'"))
    out.append(text(8, (first + last) / 2 + 16, "calls", "fill='#b9812c'"))
    out.append(text(20, 26, "A first call, each folder with the function by which it is entered"))
    return svg(width, 60 + height * len(steps), out)


# --- SVG -------------------------------------------------------------------------------------


def text(x: float, y: float, words: str, style: str = "") -> str:
    return f"<text x='{x:g}' y='{y:g}' {style}>{escape(words)}</text>"


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='#444' "
        "marker-end='url(#tip)'/>"
    )


def svg(width: float, height: float, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' {FONT}>\n"
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        "markerHeight='7' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='#444'/></marker></defs>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n{body}\n</svg>\n"
    )


def pictures() -> Iterator[tuple[Path, str]]:
    yield DOCS / "layers.svg", draw_layers()
    yield DOCS / "way.svg", draw_way()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    check = parser.parse_args().check
    status = 0
    for path, content in pictures():
        if not check:
            path.write_text(content)
        elif not path.exists() or path.read_text() != content:
            print(f"{path.relative_to(ROOT)} is not what the code gives: run python docs/draw.py")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
