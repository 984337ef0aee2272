"""The emission rules of all primitives, a module a family."""

from covector.backends.pjrt.rules import elementwise, structure  # noqa: F401 - each fills the table
