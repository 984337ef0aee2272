"""Functions of `covector`, `tree`, `tree_util` and `debug` not tested elsewhere."""

import pathlib
import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import debug, tree, tree_util

X = onp.arange(6.0, dtype="float32").reshape(2, 3)


def test_devices_and_processes():
    assert cv.default_backend() == cv.devices()[0].platform
    assert cv.device_count() == len(cv.devices()) == cv.local_device_count()
    assert cv.local_devices() == cv.devices() and isinstance(cv.devices()[0], cv.Device)
    assert cv.process_count() == cv.host_count() == 1
    assert cv.process_index() == cv.host_id() == 0
    assert list(cv.process_indices()) == list(cv.host_ids()) == [0]


def test_transfers():
    moved = cv.device_put({"a": X}, cv.devices()[0])
    back = cv.device_get(moved)
    assert isinstance(moved["a"], cv.Array) and isinstance(back["a"], onp.ndarray)
    onp.testing.assert_array_equal(back["a"], X)
    cv.copy_to_host_async(moved)
    cv.effects_barrier()


def test_names_do_not_change_results():
    named = cv.named_call(lambda x: x * 2, name="twice")
    onp.testing.assert_array_equal(cv.jit(named)(X), X * 2)
    with cv.named_scope("outer"):
        onp.testing.assert_array_equal(np.asarray(X) + 1, X + 1)
    inside = cv.jit(cv.named_scope("inner")(lambda x: x + 1))
    onp.testing.assert_array_equal(inside(X), X + 1)


def test_typeof():
    a = cv.typeof(X)
    assert (a.shape, a.dtype) == ((2, 3), onp.float32)
    assert cv.typeof(1.0).weak_type
    seen = []
    cv.jit(lambda x: seen.append(cv.typeof(x)) or x)(X)
    assert seen[0].shape == (2, 3)


def test_environment():
    text = cv.print_environment_info(return_string=True)
    assert "covector" in text and "numpy" in text


def test_synonyms():
    f = lambda x: np.sin(x) * x  # noqa: E731
    onp.testing.assert_allclose(cv.jacobian(f)(X[0]), cv.jacrev(f)(X[0]), rtol=1e-6)
    onp.testing.assert_allclose(cv.grad(cv.remat(lambda x: f(x).sum()))(X[0]),
                                cv.grad(lambda x: f(x).sum())(X[0]), rtol=1e-6)  # fmt: skip


SYNONYMS = (
    "all broadcast flatten flatten_with_path leaves leaves_with_path map map_with_path reduce "
    "reduce_associative structure transpose unflatten"
).split()
TREE = {"b": [X, (2, None)], "a": 3}


@pytest.mark.parametrize("name", SYNONYMS)
def test_tree_util_has_the_functions_of_tree(name):
    old, new = getattr(tree_util, f"tree_{name}"), getattr(tree, name)
    leaves, treedef = tree.flatten({"b": [1, (2, None)], "a": 3})
    t = tree.unflatten(treedef, leaves)
    pairs = tree.map(lambda x: (x, -x), t)
    args = {
        "broadcast": ({"b": 1, "a": 2}, t), "map": (lambda x: x + 1, t),
        "map_with_path": (lambda path, x: (str(path), x), t), "reduce": (lambda x, y: x + y, t, 5),
        "reduce_associative": (lambda x, y: x * y, t), "unflatten": (treedef, leaves),
        "transpose": (treedef, tree.structure((0, 0)), pairs),
    }.get(name, (t,))  # fmt: skip
    want = {
        "all": True, "broadcast": {"b": [1, (1, None)], "a": 2}, "flatten": ([3, 1, 2], treedef),
        "leaves": [3, 1, 2], "map": {"b": [2, (3, None)], "a": 4}, "reduce": 11,
        "reduce_associative": 6, "structure": treedef, "unflatten": t,
        "transpose": (t, tree.map(lambda x: -x, t)),
    }  # fmt: skip
    assert old(*args) == new(*args)
    if name in want:
        assert new(*args) == want[name]


def test_paths():
    flat, treedef = tree_util.tree_flatten_with_path(TREE)
    assert [tree_util.keystr(path) for path, _ in flat] == ["['a']", "['b'][0]", "['b'][1][0]"]
    assert flat[1][0] == (tree_util.DictKey("b"), tree_util.SequenceKey(0))
    assert treedef == tree_util.tree_structure(TREE) and isinstance(treedef, tree_util.PyTreeDef)


def test_registered_nodes():
    class Plain:
        def __init__(self, x, y):
            self.x, self.y = x, y

    class WithKeys(Plain):
        pass

    tree_util.register_pytree_node(
        Plain, lambda p: ((p.x, p.y), "aux"), lambda aux, children: Plain(*children)
    )
    tree_util.register_pytree_with_keys(
        WithKeys,
        lambda p: (((tree_util.GetAttrKey("x"), p.x), (tree_util.GetAttrKey("y"), p.y)), None),
        lambda aux, children: WithKeys(*children),
    )
    doubled = tree_util.tree_map(lambda x: 2 * x, Plain(1, 2))
    assert (doubled.x, doubled.y) == (2, 4)
    paths = [tree_util.keystr(p) for p, _ in tree_util.tree_leaves_with_path(WithKeys(1, [2]))]
    assert paths == [".x", ".y[0]"]
    children, _ = tree_util.flatten_one_level_with_keys(WithKeys(1, 2))
    assert [v for _, v in children] == [1, 2]


def test_structures():
    leaf, pair = tree_util.tree_structure(1), tree_util.tree_structure((1, 2))
    assert tree_util.treedef_is_leaf(leaf) and not tree_util.treedef_is_leaf(pair)
    assert tree_util.treedef_children(pair) == [leaf, leaf]


def test_breakpoint_stops_in_the_debugger(monkeypatch):
    stops = []
    monkeypatch.setattr("pdb.set_trace", lambda: stops.append(True))

    def f(x):
        debug.breakpoint()
        return x + 1

    onp.testing.assert_array_equal(f(np.asarray(X)), X + 1)
    onp.testing.assert_array_equal(cv.jit(f)(X), X + 1)
    cv.effects_barrier()
    assert len(stops) == 2


def test_every_public_function_is_in_a_test():
    texts = "".join(
        path.read_text() for path in pathlib.Path(__file__).parent.parent.rglob("*.py")
    )  # fmt: skip
    # Types that only annotate, and effects that only mark a jaxpr.
    marks = {"KeyEntry", "KeyPath", "DebugEffect", "OrderedDebugEffect"}
    missing = [
        f"{module.__name__}.{name}"
        for module in (cv, tree, tree_util, debug)
        for name in module.__all__
        if callable(getattr(module, name))
        and name not in marks
        and not (name.startswith("tree_") and name[5:] in SYNONYMS)
        and not re.search(rf"\b{name}\b", texts)
    ]
    assert not missing
