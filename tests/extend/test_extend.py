"""Names and signatures of the modules for builders, and the functions that have few users."""

import inspect
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import api_util, ffi
from covector.extend import backend, core, random, sharding
from covector.extend import linear_util as lu
from covector.extend import source_info_util as si
from covector.extend.core import primitives
from covector.interpreters import batching, mlir
from covector.interpreters import partial_eval as pe

# What stands for something of XLA or of JAX's inside, and can only refuse.
MEANINGLESS = {
    "primitives.empty2_p": lambda: primitives.empty2_p.bind(dtype="float32"),
    "primitives.get_p": lambda: primitives.get_p.bind(np.ones(2)),
    "primitives.swap_p": lambda: primitives.swap_p.bind(np.ones(2), 1.0),
    "batching.register_vmappable": lambda: batching.register_vmappable(*[None] * 6),
    "batching.unregister_vmappable": lambda: batching.unregister_vmappable(list),
    "partial_eval.JaxprTracer": lambda: pe.JaxprTracer(None, None, None),
    "partial_eval.partial_eval_jaxpr_custom_rules": lambda: (
        pe.partial_eval_jaxpr_custom_rules.__setitem__(core.Primitive("test_p"), None)
    ),
    "random.define_prng_impl": lambda: random.define_prng_impl(
        key_shape=(2,), seed=None, split=None, random_bits=None, fold_in=None
    ),
    "random.rbg_prng_impl": lambda: random.rbg_prng_impl.seed(0),
    "random.unsafe_rbg_prng_impl": lambda: random.seed_with_impl(random.unsafe_rbg_prng_impl, 0),
    "backend.get_compile_options": lambda: backend.get_compile_options(1, 1),
    "sharding.GSPMDSharding": lambda: sharding.GSPMDSharding((), None),
    "sharding.get_hlo_sharding_from_serialized_proto": lambda: (
        sharding.get_hlo_sharding_from_serialized_proto(b"")
    ),
    "sharding.get_op_sharding_from_serialized_proto": lambda: (
        sharding.get_op_sharding_from_serialized_proto(b"")
    ),
    "sharding.get_serialized_proto_from_hlo_sharding": lambda: (
        sharding.get_serialized_proto_from_hlo_sharding(None)
    ),
    "ffi.register_ffi_target_as_batch_partitionable": lambda: (
        ffi.register_ffi_target_as_batch_partitionable("norm")
    ),
}


@pytest.mark.parametrize("name", MEANINGLESS)
def test_what_has_no_meaning_says_so(name):
    with pytest.raises(NotImplementedError, match=r"\w+: .{30}"):
        MEANINGLESS[name]()


def test_primitives():
    assert len(primitives.__all__) == 175
    sin_p = cv.make_jaxpr(np.sin)(1.0).eqns[0].primitive
    assert primitives.sin_p is sin_p is cv.lax.sin_p
    call = cv.make_jaxpr(cv.jit(np.sin))(1.0).eqns[0]
    assert call.primitive is primitives.jit_p and "jaxpr" in call.params
    closed = cv.make_jaxpr(lambda x: [x * 2, x])(1.0)
    assert primitives.closed_call_p.bind(3.0, call_jaxpr=closed) == [6, 3]

    def f(x):
        return primitives.call_p.bind(lu.wrap_init(lambda x: [x * x]), x)[0]

    assert cv.jit(cv.grad(f))(3.0) == 6
    assert primitives.add_jaxvals_p.bind(1.0, 2.0) == 3


def test_primitives_of_random_numbers():
    key = cv.random.key(3)
    words = cv.random.key_data
    keys = primitives.random_split_p.bind(key, shape=(2, 3))
    assert (words(keys) == words(cv.random.split(key, (2, 3)))).all()
    assert (words(primitives.random_seed_p.bind(np.arange(4))[3]) == words(key)).all()
    folded = primitives.random_fold_in_p.bind(keys, np.arange(6).reshape(2, 3))
    assert (words(folded[1, 2]) == words(cv.random.fold_in(keys[1, 2], 5))).all()
    bits = primitives.random_bits_p.bind(keys, bit_width=16, shape=(5,))
    assert (bits[1, 0] == cv.random.bits(keys[1, 0], (5,), "uint16")).all()
    draw = primitives.random_gamma_p.bind(keys, np.ones((2, 3)), log_space=False)
    assert draw[0, 1] == cv.random.gamma(keys[0, 1], 1.0)
    assert primitives.random_bits_p.bind(keys[:0], bit_width=8, shape=()).shape == (0, 3)


def test_the_generator():
    impl = random.threefry_prng_impl
    key = cv.random.key(7)
    raw = impl.seed(7)
    assert (raw == cv.random.key_data(key)).all() and raw.shape == impl.key_shape
    assert (impl.split(raw, (2,)) == cv.random.key_data(cv.random.split(key))).all()
    assert (impl.random_bits(raw, 32, (3,)) == cv.random.bits(key, (3,))).all()
    assert (impl.fold_in(raw, 1) == cv.random.key_data(cv.random.fold_in(key, 1))).all()
    # The known answer of Random123 for zeros, and JAX's for an odd number.
    got = random.threefry_2x32(np.zeros(2, "uint32"), np.zeros(2, "uint32"))
    assert got.tolist() == [0x6B200159, 0x99BA4EFE]
    got = random.threefry_2x32(np.array([1, 2], "uint32"), np.arange(4, dtype="uint32"))
    assert got.tolist() == [4128513521, 3192206206, 2345921600, 3057534555]
    assert random.threefry_2x32(raw, np.zeros((3, 1), "uint32")).shape == (3, 1)
    with pytest.raises(TypeError, match="dtype uint32, got float32"):
        random.threefry_2x32(raw, np.ones(2))


def test_flattened_arguments():
    f = lu.wrap_init(lambda x, y=0, *, z: {"sum": x["a"] + y, "z": z})
    leaves, tree = cv.tree.flatten((({"a": 1}, 2), {"z": 3}))
    flat, out = api_util.flatten_fun(f, tree)
    with pytest.raises(lu.StoreException, match="has not been called"):
        out()
    assert flat.call_wrapped(*leaves) == [3, 3]
    assert cv.tree.unflatten(out(), [5, 6]) == {"sum": 5, "z": 6}
    with pytest.raises(lu.StoreException, match="occupied"):
        flat.call_wrapped(*leaves)
    again, _ = api_util.flatten_fun(f, tree, use_eq_store=True)
    assert again.call_wrapped(*leaves) == again.call_wrapped(*leaves)
    with pytest.raises(ValueError, match="static argument 1 of .* must be hashable"):
        api_util.argnums_partial(f, (0, 2), (1, [], 3))
    part, dyn = api_util.argnums_partial(
        lu.wrap_init(lambda a, b, c: (a, b, c)), (0, -1), (1, 2, 3)
    )
    assert dyn == (1, 3) and part.call_wrapped(7, 9) == (7, 2, 9)
    structure = cv.tree.structure(((1, {"a": 2}, 3), {"k": 1, "z": [1, 2]}))
    got = api_util.donation_vector((0,), ("k",), structure)
    assert got == (True, False, False, True, False, False)
    with pytest.raises(ValueError, match="axes must be one value, or a tree that is a prefix"):
        api_util.flatten_axes("axes", cv.tree.structure((1, 2)), (0, None, 1))
    with pytest.raises(ValueError, match="not both"):
        api_util.rebase_donate_argnums((1, 3), (1,))
    assert api_util.shaped_abstractify(1.0).weak_type
    with pytest.raises(TypeError, match="neither an array nor a number"):
        api_util.shaped_abstractify("1.0")


def test_transformations_compose():
    @lu.transformation2
    def plus(f, n, *args):
        return f(*args) + n

    @lu.transformation
    def twice(*args):
        out = yield args, {}
        yield 2 * out

    f = lu.wrap_init(lambda x: x)
    assert plus(twice(f), 1).call_wrapped(3) == 7
    assert twice(plus(f, 1)).call_wrapped(3) == 8
    with pytest.raises(lu.StoreException, match="neither"):
        lu.merge_linear_aux(*[lu.transformation_with_aux(lambda: (yield))(f)[1]] * 2)


def test_scopes_and_lines():
    with si.extend_name_stack("layer"), si.transform_name_stack("vmap") as stack:
        assert si.current().name_stack == stack and str(stack) == "layer/vmap()"
        with si.reset_name_stack():
            assert len(si.current_name_stack()) == 0
    here = si.current()
    assert "test_scopes_and_lines" in si.summarize(here) and here.traceback.lineno > 0
    eqn = cv.make_jaxpr(lambda x: x + 1)(1.0).eqns[0]
    assert __file__ in si.summarize(eqn.source_info)
    assert si.new_name_stack("a") + si.new_name_stack("b") == si.new_name_stack("a").extend("b")


def test_lines_of_other_libraries_are_left_out(tmp_path):
    (tmp_path / "layers.py").write_text("import covector as cv\n\ndef add(x, y): return x + y\n")
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import covector as cv, layers
from covector.extend import source_info_util as si
add = lambda: si.summarize(cv.make_jaxpr(layers.add)(1.0, 2.0).eqns[0].source_info)
assert "layers.py" in add(), add()
si.register_exclusion({str(tmp_path)!r})
assert "layers.py" not in add(), add()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_backends():
    backend.register_backend_factory("toy_of_mine", lambda: backend.get_backend("cpu"))
    with pytest.raises(ValueError, match="already"):
        backend.register_backend_factory("toy_of_mine", lambda: None)
    with pytest.raises(RuntimeError, match="toy_of_mine.*says that its platform is"):
        backend.get_backend("toy_of_mine")
    cpu = backend.get_backend("cpu")
    assert backend.get_backend(cpu) is cpu and backend.backends()["cpu"] is cpu
    assert backend.get_default_device() == cv.devices()[0]
    for platform in ("cpu", "xla_cpu"):
        found = backend.get_backend(platform)
        client = cv.devices(platform)[0].client
        assert client.platform_version == found.platform_version != ""
        assert client.device_count() == found.local_device_count() == len(cv.devices(platform))
        assert client.local_devices() == cv.local_devices(backend=platform)
    emptied = []

    class Cache:
        def cache_clear(self):
            emptied.append(True)

    cache = Cache()
    backend.register_backend_cache(cache, "what it is for")
    backend.clear_backends()
    assert emptied == [True]


def test_types():
    x = cv.core.ShapedArray([2, 3], "float32")
    assert x.shape == (2, 3) and x.dtype == onp.float32 and x == cv.typeof(np.ones((2, 3)))
    assert isinstance(x, cv.core.AbstractValue) and isinstance(x, cv.core.ShapedArray)
    assert core.mapped_aval(3, -1, x).shape == (2,) and core.mapped_aval(9, None, x) is x
    assert core.unmapped_aval(5, -1, x).shape == (2, 3, 5)
    with pytest.raises(ValueError, match="does not have the size 4"):
        core.mapped_aval(4, 0, x)
    assert onp.float32 in core.array_types and core.no_effects == frozenset()
    assert core.JaxprTypeError is cv.errors.JaxprTypeError
    assert core.valid_jaxtype(onp.ones(2)) and not core.valid_jaxtype(onp.array("a"))


def test_modules_come_when_they_are_used():
    code = """
import sys, covector
late = ("covector.extend", "covector.interpreters", "covector.api_util", "covector.ffi",
        "covector.core.public", "covector.transforms.foreign", "covector.runtime.foreign")
loaded = [n for n in sys.modules if n.startswith(late)]
assert not loaded, loaded
assert covector.extend.core.primitives.sin_p.name == "sin"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signatures():
    """Names that programs give by keyword."""
    for f, want in (
        (core.Jaxpr, "constvars invars outvars eqns effects debug_info is_high"),
        (core.JaxprEqn, "invars outvars primitive params effs source_info ctx"),
        (core.DebugInfo, "traced_for func_src_info arg_names result_paths"),
        (core.Var, "aval initial_qdd final_qdd"),
        (cv.core.Tracer, "trace aval"),
        (cv.core.eval_jaxpr, "jaxpr consts args propagate_source_info"),
        (pe.DynamicJaxprTracer, "trace aval val line_info parent"),
        (mlir.lower_fun, "fun multiple_results"),
    ):
        assert list(inspect.signature(f).parameters) == want.split()
