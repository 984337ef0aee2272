"""The notebook of the lecture, and how its cells run without a notebook."""

from __future__ import annotations

import ast
import json
import pathlib
import re
from dataclasses import dataclass
from typing import Any

_TIMEIT = re.compile(r"%timeit((?:\s+-[nr]\s*\d+)*)\s+(.*)")


@dataclass(frozen=True)
class Cell:
    """A cell: text, or code, which may be there for the error that it raises."""

    source: str
    is_code: bool
    raises: bool

    def run(self, names: dict[str, Any]) -> Any:
        """Run the code in a namespace; the value of its last line, unless that ends in ``;``."""
        tree = ast.parse(_python(self.source))
        tree.body = [s for s in tree.body if not _is_of_matplotlib(s)]
        last = tree.body[-1] if tree.body else None
        shown = isinstance(last, ast.Expr) and not self.source.rstrip().endswith(";")
        value = tree.body.pop() if shown else None
        exec(compile(tree, "<lecture>", "exec"), names)
        if not isinstance(value, ast.Expr):
            return None
        return eval(compile(ast.Expression(value.value), "<lecture>", "eval"), names)


@dataclass(frozen=True)
class Notebook:
    """The cells in their order."""

    cells: tuple[Cell, ...]


def path() -> pathlib.Path:
    """Where the notebook is: beside this file where it is installed, or in the source tree."""
    here = pathlib.Path(__file__).parent / "lecture.ipynb"
    return here if here.exists() else here.parents[3] / "examples" / "lecture.ipynb"


def read() -> Notebook:
    """The lecture."""
    cells = json.loads(path().read_text(encoding="utf-8"))["cells"]
    return Notebook(tuple(
        Cell(
            "".join(c["source"]), c["cell_type"] == "code",
            "raises-exception" in c["metadata"].get("tags", ()),
        )
        for c in cells
    ))  # fmt: skip


def _python(source: str) -> str:
    """A cell without the commands of notebooks: ``%timeit`` is a call of ``timeit``."""
    lines = []
    for line in source.splitlines():
        found = _TIMEIT.fullmatch(line.strip())
        if found:
            given = {k: int(v) for k, v in re.findall(r"-([nr])\s*(\d+)", found[1])}
            line = f"timeit({found[2]!r}, {given.get('n', 0)}, {given.get('r', 5)})"
        elif line.startswith("%"):
            line = ""
        lines.append(line)
    return "\n".join(lines)


def _is_of_matplotlib(statement: ast.stmt) -> bool:
    """Whether a statement imports the plotting library, in place of which `Plots` draws."""
    return isinstance(statement, ast.Import) and statement.names[0].name.startswith("matplotlib")
