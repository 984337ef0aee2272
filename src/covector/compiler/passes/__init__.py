"""Rewrites of jaxprs before they are lowered; `manager.PASSES` lists them."""

from covector.compiler.passes.manager import PASSES, Pass, Step, simplify, steps, without

__all__ = ["PASSES", "Pass", "Step", "simplify", "steps", "without"]
