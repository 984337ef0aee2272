"""The pages of the documentation: their tables, the files they name, what the code writes."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
# What those who read a page are to write.
MADE_BY_USERS = {"compiler/passes/powers.py", "primitives/NAME.py", "primitives/cyclic.py"}
FOLDERS = ("tests", "docs", "examples", "native", "benchmarks", "src", "cmake")


def _text(page):
    """The lines of a page outside of its programs."""
    fenced, out = False, []
    for line in page.read_text().splitlines():
        fenced ^= line.lstrip().startswith("```")
        out.append("" if fenced or line.lstrip().startswith("```") else line)
    return out


def _tables(page):
    """Each table with the line before it, the one behind it, and the number of its first line."""
    lines = ["", *_text(page), ""]
    start = None
    for k, line in enumerate(lines):
        if line.startswith("|"):
            start = k if start is None else start
        elif start is not None:
            yield start, lines[start - 1], lines[start:k], line
            start = None


def _columns(row):
    return len(re.findall(r"(?<!\\)\|", row)) - 1


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tables(page):
    for start, before, rows, behind in _tables(page):
        where = f"{page.name}:{start}: {rows[0]}"
        assert not before.strip(), f"{where}: a blank line is wanted before a table"
        assert not behind.strip(), f"{where}: a blank line is wanted behind a table"
        assert len(rows) > 2, f"{where}: a table has a head, a line and rows"
        assert re.fullmatch(r"\|(:?-+:?\|)+", rows[1].replace(" ", "")), f"{where}: it has no head"
        for row in rows:
            assert _columns(row) == _columns(rows[0]), f"{where}: columns of {row}"
            assert not re.fullmatch(r"\|(:?-+:?\|)+", row) or row is rows[1], f"{where}: two heads"


@functools.cache
def _files():
    found = [f for folder in FOLDERS for f in (ROOT / folder).rglob("*") if f.is_file()]
    return "\n".join(f"/{f.relative_to(ROOT)}" for f in [*found, *ROOT.glob("*")])


def _is_there(name):
    """Whether a name is the end of the path of a file."""
    return re.search(rf"/{re.escape(name)}$", _files(), re.MULTILINE) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(page):
    text = "\n".join(_text(page))
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    for name in re.findall(r"`([\w./-]+\.(?:py|md|h|cpp|cc|c|ipynb|sh))`", text):
        if name not in MADE_BY_USERS and not _is_there(name):
            missing.append(name)
    for name in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", text):
        if not (ROOT / name).exists():
            missing.append(name)
    assert not missing, f"{page.name} names {', '.join(missing)}"


def test_tables_that_are_written_from_the_code():
    command = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
