"""Texts of the loop IR and of schedules that somebody has changed: read, or refused in words."""

import random

import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.backends.cpu import backend as cpu
from covector.backends.cpu import generate
from covector.compiler.ir.errors import LoopTextError
from covector.compiler.ir.parse import parse
from covector.compiler.ir.show import show
from covector.compiler.schedule import parse as schedule_parse
from covector.compiler.schedule.show import show as show_schedule
from covector.compiler.schedule.verify import ScheduleError
from covector.compiler.schedule.verify import verify as verify_schedule

X = np.ones((40, 50))
PROGRAMS = {
    "normal": lambda x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1),
    "loop": lambda x: lax.fori_loop(0, 9, lambda i, a: a.at[i].set(np.sin(a[i - 1])), x[0]),
    "scan": lambda x: lax.scan(lambda c, y: (c + y.sum(), c * y), 0.0, x),
    "branch": lambda x: lax.cond(x.sum() > 0, lambda a: a @ a.T, lambda a: a * 2 @ a.T, x),
    "sort": lambda x: np.sort(x, 1).sum(0),
    "scatter": lambda x: np.zeros(7).at[x[0].astype(int)].add(1),
}
HEAD = 'program "f"(v0:f32[n0])\n  sizes n0 = 4\n'


def program(name):
    return cpu.CpuModule(cv.make_jaxpr(PROGRAMS[name])(X), [False], name).program


def mutated(text, rng):
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[i]
        case 1:
            lines[i], lines[j] = lines[j], lines[i]
        case 2:
            k = rng.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:k] + rng.choice('0123vniz(),:[]<>*+-²٣ "\\') + lines[i][k + 1 :]
        case 3:
            words = lines[i].split(" ")
            words[rng.randrange(len(words))] = rng.choice(text.split())
            lines[i] = " ".join(words)
        case 4:
            lines.insert(i, lines[j])
    return "\n".join(lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_changed_texts_are_read_or_refused_in_words(name):
    p = program(name)
    schedule, storage = generate.planned(p)
    loops, plans = show(p), show_schedule(p, schedule, storage)
    rng = random.Random(name)
    refused = 0
    for _ in range(60):
        try:
            parse(mutated(loops, rng))
        except LoopTextError as e:
            assert e.line >= 1 and e.column >= 1 and e.rule
            refused += 1
        try:
            verify_schedule(p, *schedule_parse.parse(mutated(plans, rng), p))
        except schedule_parse.ParseError as e:
            assert e.line >= 1 and e.column >= 1 and e.rule
            refused += 1
        except ScheduleError:
            refused += 1
    assert refused > 60


@pytest.mark.parametrize(
    "text, rule",
    [
        (HEAD.replace("= 4", "= 1.5") + "  return v0", "line 2, column 14: 1.5 is no whole number"),
        (HEAD.replace("= 4", f"= {10**20}") + "  return v0", "does not fit into 64 bits"),
        (HEAD.replace('"f"', '"\\q"') + "  return v0", "is no string"),
        (HEAD + "  v1:i32[] = ٣:i32\n  return v1", "'٣' is no part of the language"),
        (HEAD + f"  v1:i32[] = {10**23}:i32\n  return v1", "is no constant of type int32"),
        (HEAD + "  v1:f32[] = bits 0x1ffffffff:f32\n  return v1", "does not fit into 32 bits"),
        (
            HEAD + "  v1:f32[] = " + "neg.f32(" * 3000 + "1.0:f32" + ")" * 3000 + "\n  return v1",
            "expressions are nested less deeply",
        ),
    ],
)
def test_what_is_no_program(text, rule):
    with pytest.raises(LoopTextError) as e:
        parse(text)
    assert rule in str(e.value)
