"""Schedules as text: of named programs, read back, with mistakes in them; the verifier."""

import difflib
import os
from pathlib import Path

import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.compiler.ir.nodes import Block, LibraryCall, LoopProgram
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify
from covector.compiler.schedule.nodes import Nest, NestLoop, Schedule, Times, times
from covector.compiler.schedule.parse import ParseError, parse
from covector.compiler.schedule.plan import plan
from covector.compiler.schedule.show import show
from covector.compiler.schedule.storage import Piece, plan_storage
from covector.compiler.schedule.verify import ScheduleError, verify
from covector.compiler.schedule.workspace import workspace_layout
from covector.compiler.target import Target

from .golden_programs import PROGRAMS, f32

GOLDEN = Path(__file__).parent / "golden"
# What the texts are for, whatever the machine: results and tasks do not depend on the number
# of threads.
TARGET = Target(vector_bytes=64)


def lowered(f, *args) -> LoopProgram:
    return lower(simplify(cv.make_jaxpr(f)(*args)), "f", ()).program


def planned(program, target=TARGET):
    schedule = plan(program.block, target)
    return schedule, plan_storage(program, schedule)


@pytest.mark.parametrize("name", PROGRAMS)
def test_golden(name):
    f, args = PROGRAMS[name]
    program = lowered(f, *args)
    text = show(program, *planned(program))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("COVECTOR_UPDATE_GOLDEN"):
        path.write_text(text)
    diff = difflib.unified_diff(
        path.read_text().splitlines(), text.splitlines(), str(path), "now", lineterm=""
    )
    changes = "\n".join(diff)
    assert not changes, f"run with COVECTOR_UPDATE_GOLDEN=1 if this is meant:\n{changes}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_text_and_verifier(name):
    f, args = PROGRAMS[name]
    program = lowered(f, *args)
    for target in (TARGET, Target(16)):
        schedule, storage = planned(program, target)
        assert parse(show(program, schedule, storage), program) == (schedule, storage)
        assert parse(show(program, schedule), program) == (schedule, None)
        verify(program, schedule, storage)


def test_every_golden_text_is_of_a_program():
    assert {p.stem for p in GOLDEN.glob("*.txt")} == set(PROGRAMS)


def test_text_of_a_compiled_function():
    f, args = PROGRAMS["softmax"]
    text = cv.jit(f).lower(*args).as_text("schedule")
    assert text == (GOLDEN / "softmax.txt").read_text()


# --- mistakes in a text ------------------------------------------------------------------


def _softmax():
    f, args = PROGRAMS["softmax"]
    program = lowered(f, *args)
    return program, show(program, *planned(program))


# What is replaced by what (^ where the mistake is), and the rule that it breaks.
MISTAKES = [
    ("schedule for", "^plan for", "'schedule' is expected"),
    ("memory v", "memory ^x v", "'x' is no value of the program"),
    ("nest tasks loop", "nest tasks ^threads", "one of loop, partial, groups"),
    ("for n0 p", "for ^n9 p", "'n9' is no size of the program"),
    ("for n0 p", "for n0 ^q", "one of p, r, s, t, b"),
    ("    for n0 p", "     ^for n0 p", "indented by 4"),
    (" vector 16", " vector ^many", "a number is expected"),
    ("v4 pointwise i0 i1", "^v4 pointwise i0", "for each of the 2 loops"),
    ("reduce i0 i1:r", "reduce i0 ^j1", "an index variable is expected"),
    ("in argument 0", "in ^register 0", "one of argument, piece, current, next"),
    ("workspace argument", "workspace ^", "'argument' is expected"),
    ("in argument 0", "in argument 0 ^1", "the line should end here"),
]


@pytest.mark.parametrize(("old", "new", "rule"), MISTAKES)
def test_mistakes(old, new, rule):
    program, text = _softmax()
    assert old in text, text
    before, _, after = text.replace(old, new, 1).partition("^")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(ParseError, match=rule) as info:
        parse(before + after.removeprefix(" "), program)
    assert str(info.value).startswith(f"line {line}, column {column}: ")


def test_text_that_ends_too_early():
    program, text = _softmax()
    with pytest.raises(ParseError, match="ends too early"):
        parse("\n".join(text.split("\n")[:4]), program)


# --- the verifier ------------------------------------------------------------------------


def _changed(schedule: Schedule, block: Block, steps) -> Schedule:
    return schedule._replace(steps={**schedule.steps, block: tuple(steps)})


def _two_nests():
    """A value in memory and a reader of it that needs loops of its own."""
    program = lowered(lambda x: np.cumsum(np.sort(np.sin(x))), f32(1000))
    return program, *planned(program)


def test_steps_in_the_wrong_order():
    program, schedule, _ = _two_nests()
    steps = schedule.steps[program.block]
    with pytest.raises(ScheduleError, match="computed before it is read"):
        verify(program, _changed(schedule, program.block, steps[::-1]))


def test_a_step_left_out():
    program, schedule, _ = _two_nests()
    steps = schedule.steps[program.block]
    with pytest.raises(ScheduleError, match="computed"):
        verify(program, _changed(schedule, program.block, steps[:-1]))


def test_extents_that_do_not_match():
    program, schedule, _ = _two_nests()
    first, *rest = schedule.steps[program.block]
    assert isinstance(first, Nest) and isinstance(first.root, NestLoop)
    root = first.root._replace(dim=7)
    wrong = _changed(
        schedule, program.block, [Nest(root, first.contracted, first.rows, first.tasks), *rest]
    )
    with pytest.raises(ScheduleError, match="extents of a stage"):
        verify(program, wrong)


def test_a_value_used_up_that_others_read():
    program, schedule, _ = _two_nests()
    first, *rest = schedule.steps[program.block]
    wrong = Nest(first.root, frozenset([first.stages[0].value]), first.rows, first.tasks)
    with pytest.raises(ScheduleError, match="used up"):
        verify(program, _changed(schedule, program.block, [wrong, *rest]))


def test_a_row_that_others_read():
    program, schedule, _ = _two_nests()
    first, *rest = schedule.steps[program.block]
    wrong = Nest(first.root, first.contracted, frozenset([first.stages[0].value]), first.tasks)
    with pytest.raises(ScheduleError, match="a row is"):
        verify(program, _changed(schedule, program.block, [wrong, *rest]))


def _kept():
    """An array in the workspace that is read again after another one has come to it."""

    def f(x):
        a = np.sort(x)
        b = np.sort(-a)
        return np.cumsum(a) + b

    program = lowered(f, f32(1000))
    return program, *planned(program)


def test_buffers_that_overlap_in_life():
    program, schedule, storage = _kept()
    pieces = [v for v, p in storage.places.items() if isinstance(p, Piece)]
    assert pieces
    first, *_ = pieces
    for other in [v for v in storage.places if v not in pieces and v not in program.inputs]:
        wrong = {**storage.places, other: storage.places[first]}
        with pytest.raises(ScheduleError):
            verify(program, schedule, storage._replace(places=wrong))


def test_a_life_that_is_too_short():
    program, schedule, storage = _kept()
    short = tuple([p._replace(end=p.start) for p in storage.pieces])
    assert short != storage.pieces
    with pytest.raises(ScheduleError, match="outside its life"):
        verify(program, schedule, storage._replace(pieces=short))


def test_arrays_on_the_stack_are_planned():
    index = cv.ShapeDtypeStruct((), np.int32)
    program = lowered(lambda x, k: x[k], f32(4), index)
    assert planned(program)[1].spilled == frozenset()  # an argument is in memory
    program = lowered(lambda x, k: np.stack([x, 2 * x, 3 * x, x])[k], f32(), index)
    schedule, storage = planned(program)
    assert len(storage.spilled) == 1
    with pytest.raises(ScheduleError, match="positions known at run time"):
        verify(program, schedule, storage._replace(spilled=frozenset()))


# --- pieces ------------------------------------------------------------------------------


def test_extents():
    program = lowered(lambda x: x + 1, f32(1000))
    n = program.syms[0]
    assert times(1, n) is n and times(n, 1) is n and times(3, 4) == 12
    assert times(n, 4) == Times(n, 4) and str(times(n, 4)) == f"{n}*4"


def test_pieces_of_the_workspace_are_reused():
    offsets, total = workspace_layout([((10,), 4, 1, 2), ((10,), 4, 2, 3), ((10,), 4, 3, 3)], [])
    assert offsets[0] == offsets[2] and offsets[1] >= 40 and total < 3 * 128


def test_plans_do_not_change():
    program, schedule, storage = _two_nests()
    (nest, *_) = [s for s in schedule.steps[program.block] if isinstance(s, Nest)]
    for what, name in ((nest, "tasks"), (nest.root, "lanes"), (nest.stages[0], "order"),
                       (schedule, "kinds"), (storage, "pieces")):  # fmt: skip
        with pytest.raises(AttributeError):
            setattr(what, name, None)


def test_loops_and_branches_round_trip():
    def f(x, n):
        def body(carry):
            k, a, b = carry
            a = lax.cond(k > 3, lambda a: a.at[0].set(1.0), lambda a: a * 2, a)
            return k + 1, b, a

        return lax.while_loop(lambda c: c[0] < n, body, (0, x, x + 1))

    program = lowered(f, f32(1000), cv.ShapeDtypeStruct((), np.int32))
    schedule, storage = planned(program)
    text = show(program, schedule, storage)
    assert "move" in text or "swap" in text
    assert parse(text, program) == (schedule, storage)
    verify(program, schedule, storage)


def test_tests_of_rows_are_no_longer_than_registers():
    """Vectors of bits that are longer than a register were taken apart: twelve times slower."""
    program = lowered(lambda x: np.any(x > 400, axis=1), f32(480, 600))
    text = show(program, *planned(program))
    assert "vector 64" not in text and "vector 16" in text


def _sort_places(f, *args):
    """Where the operands of the sort of a program are, and where its results."""
    program = lowered(f, *args)
    _, storage = planned(program)
    (call,) = {v.defn for v in program.block.values if type(v.defn) is LibraryCall}
    return [[storage.places[v] for v in vs] for vs in (call.operands, call.results)]


def test_sorts_of_what_is_of_no_use_afterwards_are_in_place():
    operands, results = _sort_places(lambda x: np.sort(x, axis=0), f32(100, 200))
    assert operands == results
    operands, results = _sort_places(lambda x: lax.sort((x + 1, x - 1)), f32(1000))
    assert operands == results
    # What is read later, or sorted in two places, is copied.
    operands, results = _sort_places(lambda x: (np.sort(x + 1), x + 1), f32(1000))
    assert operands != results
    operands, results = _sort_places(lambda x: (lambda y: lax.sort((y, y)))(x + 1), f32(1000))
    assert not set(operands) & set(results)
    operands, results = _sort_places(np.sort, f32(1000))
    assert operands != results
