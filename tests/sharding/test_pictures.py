"""`debug.inspect_array_sharding`, `debug.visualize_sharding`: what is where, told and shown."""

import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import debug, lax
from covector.sharding import AxisType, NamedSharding
from covector.sharding import PartitionSpec as P

A = onp.arange(64.0, dtype="float32").reshape(8, 8)


@pytest.fixture
def mesh(eight_devices):
    return cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)


@pytest.fixture
def seen():
    return []


@pytest.fixture
def spread(mesh):
    return cv.device_put(A, NamedSharding(mesh, P("x", "y")))


# --- told ------------------------------------------------------------------------------------


def test_an_array_is_looked_at_at_once(mesh, spread, seen):
    debug.inspect_array_sharding({"a": spread, "b": 1.0}, callback=seen.append)
    assert seen[0] == NamedSharding(mesh, P("x", "y"))
    assert seen[1] == cv.sharding.SingleDeviceSharding(cv.devices()[0])


def test_a_traced_value_when_the_program_is_compiled(mesh, spread, seen):
    @cv.jit
    def f(x):
        y = (x * 2).T
        debug.inspect_array_sharding(y, callback=seen.append)
        return y.sum(1)

    onp.testing.assert_allclose(f(spread), A.sum(0) * 2)
    assert seen == [NamedSharding(mesh, P("y", "x"))]
    f(spread)
    assert len(seen) == 1  # nothing is left of it in the program
    f(A)
    assert seen[1:] == [cv.sharding.SingleDeviceSharding(cv.devices()[0])]


def test_nothing_is_told_of_programs_that_do_not_run(spread, seen):
    f = cv.jit(lambda x: debug.inspect_array_sharding(x, callback=seen.append))
    assert "inspect_sharding" in str(cv.make_jaxpr(f)(spread))
    cv.eval_shape(f, spread)
    f.lower(spread)
    assert not seen
    f.lower(spread).compile()
    assert len(seen) == 1


def test_explicit_axes(seen):
    with cv.set_mesh(cv.make_mesh((4, 2), ("x", "y"))) as mesh:
        x = cv.device_put(A, P("x"))
        cv.jit(lambda x: debug.inspect_array_sharding(x.T, callback=seen.append))(x)
        assert seen[0].is_equivalent_to(NamedSharding(mesh, P(None, "x")), 2)


def test_explicit_axes_are_no_matter_to_callbacks(capsys):
    with cv.set_mesh(cv.make_mesh((4, 2), ("x", "y"))):
        x = cv.device_put(A, P("x"))
        cv.jit(lambda x: debug.print("{}", x.sum()))(x)
        cv.jit(lambda x: debug.callback(lambda x: print(x.shape), x))(x)
        cv.effects_barrier()
    assert capsys.readouterr().out.split() == [str(A.sum()), "(8,", "8)"]


def look(x, seen):
    debug.inspect_array_sharding(x, callback=seen.append)
    return x


PROGRAMS = {
    "vmap": lambda seen: cv.vmap(lambda x: look(x, seen)),
    "grad": lambda seen: cv.grad(lambda x: look(x, seen).sum()),
    "jvp": lambda seen: lambda x: cv.jvp(lambda x: look(x, seen), (x,), (x,)),
    "inner jit": lambda seen: cv.jit(lambda x: look(x, seen)),
    "scan": lambda seen: lambda x: lax.scan(lambda c, _: (look(c, seen), None), x, None, 3),
    "while": lambda seen: (
        lambda x: lax.while_loop(lambda c: c.sum() < 1, lambda c: look(c, seen), x)
    ),
    "cond": lambda seen: (
        lambda x: lax.cond(x.sum() > 1, lambda x: look(x, seen), lambda x: x + 1, x)
    ),
    "remat": lambda seen: cv.remat(lambda x: look(x, seen)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_inside_of_programs(name, mesh, spread, seen):
    cv.jit(PROGRAMS[name](seen))(spread)
    assert seen == [NamedSharding(mesh, P("x", "y"))]


@pytest.mark.parametrize("name", ["vmap", "grad", "jvp"])
def test_under_transformations_of_arrays(name, mesh, spread, seen):
    PROGRAMS[name](seen)(spread)
    assert seen == [NamedSharding(mesh, P("x", "y"))]


def test_in_shard_map_a_part_is_whole(mesh, spread, seen):
    f = cv.shard_map(lambda x: look(x, seen), mesh=mesh, in_specs=P("x"), out_specs=P("x"))
    cv.jit(f)(spread)
    assert seen == [NamedSharding(mesh, P())]


def test_the_callback_must_be_callable(spread):
    with pytest.raises(TypeError, match="inspect_array_sharding"):
        debug.inspect_array_sharding(spread, callback=3)


# --- shown -----------------------------------------------------------------------------------


def drawn(capsys, *args, **kwargs):
    debug.visualize_sharding(*args, **kwargs)
    return capsys.readouterr().out.splitlines()


def test_a_table_of_the_parts(mesh, capsys):
    found = drawn(capsys, (8, 8), NamedSharding(mesh, P("x", "y")))
    assert found[:4] == [
        "┌───────────┬───────────┐",
        "│   CPU 0   │   CPU 1   │",
        "├───────────┼───────────┤",
        "│   CPU 2   │   CPU 3   │",
    ]
    assert len(found) == 9


@pytest.mark.parametrize(
    ("shape", "spec", "cells"),
    [
        ((8, 8), P("x"), [["0,1"], ["2,3"], ["4,5"], ["6,7"]]),
        ((8, 8), P(None, "y"), [["0,2,4,6", "1,3,5,7"]]),
        ((8, 8), P("y", "x"), [["0", "2", "4", "6"], ["1", "3", "5", "7"]]),
        ((8, 8), P(), [["0,1,2,3,4,5,6,7"]]),
        ((8,), P("x"), [["0,1", "2,3", "4,5", "6,7"]]),
        ((8,), P(("y", "x")), [["0", "2", "4", "6", "1", "3", "5", "7"]]),
    ],
)
def test_each_part_has_its_devices(shape, spec, cells, mesh, capsys):
    found = drawn(capsys, shape, NamedSharding(mesh, spec))
    rows = [re.findall(r"CPU ([\d,]+)", line) for line in found]
    assert [row for row in rows if row] == cells
    assert len({len(line) for line in found}) == 1


def test_sizes(mesh, capsys):
    where = NamedSharding(mesh, P("x", "y"))
    usual, large = drawn(capsys, (8, 8), where), drawn(capsys, (8, 8), where, scale=2.0)
    assert len(large) > len(usual)
    assert len(large[0]) > len(usual[0])
    assert len(drawn(capsys, (8, 800), where, max_width=40)[0]) <= 40
    assert len(drawn(capsys, (800, 8), where, min_width=12)[0]) == 2 * 13 + 1
    # Names that do not fit go on in the next line.
    narrow = drawn(capsys, (8, 8), NamedSharding(mesh, P()), max_width=8, min_width=3)
    assert len(narrow[0]) <= 8
    assert "".join(re.findall(r"[\d,]+", "".join(narrow))) == "0,1,2,3,4,5,6,7"


def test_an_array_in_and_outside_of_programs(spread, capsys):
    debug.visualize_array_sharding(spread)
    at_once = capsys.readouterr().out
    cv.jit(debug.visualize_array_sharding)(spread)
    assert capsys.readouterr().out == at_once
    debug.visualize_array_sharding(np.zeros((3, 3)))
    assert "CPU 0" in capsys.readouterr().out


def test_colours(mesh, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    where = NamedSharding(mesh, P("x", "y"))
    backgrounds = set(re.findall(r"48;2;(\d+;\d+;\d+)", "\n".join(drawn(capsys, (8, 8), where))))
    assert len(backgrounds) == 8
    given = drawn(capsys, (8, 8), where, color_map=lambda t: (t, 0.0, 1 - t, 1.0))
    assert "48;2;0;0;255" in "".join(given)
    assert "48;2;128;0;128" in "".join(given)
    assert "48;2" not in "".join(drawn(capsys, (8, 8), where, use_color=False))


def test_only_vectors_and_matrices(mesh):
    for shape in ((), (8, 8, 8)):
        with pytest.raises(ValueError, match="one or two dimensions, got the shape"):
            debug.visualize_sharding(shape, NamedSharding(mesh, P()))
        with pytest.raises(ValueError, match="one or two dimensions, got the shape"):
            cv.jit(debug.visualize_array_sharding)(np.zeros(shape))


def test_in_a_notebook_it_is_html():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    code = "import covector as cv\ncv.debug.visualize_array_sharding(cv.numpy.zeros((4, 4)))"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    html = "".join(out.data.get("text/html", "") for out in book.cells[0].outputs)
    assert "CPU 0" in html
    assert "background-color: #" in html
