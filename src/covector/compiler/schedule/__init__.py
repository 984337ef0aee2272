"""Which loops compute a program, and what they store."""
