"""Pytrees: the modules `tree`, `tree_util` and `flatten_util`."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import tree, tree_util
from covector.flatten_util import ravel_pytree

Pair = collections.namedtuple("Pair", "p q")


@tree_util.register_dataclass
@dataclasses.dataclass
class Point:
    x: Any
    y: Any
    label: str = tree.static(default="a")


@tree_util.register_pytree_node_class
class Box:
    def __init__(self, item: Any) -> None:
        self.item = item

    def tree_flatten(self) -> Any:
        return (self.item,), None

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> Box:
        return cls(*children)


@tree_util.register_pytree_with_keys_class
class Keyed(Box):
    def tree_flatten_with_keys(self) -> Any:
        return ((tree_util.GetAttrKey("item"), self.item),), None


@tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Config:
    n: int


TREE = {"b": [1, (2, None)], "a": Pair(3, Point(4, 5))}


def test_flatten() -> None:
    leaves, treedef = tree.flatten(TREE)
    assert leaves == [3, 4, 5, 1, 2] == tree.leaves(TREE)
    assert tree.unflatten(treedef, leaves) == TREE
    assert treedef == tree.structure(TREE) and hash(treedef) == hash(tree.structure(TREE))
    assert tree.leaves(Config(3)) == [] and tree.structure(Config(3)) != tree.structure(Config(4))
    assert tree.leaves(None) == []
    assert tree.leaves(TREE, is_leaf=lambda x: isinstance(x, Pair))[0] == TREE["a"]
    assert tree.map(lambda x, y: x + y, TREE, TREE)["a"].q.y == 10
    with pytest.raises(ValueError):
        tree.map(lambda x, y: x, TREE, {"b": 1})


def test_paths() -> None:
    names = [tree_util.keystr(p) for p, _ in tree.leaves_with_path(TREE)]
    assert names == ["['a'].p", "['a'].q.x", "['a'].q.y", "['b'][0]", "['b'][1][0]"]
    path = tree.leaves_with_path(TREE)[1][0]
    assert path == (
        tree_util.DictKey("a"), tree_util.GetAttrKey("q"), tree_util.GetAttrKey("x"),
    )  # fmt: skip
    assert tree_util.keystr(path, simple=True, separator="/") == "a/q/x"
    assert tree.map_with_path(lambda p, x: tree_util.keystr(p), {"k": 0}) == {"k": "['k']"}
    assert tree.leaves_with_path(Box(1))[0][0] == (tree_util.FlattenedIndexKey(0),)
    assert tree.leaves_with_path(Keyed(1))[0][0] == (tree_util.GetAttrKey("item"),)
    short = tree.leaves_with_path(
        TREE, is_leaf=lambda path, x: len(path) == 1, is_leaf_takes_path=True
    )
    assert [tree_util.keystr(p) for p, _ in short] == ["['a']", "['b']"]


def test_combinations() -> None:
    assert tree.reduce(lambda a, b: a + b, TREE) == 15
    assert tree.reduce(lambda a, b: a + b, {}, 7) == 7
    assert tree.reduce_associative(lambda a, b: a + b, TREE) == 15
    assert tree.all([True, [True]]) and not tree.all([True, [False]])
    assert tree.broadcast({"a": 1, "b": 2}, {"a": [0, 0], "b": (0,)}) == {"a": [1, 1], "b": (2,)}
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0, "b": 0})
    pairs = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert tree.transpose(outer, inner, pairs) == {"a": [1, 3], "b": [2, 4]}
    assert tree.transpose(outer, None, pairs) == {"a": [1, 3], "b": [2, 4]}
    assert tree_util.treedef_tuple([outer, inner]) == tree.structure(([0, 0], {"a": 0, "b": 0}))
    assert tree_util.treedef_children(outer) == [tree.structure(0)] * 2
    assert tree_util.all_leaves([1, 2]) and not tree_util.all_leaves([1, [2]])
    assert tree_util.is_tree_node(Point) and not tree_util.is_tree_node(float)
    assert list(tree_util.flatten_one_level([1, [2]])[0]) == [1, [2]]


def test_partial() -> None:
    p = tree_util.Partial(lambda x, y: (x, y), 1, y=2)
    leaves, treedef = tree.flatten(p)
    assert leaves == [1, 2]
    assert tree.unflatten(treedef, [3, 4])() == (3, 4)
    again = tree_util.Partial(tree_util.Partial(lambda *a: a, 1), 2)
    assert again() == (1, 2)


def test_dataclass_errors() -> None:
    with pytest.raises(TypeError, match="not a dataclass"):
        tree_util.register_dataclass(type("A", (), {}))
    with pytest.raises(ValueError, match="Missing"):
        tree_util.register_dataclass(
            dataclasses.make_dataclass("B", ["x", "y"]), data_fields=["x"], meta_fields=[]
        )


def test_ravel_pytree() -> None:
    t = {"a": np.float32(1), "b": np.arange(3, dtype=np.int32), "c": 2.0}
    flat, unravel = ravel_pytree(t)
    assert np.asarray(flat).tolist() == [1, 0, 1, 2, 2] and str(flat.dtype) == "float32"
    back = unravel(flat)
    assert back["b"].dtype == np.int32 and np.asarray(back["b"]).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="5 elements"):
        unravel(np.ones(3, np.float32))
    with pytest.raises(TypeError, match="dtype"):
        unravel(np.ones(5, np.int32))
    assert ravel_pytree({})[0].shape == (0,)
    np.testing.assert_array_equal(np.asarray(cv.jit(lambda t: ravel_pytree(t)[0])(t)), flat)
