"""A few random programs; `python -m tests.fuzz` runs as many as there is time for."""

import os

import pytest

import covector as cv
from covector.core.trace import Tracer
from tests.fuzz import checks, program, shrink

SEED = int(os.environ.get("COVECTOR_FUZZ_SEED", "20260"))
GROUPS, PROGRAMS = 6, 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_programs(group):
    for seed in range(SEED + group * PROGRAMS, SEED + (group + 1) * PROGRAMS):
        made = program.generate(seed, length=5)
        fault = checks.faults(made, checks.chosen(made, 0.2))
        assert fault is None, f"COVECTOR_FUZZ_SEED={SEED}\n" + shrink.reproducer(made, fault)


@pytest.mark.platform
@pytest.mark.parametrize("group", range(3))
def test_random_programs_on_another_compiler(group):
    for seed in range(SEED + 10 * group, SEED + 10 * group + 8):
        made = program.generate(seed, length=4)
        fault = checks.faults(made, ["xla"])
        assert fault is None, f"COVECTOR_FUZZ_SEED={SEED}\n" + shrink.reproducer(made, fault)


@pytest.mark.peer
def test_random_programs_of_the_peer():
    for seed in range(SEED, SEED + 12):
        made = program.generate(seed, length=4)
        fault = checks.faults(made, ["peer"], peer=True)
        assert fault is None, f"COVECTOR_FUZZ_SEED={SEED}\n" + shrink.reproducer(made, fault)


def test_a_seed_gives_one_program():
    assert program.generate(SEED).source() == program.generate(SEED).source()


def test_faults_are_found_shrunk_and_written(monkeypatch, tmp_path):
    """A wrong vmap of sin is found in a long program, and ends as one line that runs alone."""
    right = cv.numpy.sin

    def wrong(x):
        y = right(x)
        return y + 1 if isinstance(x, Tracer) and y.ndim else y

    monkeypatch.setattr(cv.numpy, "sin", wrong)
    fault = None
    for seed in range(SEED, SEED + 400):
        made = program.generate(seed)
        if "np.sin(v" in made.source() and len(made.lines) > 2:
            fault = checks.faults(made, ["jit"])
            if fault is not None:
                break
    assert fault is not None
    made, fault = shrink.shrink(made, fault, False, seconds=20)
    assert fault.check == "jit" and len(made.lines) == 1
    text = shrink.save(made, fault, tmp_path).read_text()
    assert "np.sin(" in text and str(made.seed) in text
    # It sets options for a process of its own.
    before = cv.config.enable_x64
    try:
        exec(text, {"__name__": "reproducer"})
    finally:
        cv.config.update("enable_x64", before)
