"""``python -m covector``: what is installed and set; ``python -m covector tour``: the lecture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from covector import _command, _report
from covector.core.config import config


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    parser = _parser()
    asked = parser.parse_args(argv)
    for option in _OF_TOUR if asked.command != "tour" else _OF_INFO:
        if getattr(asked, option) != parser.get_default(option):
            parser.error(
                f"--{option.replace('_', '-')} is an option of "
                + ("tour: python -m covector tour" if option in _OF_TOUR else "info, not of tour")
            )
    if asked.command == "tour":
        from covector import tour

        return tour.run(brief=asked.brief, folder=asked.folder)
    if asked.clear_cache:
        number, size = _report.clear_cache()
        print(f"{number} programs of {_bytes(size)} were dropped from {_report.cache_folder()}")
        return 0
    found = _report.collect()
    if asked.json:
        import json

        print(json.dumps(found, indent=2, default=str))
        return 0
    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() and config.pprint_use_color else ("", "")
    print("\n".join(_lines(found, asked.all, bold)))
    return 0


_OF_TOUR = ("brief", "folder")
_OF_INFO = ("json", "all", "clear_cache")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covector",
        description="Show versions, devices, caches and options, or give the tour.",
    )
    parser.add_argument(
        "command", nargs="?", choices=("info", "tour"), default="info",
        help="info (the default), or tour: run the lecture, each result with its time",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    parser.add_argument("--all", action="store_true", help="also options without effect")
    parser.add_argument("--clear-cache", action="store_true", help="drop the programs on disk")
    parser.add_argument("--brief", action="store_true", help="the tour without its text and code")
    parser.add_argument("--folder", default=".", help="where the tour puts its picture")
    return parser


_NO_PLUGINS = "docs/devices.md in Covector's source tree says how to install one"


def _lines(found: dict[str, Any], everything: bool, bold: tuple[str, str]) -> list[str]:
    on, off = bold
    out = []
    for title in ("versions", "machine", "plugins", "libraries"):
        rows = found[title] or {"none": _NO_PLUGINS}
        out += [f"{on}{title.capitalize()}{off}", *_table(rows), ""]
    disk, memory = found["caches"]["on disk"], found["caches"]["in memory"]
    limit = "no limit" if disk["limit"] < 0 else f"at most {_bytes(disk['limit'])}"
    kept = "" if disk["enabled"] else ", switched off"
    rows = {
        "on disk": f"{disk['programs']} programs, {_bytes(disk['bytes'])} ({limit}{kept})",
        "folder": disk["folder"],
        "in memory": f"{memory['programs']} programs, arrays of {_bytes(memory['arrays'])}",
    }
    out += [f"{on}Caches{off}", *_table(rows), ""]
    out.append(f"{on}Options{off} (COVECTOR_NAME=value, or covector.config.update)")
    names = [n for n, o in found["options"].items() if o["effect"] or o["from"] != "default"]
    for name in found["options"] if everything else names:
        option = found["options"][name]
        origin = "" if option["from"] == "default" else f"  [{option['from']}]"
        about = option["about"] if option["effect"] else f"no effect: {option['about']}"
        out.append(f"  {name:39} {option['value']!r:14}{origin}  {about}")
    if not everything:
        rest = len(found["options"]) - len(names)
        out.append(f"  and {rest} that have no effect here (--all shows them)")
    return out


def _table(rows: dict[str, Any]) -> list[str]:
    width = max(len(name) for name in rows)
    return [f"  {name:{width}}  {value}" for name, value in rows.items()]


def _bytes(n: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"


if __name__ == "__main__":
    sys.exit(_command.run(main))
