"""Random programs: written, checked in several ways, shrunk where they fail.

`python -m tests.fuzz --minutes 60` runs for as long as asked; `tests/test_fuzz.py` runs a few.
"""
