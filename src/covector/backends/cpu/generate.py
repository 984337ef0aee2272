"""From the loop IR to LLVM IR: schedule, storage plan, and what the emitters write for them."""

from __future__ import annotations

from typing import Any

from covector.backends.cpu import codegen
from covector.backends.cpu.emit.program import Emitter
from covector.backends.cpu.texts import Text
from covector.compiler.ir.nodes import LoopProgram
from covector.compiler.schedule.nodes import Schedule
from covector.compiler.schedule.plan import plan
from covector.compiler.schedule.storage import Storage, piece_sizes, plan_storage
from covector.core.config import config


def planned(program: LoopProgram) -> tuple[Schedule, Storage]:
    """The schedule and the storage plan of a loop program."""
    schedule = plan(program.block)
    storage = plan_storage(program, schedule)
    if config.enable_checks:
        _check(program, schedule, storage)
    return schedule, storage


def _check(program: LoopProgram, schedule: Schedule, storage: Storage) -> None:
    """Raise where plans break a rule, or their text does not say all of them."""
    # Imported where it is asked for: a first call without checks is faster by a few milliseconds.
    from covector.compiler.schedule import parse, verify

    verify.verify(program, schedule, storage)
    parse.check_text(program, schedule, storage)


def schedule_text(program: LoopProgram) -> str:
    """The schedule and the storage plan of a loop program, to read."""
    from covector.compiler.schedule.show import show

    return show(program, *planned(program))


def llvm_text(program: LoopProgram) -> tuple[Text, Any]:
    """LLVM IR of a loop program; the sizes of its temporaries and what it overwrites."""
    schedule, storage = planned(program)
    text = Emitter(program, schedule, storage, codegen.vectors()).run()
    return text, (piece_sizes(storage.pieces), list(storage.donations))
