"""First-order primitives, one file per family, each primitive in one place with all its rules."""
