"""Programs of several processes: each computes its part, and what they send each other.

`mesh` says which part of a mesh a process has, `collective` what processes send, `part` what a
process has of a value and how it comes by another part, `local` how an operation runs on parts,
and `program` goes through a program with all that. What there is no rule for is gathered and
computed by all processes, which is always right.
"""
