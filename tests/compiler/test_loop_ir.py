"""The loop IR: nodes that do not change, text that is the program, a verifier, one visitor."""

import re
from pathlib import Path

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.backends.cpu import cache
from covector.backends.cpu.emit.library import _CALLS as emitted_calls
from covector.backends.cpu.generate import llvm_text
from covector.compiler.access import Access, cost, key_of, substitute, variables
from covector.compiler.ir import constants
from covector.compiler.ir.equal import equal, equal_nodes
from covector.compiler.ir.errors import LoopTextError
from covector.compiler.ir.nodes import (
    KNOWN,
    NODES,
    Block,
    IDyn,
    Input,
    IOp,
    Lit,
    Load,
    LoopProgram,
    Op,
    Pointwise,
    Reduce,
    Value,
    ivars,
)
from covector.compiler.ir.parse import parse
from covector.compiler.ir.show import key, show, show_node
from covector.compiler.ir.verify import verify
from covector.compiler.ir.visit import Transformer, Visitor
from covector.compiler.ir.walk import loads
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify
from covector.compiler.target import HOST, Library, Target
from covector.core import dtypes, stored
from tests.compiler import round_trip
from tests.compiler.golden_programs import PROGRAMS
from tests.compiler.random_loops import random_program

PROGRAM = """\
program "all of it"(v0:f32[n0,3], v1:i32[], v2:f32[n0,3])
  donated v2
  constants v3:f32[3]
  sizes n0 = 100, n1 = -7
  v4:f32[n0,3] = add.f32(v0[i0, i1], v3[i1])
  v5:f32[3,n0] = flat v4[i0@(n0, 3).0, i0@(n0, 3).1]
  v6:f32[3] = sum over (i1 < n0) order (1, 0): v0[i1, i0]
  v7:i32[3] = argmax over (i1 < n0) order (0, 1): v0[i1, i0]
  v8:f32[], v9:i32[] = reduce from (0.0:f32, 1:i32) by (add.f32(a0:f32, a2:f32), a3:i32) \
over (i0 < 3) order (0): v6[i0], v7[i0]
  v10:f32[n0,3] = cumulative logaddexp along 0 reverse: v4[i0, i1]
  v11:f32[n0,3] = update v2
    part (i0 < n0, i1 < 2) if 0 <= [v1[]] < n0 & (i0 % 2) <= 0 < 1 serial (0): [[v1[]], i1] add = \
v0[i0, (i1 inside 3)]
    part (): [0, 1] = 1.5:f32
    part (i0 < n0, i1 < 7, i2 < 3) if i0 <= i1 < (i0 + 1) serial (1) grouped: [i0, i2] add = \
v0[i1, i2]
    each (v0[i0, i1] if 0 <= i0 < 4 else bits 0xffc00001:f32)
  v12:f32[3] = update nothing
  v13:f32[3] = call sort(v6) {num_keys: 1, dims: (n0, (3, n1)), flag: false, none: none, s: "a"}
  call callback(v6) {id: n1} effect
  v14:i32[], v15:f32[3] = while (v16:i32[] = v1, v17:f32[3] = v6)
    v18:bool[] = lt.bool(v16[], 10:i32)
    test v18
    v19:i32[] = add.i32(v16[], 1:i32)
    next v19, v17
  v20:f32[n0,3] = repeat n0 counter v21:i64[] (stacked v22:f32[n0,3] = v4)
    v23:f32[n0,3] = update v22
      part (i0 < 3): [[v21[]], i0] = f32(i0)
    next v23
  v24:c64[] = branch v1 of 2
    v25:c64[] = (1.0, -0.0):c64
    yield v25
    v26:c64[] = integer_pow.c64<-2>(complex.c64(v8[], nan:f32))
    yield v26
  v27:f32[n0,3] = strips v28:i64[] of n0
    v29:f32[3] = v0[[v28[]], i0]
    v30:f32[3] = repeat 4 (lanes v31:f32[3] = v29)
      v32:f32[3] = add.f32(v31[i0], v3[i0])
      next v32
    yield v30
  v33:f32[7,n0] = update nothing
  v34:f32[n0], v35:f32[7,n0] = strips v36:i64[] of n0 whole (1)
    v37:f32[] = f32([v36[]])
    v38:f32[7,n0] = repeat 7 counter v39:i64[] (stacked v40:f32[7,n0] = v33)
      v41:f32[7,n0] = update v40
        part (): [[v39[]], [v36[]]] = v37[]
      next v41
    yield v37, v38
  return v4, v5, v7, v9, v10, v11, v12, v13, v14, v15, v20, v24, v27, v34, v35"""


def test_text_of_every_kind_of_node():
    p = parse(PROGRAM)
    assert show(p) == PROGRAM
    assert equal(parse(show(p)), p)


@pytest.mark.parametrize("seed", range(300))
def test_random_programs_round_trip(seed):
    p = random_program(seed)
    verify(p)
    again = parse(show(p))
    assert equal(again, p)
    assert show(again) == show(p)
    assert key(again) == key(p)
    assert equal(parse(key(p)), parse(key(again)))


def test_programs_that_differ_are_not_equal():
    programs = [random_program(seed) for seed in range(60)]
    texts = [show(p) for p in programs]
    for a, p in zip(texts, programs, strict=True):
        for b, q in zip(texts, programs, strict=True):
            assert equal(p, q) == (a == b)


def test_programs_of_the_run_are_checked():
    before = len(round_trip._seen)
    cv.jit(lambda x: np.sum(x * 3.25 - 17.5) / 7.125)(np.ones(123))
    assert len(round_trip._seen) > before


# What the text of an earlier layout left out: pairs of programs that must not share code.
DIFFERENCES = [
    ("order (1, 0): v0[i1, i0]", "order (0, 1): v0[i1, i0]"),
    ("flat v4[i0@(n0, 3).0", "v4[i0@(n0, 3).0"),
    ("    each (v0[i0, i1] if 0 <= i0 < 4 else bits 0xffc00001:f32)\n", ""),
    (" serial (0)", ""),
    (" effect", ""),
    ("{id: n1}", "{id: n0}"),
    ("0xffc00001", "0xffc00002"),
    ("(1.0, -0.0):c64", "(1.0, 0.0):c64"),
    ("donated v2", "donated v0"),
    ("stacked v22", "v22"),
    ("lanes v31", "v31"),
    ("num_keys: 1", "num_keys: 2"),
    ("integer_pow.c64<-2>", "integer_pow.c64<2>"),
    (" reverse", ""),
    ("from (0.0:f32", "from (-0.0:f32"),
]


@pytest.mark.parametrize("old, new", DIFFERENCES)
def test_key_tells_programs_apart(old, new):
    assert PROGRAM.count(old) == 1
    assert key(parse(PROGRAM)) != key(parse(PROGRAM.replace(old, new)))


def test_key_knows_neither_name_nor_values_of_sizes():
    other = PROGRAM.replace("all of it", "another").replace("n0 = 100", "n0 = 99")
    assert key(parse(PROGRAM)) == key(parse(other))
    assert not equal(parse(PROGRAM), parse(other))


def test_conversions_have_their_dtype_in_the_key():
    # Both results are f32; what lies between them differs.
    texts = [
        f'program ""(v0:i32[])\n  v1:f32[] = convert_element_type.f32'
        f"(convert_element_type.{t}(v0[]))\n  return v1"
        for t in ("f16", "bf16")
    ]
    assert key(parse(texts[0])) != key(parse(texts[1]))


def test_entries_of_an_earlier_layout_are_ignored(tmp_path, monkeypatch):
    monkeypatch.setattr(cv.config, "compilation_cache_dir", str(tmp_path))
    monkeypatch.setattr(cv.config, "enable_compilation_cache", True)
    cache.store("text", b"code", ([], []))
    assert cache.load("text") == (b"code", ([], []))
    (entry,) = tmp_path.iterdir()
    data = entry.read_bytes()
    entry.write_bytes(data.replace(stored._MAGIC, b"COVECTOR1", 1))
    assert cache.load("text") is None
    entry.write_bytes(data)
    monkeypatch.setattr(cache, "_version", lambda: b"another compiler")
    assert cache.load("text") is None


# --- constants ---


@pytest.mark.parametrize("dtype", constants.DTYPES.values(), ids=constants.DTYPES.keys())
def test_constants_keep_their_bits(dtype):
    if dtypes.is_extended(dtype):
        values = [0, 2**64 - 1]
    else:
        rng = onp.random.default_rng(0)
        raw = rng.integers(0, 256, 400 * dtype.itemsize, dtype=onp.uint8)
        used = 1 if dtype == dtypes.bool_ else min(dtypes.bits_of(dtype), 8)
        values = list((raw & ((1 << used) - 1)).astype(onp.uint8).view(dtype))
        if dtype in dtypes.INEXACT:
            values += [dtype.type(x) for x in (0.0, -0.0, onp.nan, -onp.nan, onp.inf, 0.1)]
    for x in values:
        lit = Lit(x, dtype)
        text = f'program ""()\n  v0:{constants.SHORT[dtype]}[] = {show_node(lit)}\n  return v0'
        again = parse(text).block.values[0].defn.expr
        assert again.bits() == lit.bits(), text
        assert show_node(again) == show_node(lit)


def test_equal_text_only_for_equal_bits():
    f32 = dtypes.float32
    nans = [Lit(onp.uint32(b).view(onp.float32), f32) for b in (0x7FC00000, 0xFFC00000, 0x7FC00001)]
    zeros = [Lit(0.0, f32), Lit(-0.0, f32)]
    texts = [show_node(x) for x in (*nans, *zeros)]
    assert len(set(texts)) == 5
    assert not equal_nodes(*zeros)
    assert equal_nodes(Lit(0, f32), Lit(0.0, f32))
    assert show_node(Lit(0, f32)) == show_node(Lit(0.0, f32))


# --- texts and programs that are wrong ---

HEAD = 'program "p"(v0:f32[n0], v1:i32[])\n  sizes n0 = 20\n'
AT = (3, 3)


def within(statement):
    return f"{HEAD}  {statement}\n  return v2"


WRONG = [
    ("", 1, 1, "expected 'program'"),
    ('program "p"(v0:f32[4]', 1, 22, "expected ','"),
    ('program "p"(v0:f33[])', 1, 16, "'f33' is no dtype"),
    ('program "p"(v0:f32[n3])', 1, 20, "n3 is no size"),
    (HEAD + "  v2:f32[] = 1.0:f32", 3, 21, "a block ends with a line 'return'"),
    (HEAD + "  return v7", 3, 10, "v7 is not defined here"),
    (HEAD + "  v0:f32[] = 1.0:f32\n  return v0", 3, 3, "v0 is defined twice"),
    (HEAD + "  v2:f32[] = 1.0:f32 2\n  return v2", 3, 22, "expected the end of the line"),
    (HEAD + "  v2:i32[] = 1.5:i32\n  return v2", 3, 14, "no constant of type int32"),
    (HEAD + "  v2:f32[n0] = v0[q]\n  return v2", 3, 19, "'q' is no index"),
    (HEAD + "  v2:f32[n0] = v0[(i0 ^ 1)]\n  return v2", 3, 23, "'^' is no part"),
    (HEAD + "  v2:f32[n0] = v0[(i0 : 1)]\n  return v2", 3, 23, "no operation on indices"),
    (HEAD + "  v2:f32[] = sum over (i1 < n0) order (0): v0[i0]\n  return v2", 3, 24, "expected i0"),
    (HEAD + "  v2:f32[] = wonder v0\n  return v2", 3, 21, "expected '.'"),
    (within("v2:f32[n0], v3:f32[n0] = v0[i0]"), *AT, "is of one value"),
    (HEAD + "  return v0\nreturn v1", 4, 1, "the end of the text"),
    # These parse, but make no sense.
    (within("v2:f32[n0] = v0[i0, 1]"), *AT, "a value of 1 axes has as many indices"),
    (within("v2:f32[n0] = v0[i1]"), *AT, "i1 is one of 1 index variables"),
    (within("v2:f64[n0] = v0[i0]"), *AT, "an element is float64, not float32"),
    (within("v2:f32[n0] = add.f32(v0[i0], v1[])"), *AT, "add have one dtype"),
    (within("v2:f32[n0] = lt.f32(v0[i0], v0[i0])"), *AT, "the result of lt is bool"),
    (within("v2:f32[n0] = v0[[v0[0]]]"), *AT, "an index is a whole number"),
    (within("v2:f32[n0] = v0[(i0 // 0)]"), *AT, "a divisor is positive"),
    (within("v2:f32[n0] = v0[i0@(2, n0).2]"), *AT, "a coordinate is of an axis"),
    (within("v2:f32[n0] = (v0[i0] if 0 <= i0 < 3 else v1[])"), *AT, "both sides"),
    (within("v2:f32[] = sum over (i0 < n0) order (1): v0[i0]"), *AT, "the order is"),
    (within("v2:f32[] = argmax over (i0 < n0) order (0): v0[i0]"), *AT, "a position"),
    (within("v2:f32[n0] = cumulative sum along 1: v0[i0]"), *AT, "axis 1 is one of 1"),
    (within("v2:i32[n0] = update v0"), *AT, "has the shape and dtype of its base"),
    (within("v2:f32[n0] = update v0\n    part (): [0, 1] = 1.0:f32"), *AT, "destination"),
    (within("v2:f32[n0] = update v0\n    part (): [0] mod = 1.0:f32"), *AT, "merges no"),
    (within("v2:f32[n0] = update v0\n    part (i0 < n0, i1 < 3) if 0 <= i0 < [v1[]] serial (1) "
            "grouped: [i0] add = v0[i1]"), *AT, "the one test of a part grouped"),
    (within("v2:f32[n0] = update v0\n    part (i0 < n0, i1 < 3) if 0 <= i1 < i1 serial (1) "
            "grouped: [i0] add = v0[i1]"), *AT, "i1 is one of 1 index"),
    (within("v2:f32[n0] = update v0\n    part (i0 < n0, i1 < 3) if 0 <= i1 < i0 serial (1) "
            "grouped: [i0] = v0[i1]"), *AT, "are merged"),
    (within("v2:f32[n0] = update v0\n    part (i0 < n0, i1 < 3) serial (1, 0) "
            "grouped: [i0] add = v0[i1]"), *AT, "has one serial axis"),
    (within("v2:f32[n0] = repeat 3 (v3:f32[n0] = v0)\n    next v1"), *AT, "is carried"),
    (within("v2:i32[] = while (v3:i32[] = v1)\n    test v3\n    next v3"), *AT, "bool scalar"),
    (within("v2:f32[n0] = branch v1 of 1\n    yield v1"), *AT, "results of the branch"),
    (within("v2:f32[] = reduce from (0.0:f32) by (a0:f64) over (i0 < n0) order (0): v0[i0]"),
     *AT, "as many values and dtypes"),
    (within("v2:f32[] = reduce from (0.0:f32) by (v0[0]) over (i0 < n0) order (0): v0[i0]"),
     *AT, "reads its operands alone"),
    (within("v2:f32[] = a0:f32"), *AT, "stands in a combination"),
]  # fmt: skip


@pytest.mark.parametrize("text, line, column, rule", WRONG)
def test_wrong_texts(text, line, column, rule):
    with pytest.raises(LoopTextError, match=f"line {line}, column {column}: ") as e:
        parse(text)
    assert (e.value.line, e.value.column) == (line, column)
    assert rule in e.value.rule


def test_values_out_of_scope():
    v = Value((), dtypes.float32, Pointwise(Lit(1.0, dtypes.float32)))
    w = Value((), dtypes.float32, Pointwise(v.at()))
    with pytest.raises(
        LoopTextError, match="line 2, column 3: a value is used where it is defined"
    ):
        verify(LoopProgram("p", Block([w], [w]), []))
    with pytest.raises(LoopTextError, match="defined once"):
        verify(LoopProgram("p", Block([v, v], [v]), []))
    with pytest.raises(LoopTextError, match="is its input 0"):
        verify(LoopProgram("p", Block([], []), [v]))


def test_sizes_of_another_program():
    p, q = parse(HEAD + "  return v0"), parse(HEAD + "  return v0")
    x = Value(q.inputs[0].shape, dtypes.float32, Pointwise(p.inputs[0].at(ivars(1)[0])))
    with pytest.raises(LoopTextError, match="n0 is a size of the program"):
        verify(LoopProgram("p", Block([x], [x]), p.inputs, (), p.syms))


def test_lowered_programs_are_verified(monkeypatch):
    monkeypatch.setattr(cv.config, "enable_checks", True)
    seen = []
    monkeypatch.setattr("covector.compiler.ir.verify.verify", seen.append)
    cv.jit(lambda x: x * 2 + 0.75)(np.ones(3))
    assert seen


# --- nodes ---


def _fields(cls):
    return [name for name in getattr(cls, "__slots__", ()) if name != "__weakref__"]


def _nodes(x, found):
    if type(x) in NODES and id(x) not in {id(y) for y in found}:
        found.append(x)
        for cls in type(x).__mro__:
            for name in _fields(cls):
                _nodes(getattr(x, name), found)
    elif type(x) in (tuple, list):
        for y in x:
            _nodes(y, found)
    return found


def test_nodes_do_not_change():
    found = _nodes(parse(PROGRAM), [])
    assert {type(x) for x in found} == set(NODES)
    for x in found:
        for cls in type(x).__mro__:
            for name in _fields(cls):
                assert type(getattr(x, name)) is not list, (x, name)
                with pytest.raises(AttributeError, match="set once"):
                    setattr(x, name, None)


def test_a_node_is_rebuilt_of_its_children():
    class Copy(Transformer):
        def leaf(self, node):
            return Lit(node.value, node.dtype) if type(node) is Lit else node

        def load(self, node):
            return self.inner(node) if node.index else Load(node.value, ())

    for seed in range(40):
        for v in random_program(seed).block.values:
            for node in v.defn.children():
                again = Copy().visit(node)
                shown = [show_node(x) for x in (again, node)]
                # Indices fold when they are rebuilt.
                assert shown[0] == shown[1] or "(" in shown[1]


def test_a_transformer_keeps_what_does_not_change():
    p = parse(PROGRAM)

    class Nothing(Transformer):
        pass

    for v in p.block.values:
        for node in v.defn.children():
            assert Nothing().visit(node) is node


def test_a_visitor_says_what_differs():
    class Operations(Visitor):
        def __init__(self):
            self.names = []

        def op(self, node):
            self.names.append(node.name)
            self.inner(node)

    f32 = dtypes.float32
    x = Value((3,), f32, Input(0))
    i = IOp("+", IDyn(Op("neg", [Lit(1, dtypes.int32)], dtypes.int32)), 1)
    e = Op("add", [Op("exp", [x.at(i)], f32), Lit(1.0, f32)], f32)
    walk = Operations()
    walk.visit(e)
    assert walk.names == ["add", "exp", "neg"]


# --- what expressions read ---


def test_substitution_and_variables():
    i, j = ivars(2)
    n = parse(HEAD + "  return v0").syms[0]
    index = IOp("+", IOp("*", i, n), j)
    assert variables(index) == {0, 1}
    moved = substitute(index, [0, IOp("-", j, 1)])
    assert show_node(moved) == "((0 * n0) + (i1 - 1))"
    assert variables(moved) == {1}
    assert substitute(index, ivars(2)) is index


def test_equal_indices_have_equal_keys():
    p = parse(PROGRAM)
    for v in p.block.values:
        for node in v.defn.children():
            for load in loads(node):
                again = parse(PROGRAM)
                assert key_of(load.index) == key_of(load.rebuild(*load.index).index)
                assert again is not p
    x = Value((4,), dtypes.int32, Input(0))
    a, b = (IDyn(x.at(IOp("+", ivars(1)[0], 1))) for _ in range(2))
    assert key_of([a]) == key_of([b])
    assert key_of([a]) != key_of([IDyn(x.at(ivars(1)[0]))])


def test_cost_and_access_follow_what_is_recomputed():
    f32 = dtypes.float32
    x = Value((4, 5), f32, Input(0))
    i, j = ivars(2)
    y = Value((5, 4), f32, Pointwise(Op("exp", [x.at(j, i)], f32)))
    e = Op("add", [y.at(i, j), y.at(i, j)], f32)
    assert cost(e) == 1 and cost(y.defn.expr) == 16
    access = Access()
    access.add(e, ivars(64), lambda v: v is y)
    assert access.reads == [(x, (j, i))]


def test_known_combinations_are_constants():
    p = cv.jit(lambda x: np.sum(x)).lower(np.ones(5)).compile()
    assert "sum over" in p.as_text("loop")
    assert parse(p.as_text("loop")).block.values[-1].defn.kind is KNOWN["sum"]
    assert isinstance(parse(p.as_text("loop")).block.values[-1].defn, Reduce)


# --- what a backend offers ---


def test_library_calls_are_those_of_the_emitter():
    assert set(emitted_calls) == HOST.library.calls


def test_a_product_is_a_library_call_or_loops():
    closed = cv.make_jaxpr(lambda x, y: x @ y)(np.ones((40, 50)), np.ones((50, 60)))
    assert "call gemm" in show(lower(closed, "f").program)
    without = Target(library=Library(frozenset()))
    assert "= sum over" in show(lower(closed, "f", (), without).program)
    small = cv.make_jaxpr(lambda x, y: x @ y + 1)(np.ones((4, 5)), np.ones((5, 6)))
    assert "= sum over" in show(lower(small, "f").program)


@pytest.mark.parametrize("dtype, wide", [("bfloat16", "f32"), ("float16", "f32"), ("int8", "i32")])
def test_small_numbers_are_multiplied_as_they_are(dtype, wide):
    x, w = np.ones((8, 500), dtype), np.ones((500, 600), dtype)
    text = show(lower(cv.make_jaxpr(np.matmul)(x, w), "f").program)
    assert re.search(rf"v2:{wide}\[.*\] = call gemm.*\(v0, v1\)", text)
    many = np.ones((80, 500), dtype)
    text = show(lower(cv.make_jaxpr(np.matmul)(many, w), "f").program)
    # Floats of which there are many rows are converted once, as they are read more than once.
    assert ("gemm" in text) and (("(v0, v1)" in text) == (dtype == "int8"))


def test_widened_integers_are_multiplied_as_they_were():
    def text(f, *operands):
        return show(lower(cv.make_jaxpr(f)(*operands), "f").program)

    signed, unsigned = np.ones((8, 500), "int8"), np.ones((500, 600), "uint8")
    words = unsigned.astype("int16")
    direct = r"= call gemm.*\(v0, v1\)"

    def wide(x, y):
        return x.astype("int32") @ y.astype("int32")

    assert re.search(direct, text(wide, signed, unsigned))
    assert re.search(direct, text(lambda x, y: wide(x, y.T), signed, unsigned.T))
    assert re.search(direct, text(np.matmul, signed.astype("int16"), words))
    # Of 8 and of 16 bits: both of 16. Not where a conversion loses a sign, or sums are longer.
    assert re.search(r"gemm.*\(v2, v1\)", text(wide, signed, words))
    assert "gemm" not in text(lambda x, y: wide(x.astype("uint32"), y), signed, unsigned)
    with cv.enable_x64():
        long = text(lambda x, y: x.astype("int64") @ y.astype("int64"), signed, unsigned)
        assert "gemm" not in long


def test_a_call_that_a_device_has_not():
    closed = cv.make_jaxpr(np.sort)(np.ones(40))
    with pytest.raises(NotImplementedError, match="has no sort"):
        lower(closed, "f", (), Target(library=Library(frozenset())))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_code_is_that_of_the_key(name):
    f, args = PROGRAMS[name]
    program = lower(simplify(cv.make_jaxpr(f)(*args)), name).program
    again = parse(key(program))
    assert again.name != program.name
    assert llvm_text(again) == llvm_text(program)


def test_programs_of_the_document():
    text = (Path(__file__).parents[2] / "docs" / "loop-ir.md").read_text()
    programs = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    assert len(programs) == 2
    for p in programs:
        assert show(parse(p.strip())) == p.strip()


@pytest.mark.parametrize("name", ["", "f", "<lambda>", 'a "b" \\ c', "two\nlines", "ü\t"])
def test_any_name(name):
    program = LoopProgram(name, Block([], []), [])
    assert parse(show(program)).name == name
