"""Loops and branches on traced values."""

from covector.control_flow import cond_rules, dce_rules, scan_rules, while_rules
from covector.control_flow.associative_scan import associative_scan
from covector.control_flow.cond import cond, cond_p, switch
from covector.control_flow.map import map
from covector.control_flow.reduce import reduce_p
from covector.control_flow.scan import scan, scan_p
from covector.control_flow.solves import (
    custom_linear_solve,
    custom_root,
    linear_solve_p,
    platform_dependent,
)
from covector.control_flow.while_loop import fori_loop, while_loop, while_p

__all__ = [
    "associative_scan",
    "cond",
    "cond_p",
    "cond_rules",
    "custom_linear_solve",
    "custom_root",
    "dce_rules",
    "fori_loop",
    "linear_solve_p",
    "map",
    "platform_dependent",
    "reduce_p",
    "scan",
    "scan_p",
    "scan_rules",
    "switch",
    "while_loop",
    "while_p",
    "while_rules",
]
