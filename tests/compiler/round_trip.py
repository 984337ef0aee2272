"""For the whole test run: every program that is compiled is kept by its text.

`install` freezes the nodes of the loop IR, and has each program whose key is asked for shown,
parsed and compared, once a key.
"""

from covector.backends.cpu.module import CpuModule
from covector.compiler.ir import nodes
from covector.compiler.ir.equal import equal
from covector.compiler.ir.nodes import LoopProgram
from covector.compiler.ir.parse import parse
from covector.compiler.ir.show import key, show

_seen: set[str] = set()


def check(program: LoopProgram) -> None:
    """``parse(show(p)) == p``, and the key of what is parsed is the same."""
    text = key(program)
    if text in _seen:
        return
    _seen.add(text)
    whole = show(program)
    again = parse(whole)
    assert equal(again, program), whole
    assert key(again) == text


def install() -> None:
    nodes.freeze()
    lowered = CpuModule.__init__

    def init(self, *args, **options):
        lowered(self, *args, **options)
        check(self.program)

    CpuModule.__init__ = init
