"""`covector.export`: functions written to files, read back, called and transformed."""

import collections
import doctest
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import export, lax
from covector.core.dtypes import as_dtype
from covector.core.jaxpr import all_jaxprs
from covector.export._file import FRAME
from tests.property_tables import CASES, DISCRETE

TYPE = cv.ShapeDtypeStruct((3,), "float32")
X = onp.array([1.0, 2.0, 3.0], "float32")
# What calls Python has no file.
NO_FILE = {"pure_callback", "io_callback", "debug_callback", "check"}
# Answered when a program is compiled: files do not have them.
LEFT_OUT = {"inspect_sharding"}


def both(fun, *args, vjp_order=0, **options):
    """The exported function, and the one that is read from its file."""
    made = export.export(cv.jit(fun), **options)(*args)
    return made, export.deserialize(made.serialize(vjp_order=vjp_order))


def leaves(tree):
    return [onp.asarray(x) for x in cv.tree.leaves(tree)]


def same(got, want):
    assert cv.tree.structure(got) == cv.tree.structure(want)
    for x, y in zip(cv.tree.leaves(got), cv.tree.leaves(want), strict=True):
        assert x.dtype == y.dtype and x.weak_type == y.weak_type
        assert onp.asarray(x).tobytes() == onp.asarray(y).tobytes()


# --- files hold programs -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in {**CASES, **DISCRETE} if n not in NO_FILE | LEFT_OUT])
def test_every_primitive_has_a_form_in_files(name):
    case = {**CASES, **DISCRETE}[name]
    with cv.enable_x64():
        made, loaded = both(case.fun, *case.args)
    assert loaded.in_avals == made.in_avals and loaded.out_avals == made.out_avals
    ours, theirs = (list(all_jaxprs(f._closed.jaxpr)) for f in (made, loaded))
    for a, b in zip(ours, theirs, strict=False):
        if any(e.primitive.name in ("custom_vmap_call", "custom_vjp_call") for e in a.eqns):
            break  # other rules, and a call in the place of one
        assert [e.primitive for e in a.eqns] == [e.primitive for e in b.eqns]
        assert a.effects == b.effects
    if "custom" not in str(made._closed):
        assert str(loaded._closed) == str(made._closed)
    assert len(loaded._closed.consts) == len(made._closed.consts)
    for a, b in zip(loaded._closed.consts, made._closed.consts, strict=True):
        if a.dtype.kind != "K":
            assert onp.asarray(a).tobytes() == onp.asarray(b).tobytes()


@pytest.mark.parametrize("name", sorted(CASES)[::12] + sorted(set(DISCRETE) - NO_FILE)[::12])
def test_what_is_read_computes_the_same(name):
    case = {**CASES, **DISCRETE}[name]
    with cv.enable_x64():
        made, loaded = both(case.fun, *case.args)
        want = cv.jit(case.fun)(*case.args)
        same(made.call(*case.args), want)
        same(loaded.call(*case.args), want)


@pytest.mark.parametrize("name", sorted(NO_FILE))
def test_what_calls_python_is_refused(name):
    case = DISCRETE[name]
    with pytest.raises((NotImplementedError, ValueError), match="calls Python|cannot be written"):
        both(case.fun, *case.args)


ARRAYS = [
    onp.array([onp.nan, onp.inf, -onp.inf, -0.0, 5e-324, 1.1]),
    onp.array([onp.nan, -0.0, 1e-45], "float32"),
    onp.array([1.5, -0.0], "float16"),
    onp.array([1.5, -0.0], ml_dtypes.bfloat16),
    onp.array([1.5, -0.5, 2], ml_dtypes.float8_e4m3fn),
    onp.array([1, -8, 7], ml_dtypes.int4),
    onp.array([2**63 - 1, -(2**63)]),
    onp.array([2**64 - 1, 0], "uint64"),
    onp.array([True, False]),
    onp.array([1 - 2j, complex(onp.nan, -0.0)]),
    onp.zeros((0, 3), "float32"),
    onp.array(7, "int8"),
]


@pytest.mark.parametrize("x", ARRAYS, ids=lambda x: f"{x.dtype}{x.shape}")
def test_constants_and_numbers_keep_their_bits(x):
    with cv.enable_x64():
        const = np.asarray(x)
        number = np.asarray(x.reshape(-1)[0]) if x.size else np.asarray(0.0)
        made, loaded = both(lambda: (const, number, np.where(True, number, number)))
        for f in (made, loaded):
            same(f.call(), (const, number, number))


def test_python_numbers_and_keys():
    keys = cv.random.split(cv.random.key(3), 4)
    values = (1, 2.5, True, 1 + 2j, float("nan"), float("-inf"), -0.0)
    made, loaded = both(lambda: (values, keys, cv.random.normal(keys[1], (3,))))
    want = made.call()
    got = loaded.call()
    assert bool((got[1] == keys).all()) and got[1].dtype == keys.dtype
    same(got[0], want[0])
    same(got[2], cv.random.normal(keys[1], (3,)))


def test_a_file_is_the_same_each_time_and_holds_no_python():
    def fun(x):
        return {"a": lax.scan(lambda c, r: (c + r, c), 0.0, x), "b": np.sort(x)}

    one, two = (bytes(export.export(cv.jit(fun))(TYPE).serialize()) for _ in range(2))
    assert one == two
    assert bytes(export.deserialize(one).serialize()) == one
    assert b"test_export" not in one and b"pickle" not in one


SCRIPT = """
import sys
import numpy as np
import covector as cv
from covector import export

f = export.deserialize(open(sys.argv[1], "rb").read())
x = np.arange(12, dtype="float32").reshape(4, 3)
print(f.fun_name, float(f.call(x, {"w": x[0]})))
print(np.asarray(cv.grad(f.call)(x, {"w": x[0]}))[0].tolist())
print(cv.vmap(f.call, (0, None))(x[None], {"w": x[0]}).shape)
"""


def test_another_process_calls_it_without_the_source(tmp_path):
    @cv.custom_jvp
    def halved(x):
        return x / 2

    halved.defjvp(lambda primals, tangents: (halved(*primals), 10 * tangents[0]))

    def model(x, params):
        return np.sum(halved(x @ params["w"]))

    scope = export.SymbolicScope()
    rows, columns = export.symbolic_shape("rows, columns", scope=scope)
    types = (
        cv.ShapeDtypeStruct((rows, columns), "float32"),
        {"w": cv.ShapeDtypeStruct((columns,), "float32")},
    )
    path = tmp_path / "model"
    path.write_bytes(export.export(cv.jit(model))(*types).serialize(vjp_order=1))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "model 37.0\n[0.0, 10.0, 20.0]\n(1,)\n"


# --- files that are not what they should be ------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return bytes(export.export(cv.jit(lambda x: x * 2 + onp.arange(3)))(TYPE).serialize())


def test_cut_off_files(data):
    for n in [*range(1, 70), 100, len(data) // 2, len(data) - 1]:
        with pytest.raises(ValueError, match=f"cut off: it has {n} bytes"):
            export.deserialize(data[:n])


def test_damaged_files(data):
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 16
        with pytest.raises(ValueError, match="damaged|not those of|later release|cut off"):
            export.deserialize(changed)
    with pytest.raises(ValueError, match="damaged"):
        export.deserialize(data + b"more")


def test_what_is_no_file():
    for wrong in (b"", b"hello", b"\0" * 200, bytearray(b"PK\3\4" * 30)):
        with pytest.raises(ValueError, match="not those of an exported function"):
            export.deserialize(wrong)
    with pytest.raises(TypeError, match="takes the bytes"):
        export.deserialize("text")
    assert export.deserialize(memoryview(
        export.export(cv.jit(lambda x: x))(1.0).serialize())).call(2.0) == 2.0  # fmt: skip


def test_files_of_later_releases(data):
    later = bytearray(data)
    struct.pack_into("<I", later, 16, FRAME.version + 1)
    with pytest.raises(ValueError, match=f"format {FRAME.version + 1}, written by a later release"):
        export.deserialize(later)


def changed(data, change):
    """The file with another head, and the checksum of that."""
    head, blob = FRAME.unpacked(data)
    change(head)
    return FRAME.packed(head, blob)


def first_equation(head):
    return head["programs"][-1]["eqns"][0]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda h: h["functions"][0].update(version=99), ValueError, "calling convention 99"),
        (lambda h: first_equation(h).__setitem__(0, "warp"), NotImplementedError, "'warp', which"),
        (lambda h: first_equation(h)[3].update(speed=1), NotImplementedError, "in a way that"),
        (lambda h: first_equation(h)[1].__setitem__(0, 1000), ValueError, "not what this"),
        (lambda h: h["programs"][-1]["types"].__setitem__(-1, ["int8", [3], 0]), ValueError,
         "results of other types"),
        (lambda h: h.pop("programs"), ValueError, "not what this release"),
        (lambda h: h.update(functions=[]), ValueError, "holds no function"),
        (lambda h: h["functions"][0].update(out={"node": ["strange", None, []]}), ValueError,
         "type 'strange'.*register"),
        (lambda h: h["functions"][0].update({"in": {"set": []}}), ValueError, "not what this"),
        (lambda h: first_equation(h)[3].update(x={"code": "import os"}), ValueError,
         "unknown kind 'code'"),
    ],
)  # fmt: skip
def test_files_with_other_content(data, change, error, message):
    with pytest.raises(error, match=message):
        export.deserialize(changed(data, change))


def test_the_frame_is_as_documented(data):
    magic, version, head, blob, digest = struct.unpack_from("<16sIQQ32s", data)
    content = data[struct.calcsize("<16sIQQ32s") :]
    assert magic == b"covector export\n" and version == 1 and len(content) == head + blob
    assert hashlib.sha256(content).digest() == digest
    assert json.loads(content[:head])["covector"] == cv.__version__


# --- attributes and calls -------------------------------------------------------------------------


def test_attributes():
    def fun(x, *, scale):
        return {"y": x * scale}

    made = export.export(cv.jit(fun), platforms=["cpu", "tpu", "cuda"])(TYPE, scale=2.0)
    loaded = export.deserialize(made.serialize())
    for f in (made, loaded):
        assert f.fun_name == "fun" and f.platforms == ("cpu", "tpu", "cuda")
        assert f.in_tree == cv.tree.structure(((0,), {"scale": 0}))
        assert f.out_tree == cv.tree.structure({"y": 0})
        assert [a.str_short() for a in f.in_avals] == ["float32[3]", "float32[]"]
        assert f.in_avals[1].weak_type and f.out_avals[0].shape == (3,)
        assert f.nr_devices == 1 and f.module_kept_var_idx == (0, 1)
        assert f.calling_convention_version == 1 and not f.uses_global_constants
        assert f.disabled_safety_checks == () and f.ordered_effects == ()
        assert f.in_shardings_hlo == (None, None) and f.out_shardings_hlo == (None,)
        assert f.has_vjp() and "fun" in repr(f)
        same(f.call(X, scale=3.0), {"y": np.asarray(3 * X)})
        with pytest.raises(ValueError, match="structure"):
            f.call(X, 3.0)


def test_modules_are_those_of_the_platforms():
    def fun(x):
        return np.sin(x) + onp.arange(100.0, dtype="float32").sum()

    big = onp.arange(300, dtype="float32")
    made, loaded = both(lambda x: fun(x) + np.asarray(big)[:3], TYPE, platforms=["tpu", "cpu"])
    lowered = cv.jit(fun).trace(TYPE).lower(lowering_platforms=("tpu", "cuda"))
    assert lowered.as_text(platform="cuda").startswith("module @covector_fun {")
    for f in (made, loaded):
        text = f.mlir_module(serialized=False)
        assert text.startswith("module @") and text.encode() == f.mlir_module_serialized
        assert f.mlir_module(platform="cpu").decode() == made.mlir_module(False, "cpu")
        (const,) = f.module_constants
        assert onp.array_equal(const, big) and "%const0: tensor<300xf32>" in text
        with pytest.raises(ValueError, match="not for cuda"):
            f.mlir_module(platform="cuda")


def test_the_module_runs_where_it_is_called():
    """Also in XLA's compiler, to which the refined program is given."""
    (a,) = export.symbolic_shape("a")
    f = export.export(cv.jit(lambda x: np.cumsum(x) * x.shape[0]), platforms=["cpu", "xla_cpu"])(
        cv.ShapeDtypeStruct((a,), "float32")
    )
    with pytest.raises(NotImplementedError, match="symbolic sizes"):
        f.mlir_module()
    with cv.default_device(cv.devices("xla_cpu")[0]):
        out = export.deserialize(f.serialize()).call(X)
        assert out.device.platform == "xla_cpu" and out.tolist() == [3, 9, 18]


@pytest.mark.parametrize(
    "args, error, message",
    [
        ((), ValueError, "structure"),
        ((onp.ones(4, "float32"),), ValueError, r"args\[0\].shape\[0\] is 4.*exported for 3"),
        ((onp.ones(3, "int32"),), ValueError, r"args\[0\] is int32\[3\].*float32\[3\]"),
        ((onp.ones((1, 3), "float32"),), ValueError, r"args\[0\] is float32\[1,3\]"),
        (("text",), TypeError, "takes arrays"),
    ],
)
def test_arguments_that_do_not_fit(args, error, message):
    for f in both(lambda x: x, TYPE):
        with pytest.raises(error, match=message):
            f.call(*args)


def test_what_is_not_exported():
    with pytest.raises(ValueError, match="function that jit returned, got .*write export"):
        export.export(lambda x: x)
    with pytest.raises(ValueError, match="'gpu' stands for.* cuda and rocm"):
        export.export(cv.jit(lambda x: x), platforms=["gpu"])
    with pytest.raises(TypeError, match="sequence"):
        export.export(cv.jit(lambda x: x), platforms="cpu")
    with pytest.raises(ValueError, match="twice"):
        export.export(cv.jit(lambda x: x), platforms=["cpu", "cpu"])
    with pytest.raises(TypeError, match="DisabledSafetyChecks"):
        export.export(cv.jit(lambda x: x), disabled_checks=["platform"])
    with pytest.raises(NotImplementedError, match="overridden"):
        export.export(cv.jit(lambda x: x), _override_lowering_rules=[(1, 2)])
    ref = cv.new_ref(np.ones(3))
    with pytest.raises(NotImplementedError, match="references"):
        export.export(cv.jit(lambda x: x + ref[...]))(TYPE)
    with pytest.raises(NotImplementedError, match="traced values"):
        cv.jit(lambda y: export.export(cv.jit(lambda x: x + y))(TYPE))(1.0)
    with pytest.raises(ValueError, match="vjp_order"):
        export.export(cv.jit(lambda x: x))(TYPE).serialize(vjp_order=-1)


def test_static_arguments_are_left_out():
    f = export.export(cv.jit(lambda x, n: x**n, static_argnums=1))(TYPE, 3)
    assert onp.array_equal(f.call(X), X**3)


def test_platforms_of_calls():
    f = export.export(cv.jit(lambda x: x + 1), platforms=["tpu"])(TYPE)
    with pytest.raises(ValueError, match="exported for tpu, and is called where .* on cpu"):
        f.call(X)
    assert onp.array_equal(cv.jit(f.call)(X), X + 1)  # the program runs on all
    with pytest.raises(ValueError, match="unknown backend 'abacus'"):
        export.export(cv.jit(lambda x: x + 1), platforms=["abacus"])
    checks = [export.DisabledSafetyCheck.platform()]
    f, loaded = both(lambda x: x + 1, TYPE, platforms=["tpu"], disabled_checks=checks)
    assert loaded.disabled_safety_checks == tuple(checks)
    for g in (f, loaded):
        assert onp.array_equal(g.call(X), X + 1)


def test_operations_that_a_platform_does_not_run():
    with pytest.raises(NotImplementedError, match="named axes|axis"):
        export.export(cv.jit(lambda x: lax.psum_p.bind(x, axis_name="i")), platforms=["tpu"])(TYPE)
    (a,) = export.symbolic_shape("a")
    with pytest.raises(NotImplementedError, match="named axes|axis"):
        export.export(cv.jit(lambda x: lax.psum_p.bind(x, axis_name="i")), platforms=["tpu"])(
            cv.ShapeDtypeStruct((a,), "float32")
        )


def test_native_functions_are_called_if_that_is_allowed():
    check = export.DisabledSafetyCheck.custom_call("t_export")
    assert check.is_custom_call() == "t_export" and str(check) == "custom_call:t_export"
    assert export.DisabledSafetyCheck.platform().is_custom_call() is None
    assert check == export.DisabledSafetyCheck.custom_call("t_export") != "t_export"
    assert len({check, export.DisabledSafetyCheck.custom_call("t_export")}) == 1
    fun = cv.jit(lambda x: cv.ffi.ffi_call("t_export", TYPE)(x))
    with pytest.raises(ValueError, match="native function 't_export'.*custom_call"):
        export.export(fun)(TYPE)
    made = export.export(fun, disabled_checks=[check])(TYPE)
    assert made.fun_name == "<lambda>"


# --- transformations -----------------------------------------------------------------------------


MANY = onp.random.RandomState(0).normal(size=(2, 3, 4, 4)).astype("float32")
TRANSFORMED = {
    "grad": (lambda f: cv.grad(f), MANY[0, 0]),
    "both": (lambda f: cv.grad(f, (0, 1)), MANY[0, 0]),
    "jit": (cv.jit, MANY[0, 0]),
    "hessian": (cv.hessian, MANY[0, 0]),
    "jacfwd": (cv.jacfwd, MANY[0, 0]),
    "jvp": (lambda f: lambda x, y: cv.jvp(f, (x, y), (y, x)), MANY[0, 0]),
    "vjp": (lambda f: lambda x, y: cv.vjp(f, x, y)[1](onp.float32(2)), MANY[0, 0]),
    "vmap": (lambda f: cv.vmap(f, (0, None)), MANY[0]),
    "vmap of grad": (lambda f: cv.vmap(cv.grad(f), (0, None)), MANY[0]),
    "checkpoint": (lambda f: cv.grad(cv.checkpoint(f)), MANY[0, 0]),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformations_go_through_calls(name):
    def fun(x, y):
        return np.sum(np.sin(x) @ y) + 3

    transform, x = TRANSFORMED[name]
    y = MANY[1, 0]
    for f in both(fun, y, y):
        got, want = transform(f.call)(x, y), transform(fun)(x, y)
        for a, b in zip(leaves(got), leaves(want), strict=True):
            onp.testing.assert_allclose(a, b, 1e-5, 1e-5)


def test_inside_control_flow_and_other_exported_functions():
    inner, _ = both(lambda x: x * 2, 1.0)

    def outer(x):
        x = lax.fori_loop(0, 3, lambda i, s: inner.call(s), x)
        return lax.cond(x > 0, inner.call, lambda s: s, x)

    for f in both(outer, 1.0):
        assert f.call(1.0) == 16 and cv.grad(f.call)(1.0) == 16


def custom(kind):
    """A function whose derivative is said to be ten times the value."""
    if kind == "jvp":
        fun = cv.custom_jvp(lambda x: np.exp(x))
        fun.defjvp(lambda p, t: (fun(*p), 10 * fun(*p) * t[0]))
        return fun
    fun = cv.custom_vjp(lambda x: np.exp(x))
    fun.defvjp(lambda x: (fun(x), x), lambda x, ct: (10 * fun(x) * ct,))
    return fun


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_derivative_rules_of_users(kind):
    fun = custom(kind)
    made = export.export(cv.jit(lambda x: np.sum(fun(x))))(TYPE)
    for order in range(3):
        loaded = export.deserialize(made.serialize(vjp_order=order))
        g = loaded.call
        for _ in range(order):
            g = cv.grad(lambda x, g=g: np.sum(g(x)))
        onp.testing.assert_allclose(g(X), 10.0**order * onp.exp(X).sum() if order == 0 else
                                    10.0**order * onp.exp(X), 1e-5)  # fmt: skip
        with pytest.raises(ValueError, match="vjp_order"):
            cv.grad(lambda x, g=g: np.sum(g(x)))(X)
    loaded = export.deserialize(made.serialize(vjp_order=1))
    again = export.deserialize(loaded.serialize(vjp_order=1))
    onp.testing.assert_allclose(cv.grad(again.call)(X), 10 * onp.exp(X), 1e-5)
    mapped = cv.vmap(cv.grad(again.call))(onp.stack([X, X]))
    onp.testing.assert_allclose(mapped, 10 * onp.exp([X, X]), 1e-5)


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_derivative_rules_of_mapped_and_closed_functions(kind):
    fun = custom(kind)

    def model(x, s):
        inner = lambda row: np.sum(fun(row)) * s  # noqa: E731
        return np.sum(cv.vmap(inner)(x))

    x = onp.ones((2, 3), "float32")
    a, b = export.symbolic_shape("a, b")
    types = [cv.ShapeDtypeStruct((a, b), "float32"), cv.ShapeDtypeStruct((), "float32")]
    want = cv.grad(model, (0, 1))(x, onp.float32(2))
    for args in ((x, onp.float32(2)), types):
        for f in both(model, *args, vjp_order=1):
            got = cv.grad(f.call, (0, 1))(x, onp.float32(2))
            for u, v in zip(leaves(got), leaves(want), strict=True):
                onp.testing.assert_allclose(u, v, 1e-5)


def test_rules_of_users_for_mapped_functions_give_way():
    fun = cv.custom_batching.custom_vmap(lambda x: x + 1)
    fun.def_vmap(lambda n, batched, x: (x + 100, batched[0]))
    made, loaded = both(fun, TYPE)
    assert onp.array_equal(loaded.call(X), X + 1)
    assert onp.array_equal(cv.vmap(made.call)(X[None]), X[None] + 100)
    assert onp.array_equal(cv.vmap(loaded.call)(X[None]), X[None] + 1)


def test_backward_passes():
    def fun(x, n):
        return {"y": np.sin(x) * n, "n": n + 1, "z": np.sum(x)}

    n = onp.arange(3, dtype="int32")
    made = export.export(cv.jit(fun), platforms=["cpu", "tpu"])(X, n)
    for order in (0, 1, 2):
        for f in (made, export.deserialize(made.serialize(vjp_order=order))):
            back = f.vjp()
            assert back is f.vjp() and back.fun_name == "fun_vjp"
            assert back.platforms == ("cpu", "tpu")
            assert [a.str_short() for a in back.in_avals] == [
                "float32[3]", "int32[3]", "float32[3]", "float32[]",
            ]  # fmt: skip
            (ct,) = back.call(X, n, onp.ones(3, "float32"), onp.float32(2))
            onp.testing.assert_allclose(ct, onp.cos(X) * n + 2, 1e-5)
            assert "cosine" in back.mlir_module(serialized=False)
            second = back.vjp().call(X, n, X, onp.float32(2), X)
            assert len(second) == 3


def test_the_backward_pass_with_symbolic_sizes():
    a, b = export.symbolic_shape("a, b")
    made = export.export(cv.jit(lambda x: np.sum(np.tanh(x) ** 2, 0)))(
        cv.ShapeDtypeStruct((a, b), "float32")
    )
    x = onp.random.RandomState(0).normal(size=(3, 2)).astype("float32")
    ct = onp.ones(2, "float32")
    want = 2 * onp.tanh(x) * (1 - onp.tanh(x) ** 2)
    for f in (made, export.deserialize(made.serialize(vjp_order=1))):
        assert [str(d) for d in f.vjp().in_avals[1].shape] == ["b"]
        onp.testing.assert_allclose(f.vjp().call(x, ct)[0], want, 1e-5, 1e-6)
        onp.testing.assert_allclose(cv.grad(lambda x, f=f: f.call(x).sum())(x), want, 1e-5, 1e-6)


# --- structures ----------------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")
Other = collections.namedtuple("Other", "x y")


class Box:
    def __init__(self, x, label):
        self.x, self.label = x, label


cv.tree_util.register_pytree_node(Box, lambda b: ((b.x,), b.label), lambda a, xs: Box(*xs, a))
export.register_namedtuple_serialization(Point, serialized_name="tests.Point")
export.register_pytree_node_serialization(
    Box, serialized_name="tests.Box", serialize_auxdata=str.encode,
    deserialize_auxdata=bytes.decode,
)  # fmt: skip


def test_structures():
    def fun(a, *, b):
        return Point({"z": a[0], "a": [a[1], None, ()]}, Box(b["k"], "out")), {2: a[0], 1: a[1]}

    args = ((1.0, collections.OrderedDict(v=2.0, u=3.0)),)
    kwargs = {"b": {"k": Box(4.0, "in")}}
    made = export.export(cv.jit(fun))(*args, **kwargs)
    loaded = export.deserialize(made.serialize())
    assert loaded.in_tree == made.in_tree and loaded.out_tree == made.out_tree
    (point, numbered), _ = loaded.call(*args, **kwargs), None
    assert list(point.x) == ["z", "a"] and point.x["a"][1:] == [None, ()]
    assert list(numbered) == [2, 1] and point.y.label == "out" and point.y.x.x == 4
    assert list(point.x["a"][0]) == ["v", "u"]
    with pytest.raises(ValueError, match="structure"):
        loaded.call(*args, b={"k": Box(4.0, "other")})


def test_structures_without_a_serialization():
    made = export.export(cv.jit(lambda x: Other(x, x)))(1.0)
    assert made.call(2.0).y == 2
    with pytest.raises(ValueError, match="type Other .*register_namedtuple_serialization"):
        made.serialize()
    made = export.export(cv.jit(lambda f: f(1.0)))(cv.tree_util.Partial(np.add, 1.0))
    with pytest.raises(ValueError, match="register_pytree_node_serialization"):
        made.serialize()


def test_serializations_that_clash():
    with pytest.raises(ValueError, match="already, 'tests.Point'"):
        export.register_namedtuple_serialization(Point, serialized_name="again")
    with pytest.raises(ValueError, match="name 'tests.Point' is that of Point"):
        export.register_namedtuple_serialization(Other, serialized_name="tests.Point")
    with pytest.raises(ValueError, match="type of named tuples"):
        export.register_namedtuple_serialization(int, serialized_name="tests.int")
    with pytest.raises(ValueError, match="built in"):
        export.register_pytree_node_serialization(
            dict, serialized_name="d", serialize_auxdata=bytes, deserialize_auxdata=bytes
        )
    with pytest.raises(TypeError, match="takes a type"):
        export.register_pytree_node_serialization(
            3, serialized_name="d", serialize_auxdata=bytes, deserialize_auxdata=bytes
        )


def test_auxiliary_data_must_be_bytes():
    class Bad(Box):
        pass

    cv.tree_util.register_pytree_node(Bad, lambda b: ((b.x,), b.label), lambda a, xs: Bad(*xs, a))
    export.register_pytree_node_serialization(
        Bad, serialized_name="tests.Bad", serialize_auxdata=lambda a: a,
        deserialize_auxdata=lambda b: b,
    )  # fmt: skip
    with pytest.raises(TypeError, match="serialize_auxdata of tests.Bad must return bytes"):
        export.export(cv.jit(lambda b: b.x))(Bad(1.0, "text")).serialize()


def test_donation_is_of_calls():
    exported = export.export(cv.jit(lambda x: x + 1, donate_argnums=0))(np.ones(3))
    for loaded in (exported, export.deserialize(exported.serialize())):
        x = np.arange(3.0) * 2
        loaded.call(x)
        cv.jit(loaded.call)(x)
        assert not x.is_deleted()
        cv.jit(loaded.call, donate_argnums=0)(x)
        assert x.is_deleted()


def test_the_page_of_the_documentation():
    page = pathlib.Path(__file__).parents[1] / "docs" / "export.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert not failed and tried > 15


def test_the_versions():
    assert export.minimum_supported_calling_convention_version <= (
        export.maximum_supported_calling_convention_version
    )
    assert export.default_export_platform() == "cpu" and as_dtype("float32") == onp.float32
