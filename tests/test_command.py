"""``python -m covector``: what it reports, the cache it clears, and the tour."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as onp
import pytest

import covector as cv
from covector import tour
from covector.__main__ import main
from covector.backends.cpu import cache
from covector.core.config import config
from covector.core.options import OPTIONS
from covector.tour import cells, pictures


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "compilation_cache_dir", str(tmp_path / "cache"))
    monkeypatch.setattr(config, "enable_compilation_cache", True)
    return tmp_path / "cache"


def test_the_report(folder, capsys):
    cache.store("program", b"code" * 300, ([], []))
    with cv.debug_nans():
        assert main([]) == 0
    text = capsys.readouterr().out
    assert f"covector    {cv.__version__}" in text and "CpuDevice(id=0)" in text
    assert re.search(r"threads +\d+ of \d+ processors \(COVECTOR_NUM_THREADS\)", text)
    assert "openblas" in text and "ducc0" in text and str(folder) in text
    assert "1 programs, 1.3 KB (at most 536.9 MB)" in text
    # Those that other tests have set are shown.
    assert re.search(r"  and \d+ that have no effect here", text)
    (line,) = [row for row in text.splitlines() if row.startswith("  debug_nans ")]
    assert "True" in line and "[block]" in line and "\x1b" not in text
    assert main(["--all"]) == 0
    rows = capsys.readouterr().out.split("Options")[1].splitlines()
    assert len(rows) == 1 + len(OPTIONS)


def test_the_report_for_programs(folder, capsys):
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["caches"]["on disk"]["programs"] == 0
    assert set(found["options"]) == set(OPTIONS)
    assert found["options"]["scan3"]["effect"] is False
    assert found["versions"]["numpy"] == onp.__version__


@pytest.mark.parametrize("platform", ["foo", "rocm"])
def test_the_report_where_the_platform_has_no_devices(platform):
    environment = {**os.environ, "COVECTOR_PLATFORMS": platform}
    run = _command([], env=environment)
    (row,) = [line for line in run.stdout.splitlines() if line.startswith("  devices ")]
    assert f"none of the platform {platform!r}: " in row and platform in row.split(": ", 1)[1]
    assert "\nOptions" in run.stdout and not run.stderr
    devices = json.loads(_command(["--json"], env=environment).stdout)["machine"]["devices"]
    assert devices in row


@pytest.mark.parametrize(
    ("argv", "words"),
    [(["--brief"], "--brief is an option of tour"), (["--folder", "x"], "--folder is an option"),
     (["tour", "--json"], "--json is an option of info"), (["tour", "--clear-cache"], "--clear-c")],
)  # fmt: skip
def test_options_of_the_other_command(argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--json"], ["tour"], ["tour", "--brief"]])
def test_output_that_nobody_reads(argv, tmp_path):
    # The end that reads is closed before anything is written.
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = _command(argv, cwd=tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert run.returncode == 1 and not run.stderr


def _command(argv, **how):
    command = [sys.executable, "-m", "covector", *argv]
    how = {"stdout": subprocess.PIPE, **how}
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=300, **how)


def test_the_cache_is_cleared(folder, capsys):
    for k in range(3):
        cache.store(f"program {k}", b"code", ([], []))
    (folder / "other").write_text("not ours")
    assert main(["--clear-cache"]) == 0
    assert capsys.readouterr().out.startswith("3 programs of ")
    assert [f.name for f in folder.iterdir()] == ["other"]
    assert main(["--clear-cache"]) == 0 and "0 programs" in capsys.readouterr().out


def test_the_tour(tmp_path):
    # In another folder, as users run it.
    command = [sys.executable, "-m", "covector", "tour", "--brief"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    for title in (
        c.source.split("\n")[0].lstrip("# ") for c in cells.read().cells if not c.is_code
    ):
        assert title in run.stdout or not title[0].isdigit()
    assert "TypeError: arrays are immutable" in run.stdout
    assert "best of 3 times 3: orbit(3.7)" in run.stdout
    assert str(tmp_path / "mandelbrot.png") in run.stdout
    assert _pixels((tmp_path / "mandelbrot.png").read_bytes()).shape == (480, 600, 3)


def _pixels(data):
    """The pixels of a PNG file as `pictures.png` writes them."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + n]
        assert struct.unpack(">I", data[at + 8 + n : at + 12 + n])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + n
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    lines = onp.frombuffer(zlib.decompress(chunks[b"IDAT"]), onp.uint8)
    lines = lines.reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3)


def test_pictures():
    pixels = onp.random.default_rng(0).integers(0, 256, (3, 5, 3)).astype(onp.uint8)
    assert (_pixels(pictures.png(pixels)) == pixels).all()
    values = onp.arange(12).reshape(3, 4)
    colours = pictures.coloured(values)
    assert colours.shape == (3, 4, 3) and not colours[2, 3].any() and colours[0, 0].any()
    plain = pictures.on_terminal(values, False, True)
    assert plain.isascii() and plain.splitlines()[0][0] == " " and plain[-1] == "@"
    assert "\x1b[38;2;" in pictures.on_terminal(values, True, True)
    assert pictures.bars(onp.array([0.0, 1.0, onp.nan])) == "▁█▁"
    assert pictures.bars(onp.array([onp.nan])) == ""
    assert pictures.coloured(onp.zeros((2, 2))).shape == (2, 2, 3)


def _cell(source, raises=False):
    return cells.Cell(source, True, raises)


def test_cells_run_as_in_a_notebook():
    timed = []
    names = {"timeit": lambda *args: timed.append(args)}
    source = (
        "%matplotlib inline\nimport matplotlib.pyplot as plt\na = 2\n%timeit -n 3 -r 7 a + 1\na"
    )
    assert _cell(source).run(names) == 2 and "plt" not in names
    assert timed == [("a + 1", 3, 7)]
    assert _cell("a;").run(names) is None and _cell("# nothing").run(names) is None


@pytest.mark.parametrize(
    ("cell", "words"),
    [(_cell("1 / 0"), "a cell of the lecture failed:\n1 / 0\nZeroDivisionError"),
     (_cell("1 + 1", True), "was to raise an error")],
)  # fmt: skip
def test_a_tour_that_fails_says_so(monkeypatch, capsys, tmp_path, cell, words):
    monkeypatch.setattr(tour, "read", lambda: cells.Notebook((cell,)))
    assert tour.run(folder=str(tmp_path), out=io.StringIO()) == 1
    assert words in capsys.readouterr().err


def test_text_and_code_of_the_tour(monkeypatch, tmp_path):
    text = cells.Cell("# Title\n\nWords **of** it.", False, False)
    monkeypatch.setattr(tour, "read", lambda: cells.Notebook((text, _cell("print(3)\nplt.grid()"))))
    out = io.StringIO()
    assert tour.run(folder=str(tmp_path), out=out) == 0
    assert out.getvalue().startswith(
        "\nTitle\n=====\n\nWords of it.\n\n    print(3)\n    plt.grid()\n\n3\n["
    )
