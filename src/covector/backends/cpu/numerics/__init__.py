"""Numbers in emitted code: elementary and special functions, complex numbers, operations."""
