"""Every primitive has its rules and samples; every rule and row has its primitive."""

import importlib
import pkgutil
from collections import Counter

import numpy as onp
import pytest

import covector as cv
from covector.core import rules
from covector.core.trace import Composed, JaxprTrace, Primitive
from covector.transforms.vmap import BatchTrace
from tests.property_tables import CASES, DISCRETE, doubled

# What has no rule of a kind, and why.
PARTITIONED = "it is of the program of one process of several, after all transformations"
COLLECTIVES = dict.fromkeys(("collective", "collective_end", "collective_start"), PARTITIONED)
NO_DERIVATIVE = {
    "axis_index": "it has no operands",
    "iota": "it has no operands",
    "schur": "its real form has blocks or not, and functions that use it have derivatives",
    "geqrf": "its results are the factors of one derivative only together; see qr",
    "pmax": "the derivative of an extremum over devices is not defined",
    "pmin": "the derivative of an extremum over devices is not defined",
    **COLLECTIVES,
}
NO_BATCHING = {"iota": "it has no operands", **COLLECTIVES}
NO_LOWERING = {
    **dict.fromkeys(
        (
            "axis_index",
            "psum",
            "pmax",
            "pmin",
            "ppermute",
            "all_gather",
            "all_to_all",
            "pcast",
        ),
        "vmap resolves it",
    ),
    **dict.fromkeys(
        ("reshard", "sharding_constraint"), "nothing is computed: see sharding/constraints.py"
    ),
    **dict.fromkeys(
        ("global_array_to_host_local_array", "host_local_array_to_global_array"),
        "in a program it is a constraint",
    ),
    "shard_map": "it is expanded to a program over all devices",
    "inspect_sharding": "it is answered when the program is compiled",
    "custom_lin": "it has a transpose only: running it is an error",
    "move": "nothing is computed: see runtime/moves.py",
}
TABLES = {
    name: getattr(rules, name)
    for name in (
        "jvp_rules", "transpose_rules", "batching_rules", "collective_rules",
        "higher_order_rules", "partial_eval_rules", "dce_rules",
    )
}  # fmt: skip


def modules():
    for found in pkgutil.walk_packages(cv.__path__, "covector."):
        if not found.name.endswith("_native"):
            yield importlib.import_module(found.name)


@pytest.fixture(scope="module")
def primitives():
    """Every primitive that is an attribute of a module of the library, those made of others not."""
    found = {x for m in modules() for x in vars(m).values() if isinstance(x, Primitive)}
    return {p for p in found if not isinstance(p, Composed)}


def names(prims):
    return sorted(p.name for p in prims)


def test_names_are_unique(primitives):
    assert [n for n, k in Counter(p.name for p in primitives).items() if k > 1] == []


def test_every_primitive_has_its_rules(primitives):
    from covector.compiler.lower.lowering import all_rules

    batched = {*rules.batching_rules, *rules.collective_rules, *rules.higher_order_rules}
    assert names(p for p in primitives if p._abstract_eval is None) == []
    assert names(primitives - rules.jvp_rules.keys()) == sorted(NO_DERIVATIVE)
    assert names(primitives - batched) == sorted(NO_BATCHING)
    calls = {p for p in primitives if p.call_param is not None}
    assert names(primitives - all_rules().keys() - calls) == sorted(NO_LOWERING)
    assert all([*NO_DERIVATIVE.values(), *NO_BATCHING.values(), *NO_LOWERING.values()])


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_is_of_a_primitive(table, primitives):
    # Those of users have functions of theirs.
    ours = {p for p in TABLES[table] if not (p.function or p.expansion or "test" in p.name)}
    assert names(ours - primitives) == []


def test_every_lowering_rule_is_of_a_primitive(primitives):
    from covector.compiler.lower.lowering import all_rules

    assert names(all_rules().keys() - primitives) == []


def test_every_row_is_of_a_primitive(primitives):
    assert {p for p in primitives if p.spec is not None} == set(rules.ELEMENTWISE.values())
    assert all(n == p.name == p.spec.name for n, p in rules.ELEMENTWISE.items())


def test_every_primitive_has_samples(primitives, monkeypatch):
    seen = set()

    def watch(cls, name):
        method = getattr(cls, name)

        def watched(self, prim, *args):
            seen.add(prim)
            return method(self, prim, *args)

        monkeypatch.setattr(cls, name, watched)

    watch(JaxprTrace, "process")
    watch(JaxprTrace, "record_known")
    watch(BatchTrace, "process")
    with cv.enable_x64():
        for case in [*CASES.values(), *DISCRETE.values()]:
            cv.make_jaxpr(case.fun)(*case.args)
        # The tangent of a function that is differentiated in reverse.
        cv.make_jaxpr(lambda x: cv.vjp(doubled, x)[1](x))(1.0)
    assert names(primitives - seen) == list(COLLECTIVES)  # see sharding/test_partition


@pytest.mark.parametrize("name", [n for n, p in rules.ELEMENTWISE.items() if p.spec.values])
def test_values_at_special_points(name):
    prim = rules.ELEMENTWISE[name]
    for args, want in prim.spec.values:
        got = onp.asarray(prim.bind(*args, **({"input_dtype": onp.dtype("complex64")}
                                              if name == "conj" else {})))  # fmt: skip
        onp.testing.assert_allclose(got, want, rtol=1e-6, atol=0)
        if got.dtype.kind == "f" and got == 0:
            assert onp.signbit(got) == onp.signbit(want)
