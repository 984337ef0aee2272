"""First-order primitives, one file per family, each primitive in one place with all its rules.

The elementwise ones are rows of a table, `core.rules.ELEMENTWISE`, which these families fill.
"""

from covector.primitives import arithmetic, compare, exponential, incomplete, select, special

__all__ = ["arithmetic", "compare", "exponential", "incomplete", "select", "special"]
