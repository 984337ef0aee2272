"""Integrals of sampled functions (`covector.scipy.integrate`)."""

from covector.core.errors import export as _export
from covector.numpy.calculus import trapezoid

__all__ = ["trapezoid"]

_export(globals(), __all__)
