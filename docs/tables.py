"""Write the tables of pages that show what the code has.

``python docs/tables.py`` writes those of ``docs/options.md`` (all options, from
`covector.core.options`) and of ``docs/scipy.md`` (the functions of `covector.scipy`, from its
modules). ``--check`` fails if they are not what the code gives.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

for _name in [name for name in os.environ if name.startswith("COVECTOR_")]:
    del os.environ[_name]  # defaults are shown

import covector  # noqa: E402
from covector import scipy  # noqa: E402
from covector.core.options import OPTIONS, WITHOUT_EFFECT, Option  # noqa: E402

DOCS = Path(__file__).resolve().parent


def code(x: object) -> str:
    return f"`{x}`" if x != "" else '`""`'


def with_table(page: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A page whose table of this head has these rows."""
    first = f"| {' | '.join(head)} |\n"
    before, found, after = page.partition(first)
    if not found:
        raise ValueError(f"there is no table of the head {first}")
    line, rest = after.split("\n", 1)
    rest = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    lines = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    return before + first + line + "\n" + "\n".join(f"| {text} |" for text in lines) + rest


def has_manager(name: str) -> bool:
    """Whether a context manager sets the option for a block."""
    return callable(getattr(covector, name, None))


def row(name: str, option: Option) -> list[str]:
    values = ", ".join(map(code, option.choices)) if option.choices else ""
    about = option.summary
    if values and len(option.choices) > 2:
        about = f"{about}; one of {values}"
    manager = code(f"cv.{name}") if has_manager(name) else ""
    return [code(name), code(option.default), about, manager]


def options_page(page: str) -> str:
    shown = [row(n, o) for n, o in OPTIONS.items() if n not in WITHOUT_EFFECT]
    return with_table(page, ("option", "default", "what it does", "context manager"), shown)


def names(module: str) -> list[str]:
    """The functions and classes of a module for people; modules below it are left out."""
    found = importlib.import_module(module)
    public = found.__all__ if hasattr(found, "__all__") else dir(found)
    own = [n for n in public if n[0] != "_" and not _is_module(f"{module}.{n}")]
    return [n for n in own if callable(getattr(found, n))]


def _is_module(name: str) -> bool:
    package, _, last = name.rpartition(".")
    path = getattr(importlib.import_module(package), "__path__", None)
    return path is not None and any(m.name == last for m in pkgutil.iter_modules(path))


def modules(package: str) -> Iterator[str]:
    """The modules for people below a package, and below these."""
    found = importlib.import_module(package)
    for m in pkgutil.iter_modules(found.__path__):
        if not m.name.startswith("_"):
            yield f"{package}.{m.name}"
            if m.ispkg:
                yield from modules(f"{package}.{m.name}")


def scipy_page(page: str) -> str:
    every = [(m.removeprefix(f"{scipy.__name__}."), names(m)) for m in modules(scipy.__name__)]
    for head, below in (("module", False), ("distribution", True)):
        rows = [
            (code(m.removeprefix("stats.")), ", ".join(map(code, found)))
            for m, found in every if found and m.startswith("stats.") is below
        ]  # fmt: skip
        page = with_table(page, (head, "functions"), rows)
    return page


PAGES: dict[str, Callable[[str], str]] = {"options.md": options_page, "scipy.md": scipy_page}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    check = parser.parse_args().check
    status = 0
    for name, page in PAGES.items():
        path = DOCS / name
        old = path.read_text()
        new = page(old)
        if not check:
            path.write_text(new)
        elif new != old:
            print(f"docs/{name} is not what the code gives: run python docs/tables.py")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
