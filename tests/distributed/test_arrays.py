"""Arrays and programs over several processes."""

import pytest

from tests.distributed import jobs

SETUP = """
import covector.numpy as np
from covector import lax
from covector.experimental import multihost_utils
from covector.sharding import AxisType, NamedSharding, PartitionSpec as P
def mesh_of(shape, names):
    return cv.make_mesh(shape, names, (AxisType.Auto,) * len(names))
def fails(error, text, f, *args):
    try:
        f(*args)
    except error as e:
        assert text in str(e), e
        return
    raise AssertionError(f"no {error.__name__}: {text}")
"""

MADE = """
c = start()
assert cv.device_count() == n and cv.local_device_count() == 1
mesh = mesh_of((n,), ("x",))
s = NamedSharding(mesh, P("x"))
assert mesh.is_multi_process and mesh.local_devices == cv.local_devices()
whole = numpy.arange(16.0, dtype="f4").reshape(8, 2)
rows = slice(at * 8 // n, (at + 1) * 8 // n)
x = cv.device_put(whole, s)
made = [
    cv.make_array_from_callback((8, 2), s, lambda i: whole[i]),
    cv.make_array_from_process_local_data(s, whole[rows]),
    cv.make_array_from_process_local_data(s, whole, (8, 2)),
    cv.make_array_from_single_device_arrays((8, 2), s, [i.data for i in x.addressable_shards]),
    multihost_utils.host_local_array_to_global_array(whole[rows], mesh, P("x")),
]
for y in made:
    assert y.shape == (8, 2) and y.sharding == s and not y.is_fully_addressable
    assert bool((x == y).all())
    (shard,) = y.addressable_shards
    assert shard.device == cv.local_devices()[0] and shard.index[0] == rows, shard
    numpy.testing.assert_array_equal(shard.data, whole[rows])
    assert [d.data is None for d in y.global_shards] == [k != at for k in range(n)]
    numpy.testing.assert_array_equal(multihost_utils.process_allgather(y, tiled=True), whole)
local = multihost_utils.global_array_to_host_local_array(x, mesh, P("x"))
numpy.testing.assert_array_equal(local, whole[rows])
to_all = lambda x: multihost_utils.host_local_array_to_global_array(x, mesh, P("x"))
to_here = lambda x: multihost_utils.global_array_to_host_local_array(x, mesh, P("x"))
assert cv.make_jaxpr(to_all)(whole[rows]).out_avals[0].shape == (8, 2)
assert cv.make_jaxpr(to_here)(x).out_avals[0].shape == (8 // n, 2)
fails(TypeError, "call it outside of the compiled function", cv.jit(to_all), whole[rows])
mapped = cv.vmap(to_all, in_axes=1, out_axes=1)(whole[rows])
assert mapped.sharding.spec == P("x", None) and bool((mapped == x).all())
numpy.testing.assert_array_equal(cv.vmap(to_here, in_axes=1, out_axes=1)(x), whole[rows])
assert str(x) == repr(x) == f"Array(shape=(8, 2), dtype=float32, sharding={s!r})"
assert not x.is_fully_replicated and len(x.devices()) == n

# Laid out anew.
square = cv.device_put(whole[:, :1] * numpy.ones(n, "f4"), s)
columns = cv.device_put(square, s.update(spec=(None, "x")))
assert columns.addressable_shards[0].data.shape == (8, 1)
everywhere = cv.device_put(x, NamedSharding(mesh, P()))
numpy.testing.assert_array_equal(everywhere, whole)
assert everywhere.is_fully_replicated
assert [i.replica_id for i in everywhere.addressable_shards] == [at]

# Read where it is not.
fails(RuntimeError, "process_allgather gives all of it", numpy.asarray, x)
fails(RuntimeError, f"process {at} has a part of it", x.tolist)
fails(RuntimeError, "the values of the boolean mask, bool[8,2], which is spread over processes",
      lambda: x[x > 0])
fails(RuntimeError, "depends on the values of the argument of nonzero", np.nonzero, x)
replicated = cv.device_put(whole, NamedSharding(mesh, P()))
numpy.testing.assert_array_equal(replicated[replicated > 3], whole[whole > 3])
fails(ValueError, "is given whole, with tiled=True", multihost_utils.process_allgather, x)
fails(RuntimeError, f"are on {n} devices of {n} processes", x.unsafe_buffer_pointer)
fails(BufferError, "shard.data for shard in x.addressable_shards", numpy.from_dlpack, x)
assert x.addressable_shards[0].data.unsafe_buffer_pointer()
tree = cv.make_array_from_process_local_data(s, {"a": whole[rows]})
assert bool((tree["a"] == x).all())
fails(ValueError, "the array of the shape () has 0",
      cv.make_array_from_process_local_data, s, {"a": 1})
fails(ValueError, "do not divide its size 7" if 7 % n else "", cv.device_put,
      numpy.ones(7), s)
fails(ValueError, "it is to have either the whole or its part",
      cv.make_array_from_process_local_data, s, numpy.ones((8 // n - 1 or 3, 2)), (8, 2))
# An operation at a time.
assert (x + 1).sharding.spec == P("x") and float(x.sum()) == 120.0
numpy.testing.assert_array_equal(x[3], whole[3])
product = multihost_utils.process_allgather(x.T @ x, tiled=True)
numpy.testing.assert_array_equal(product, whole.T @ whole)
# Keys of random numbers, small dtypes, donated arrays.
keys = cv.device_put(cv.random.split(cv.random.key(0), 8), s)
noise = cv.jit(cv.vmap(lambda k: cv.random.normal(k, (3,))))(keys)
alone = cv.vmap(lambda k: cv.random.normal(k, (3,)))(cv.random.split(cv.random.key(0), 8))
numpy.testing.assert_array_equal(noise.addressable_shards[0].data, alone[rows])
for dtype in ("bfloat16", "int4", "bool", "complex64", "float8_e4m3fn"):
    y = cv.device_put(np.asarray(whole, dtype), s)
    assert bool((y == np.asarray(whole, dtype)).all()), dtype
p = cv.device_put(numpy.ones((2, 2), "f4"), NamedSharding(mesh, P()))
step = cv.jit(lambda p, x: p - 0.1 * cv.grad(lambda p: ((x @ p) ** 2).mean())(p), donate_argnums=0)
q = step(p, x)
assert p.is_deleted()
want = numpy.ones((2, 2)) - 0.1 * 2 * whole.T @ (whole @ numpy.ones((2, 2))) / 16
numpy.testing.assert_allclose(q, want, rtol=1e-5)
# Effects happen once.
seen = []
cv.jit(lambda x: cv.debug.callback(lambda v: seen.append(float(v)), x.sum()))(x)
assert seen == ([120.0] if at == 0 else [])
multihost_utils.sync_global_devices("end")
multihost_utils.assert_equal({"n": n})
if at:
    fails(AssertionError, "ranks differ: process", multihost_utils.assert_equal, at, "ranks differ")
    fails(AssertionError, f"assert_equal: process {at} has {at}, which differs from 0",
          multihost_utils.assert_equal, at)
else:
    multihost_utils.assert_equal(99, "ranks differ")
    multihost_utils.assert_equal(0)
assert multihost_utils.broadcast_one_to_all(at + 5, is_source=at == n - 1) == n + 4
print("done")
"""


@pytest.mark.parametrize("n", [2, 4])
def test_arrays(n):
    assert [o.strip() for o in jobs.run(n, SETUP + MADE)] == ["done"] * n


SEVERAL = """
cv.config.update("num_cpu_devices", at + 1 if "uneven" in os.environ else 2)
c = start()
counts = [k + 1 for k in range(n)] if "uneven" in os.environ else [2] * n
assert cv.device_count() == sum(counts) and cv.local_device_count() == counts[at]
assert [d.id for d in cv.local_devices()] == list(range(sum(counts[:at]), sum(counts[: at + 1])))
x = numpy.arange(48.0, dtype="f4").reshape(12, 4)
if "uneven" in os.environ:
    mesh = mesh_of((sum(counts),), ("x",))
    fails(NotImplementedError, "must be a block of the mesh", cv.device_put, x,
          NamedSharding(mesh, P("x")))
else:
    mesh = mesh_of((n, 2), ("x", "y"))
    a = cv.device_put(x, NamedSharding(mesh, P("x", "y")))
    assert [i.data.shape for i in a.addressable_shards] == [(12 // n, 2)] * 2
    for i in a.addressable_shards:
        numpy.testing.assert_array_equal(i.data, x[i.index])
    total = lambda b: lax.psum(b, ("x", "y"))
    f = cv.shard_map(total, mesh=mesh, in_specs=P("x", "y"), out_specs=P())
    want = x.reshape(n, 12 // n, 2, 2).sum((0, 2))
    numpy.testing.assert_array_equal(cv.jit(f)(a), want)
    numpy.testing.assert_array_equal(f(a), want)
    fails(NotImplementedError, "come before those within one", cv.device_put, x.T.copy(),
          NamedSharding(mesh, P(("y", "x"))))
    # What would lie so is gathered where nobody asks for it.
    g = cv.shard_map(lambda b: lax.all_gather(b, ("y", "x"), axis=0, tiled=True), mesh=mesh,
                     in_specs=P("x", "y"), out_specs=P("x", "y"))
    for value in (g(a), cv.jvp(g, (a,), (a,))[1], cv.jit(lambda a: cv.jvp(g, (a,), (a,))[1])(a)):
        total = multihost_utils.process_allgather(value, tiled=True)
        assert total.shape == (48, 4) and total.sum() == 4 * x.sum()
    # A device of one process: the others have nothing of arrays on it.
    there = cv.devices()[1 if at else 2]
    single = cv.sharding.SingleDeviceSharding(there)
    assert not single.is_fully_addressable and not single.addressable_devices
    assert cv.sharding.SingleDeviceSharding(cv.local_devices()[1]).is_fully_addressable
    owner = f"is a device of process {1 - at}, and this is process {at}, which cannot address it"
    for place in (there, single):
        fails(ValueError, owner, cv.device_put, x, place)
    fails(ValueError, owner, cv.jit(np.sin, device=there), x)
    fails(ValueError, owner, cv.jit(lambda x: cv.device_put(x + 1, there)), x)
    with cv.default_device(there):
        fails(ValueError, "the default device: " + repr(there), np.ones, 3)
    for make, arg in ((cv.make_array_from_callback, (x.shape, single, lambda i: x)),
                      (cv.make_array_from_process_local_data, (single, x))):
        fails(ValueError, f"has no device of this process, {at}", make, *arg)
    # Devices of this process alone.
    alone = cv.pmap(lambda r: r * 2 + lax.psum(r, "i"), "i", devices=cv.local_devices())
    twice = alone(x[:2] + at)
    numpy.testing.assert_array_equal(twice, 2 * (x[:2] + at) + (x[:2] + at).sum(0))
    own = cv.make_mesh((2,), ("z",), (AxisType.Auto,), devices=cv.local_devices())
    b = cv.device_put(x + at, NamedSharding(own, P("z")))
    assert float(cv.jit(np.sum)(b)) == (x + at).sum() and b.is_fully_addressable
print("done")
"""


@pytest.mark.parametrize("uneven", [False, True])
def test_several_devices_each(uneven):
    env = {"uneven": "1"} if uneven else {}
    assert [o.strip() for o in jobs.run(2, SETUP + SEVERAL, env=env)] == ["done"] * 2


MAPPED = """
cv.config.update("num_cpu_devices", 4 + (at if "uneven" in os.environ else 0))
c = start()
add = lambda x: x + lax.psum(x, axis_name="i")
data = np.arange(4) if at == 0 else np.arange(4, 8)
f = cv.pmap(add, axis_name="i")
if "uneven" in os.environ:
    fails(ValueError, "the processes have 4, 5. Give it some of them", f, data)
    some = [d for k in range(2) for d in cv.local_devices(k)[:4]]
    f = cv.pmap(add, axis_name="i", devices=some)
    assert str(f(data)) == ["[28 29 30 31]", "[32 33 34 35]"][at]
    print("done")
    sys.exit()
# JAX's documented example.
assert str(f(data)) == ["[28 29 30 31]", "[32 33 34 35]"][at]
assert f(data).is_fully_addressable and f(data).shape == (4,)
assert [s.device for s in f(data).addressable_shards] == cv.local_devices()
assert f(f(data)).tolist() == [280 + 4 * at + k for k in range(4)]
number = cv.pmap(lambda: lax.axis_index("i"), "i", axis_size=8)
assert number().tolist() == [4 * at + k for k in range(4)]
every = cv.pmap(add, "i", devices=cv.devices())
assert every(data).tolist() == f(data).tolist()
middle = cv.pmap(add, "i", devices=cv.devices()[2:6])
assert middle(data[:2]).tolist() == [[10, 11], [14, 15]][at]
back = cv.pmap(lambda x: lax.axis_index("i") + 0 * x, "i", devices=cv.devices()[::-1])
assert back(data).tolist() == [[4, 5, 6, 7], [0, 1, 2, 3]][at]
assert f(data[:2]).tolist() == [[10, 11], [14, 15]][at]
own = cv.pmap(add, "i", devices=cv.local_devices())
assert own(data).tolist() == [data.sum() + k for k in data]
# Arguments, results, derivatives.
x = numpy.asarray(data, "f4")
g = cv.pmap(lambda a, b, n, *, c: ((a * b).sum() ** n, lax.pmax(c, "i")), "i",
            in_axes=(1, None, None), out_axes=(-1, None), static_broadcasted_argnums=2)
one, most = g(numpy.ones((3, 4), "f4") * x, 2.0, 2, c=x)
assert one.tolist() == ((6 * x) ** 2).tolist() and float(most) == 7
column = cv.pmap(lambda a: a * np.ones(2), out_axes=-1)(x)
assert column.shape == (2, 4) and column.sharding.spec == P(None, "devices")
step = cv.pmap(lambda w, x: w - 0.1 * lax.pmean(cv.grad(lambda w: (w * x) ** 2)(w), "i"), "i",
               in_axes=(None, 0))
numpy.testing.assert_allclose(step(1.0, x), 1 - 0.1 * 2 * 17.5, rtol=1e-5)
assert cv.grad(lambda x: f(x).sum())(x).tolist() == [9.0] * 4
assert cv.jvp(f, (x,), (x,))[1].tolist() == f(x).tolist()
over = NamedSharding(cv.make_mesh((8,), ("q",)), P("q"))
assert f(cv.make_array_from_process_local_data(over, data)).tolist() == f(data).tolist()
inner = lambda r: cv.pmap(lambda e: e + lax.psum(e, ("i", "j")), "j")(r)
assert cv.pmap(inner, "i")(data[:, None] * np.ones((1, 2), int)).tolist() == [
    [k + 56] * 2 for k in data.tolist()]
given = np.asarray(x)
assert cv.pmap(lambda a: a * 2, donate_argnums=0)(given).tolist() == (x * 2).tolist()
assert given.is_deleted()
assert f.lower(data).as_text("jaxpr").startswith("{ lambda  ; a:i32[8].")
assert f.eval_shape(cv.ShapeDtypeStruct((4, 3), "float32")).shape == (8, 3)
# Errors.
fails(ValueError, "gives 5 elements along the mapped axis", f, numpy.ones(5))
fails(ValueError, "of which those given are 4", every, data[:2])
fails(ValueError, "the size over all 2 processes", cv.pmap(add, "i", axis_size=4), data)
fails(TypeError, "Call it outside of that", cv.jit(f), data)
if at:
    fails(ValueError, "devices has none of process 1",
          cv.pmap(add, "i", devices=cv.devices()[:4]), data)
fails(ValueError, "make up arrays of different shapes", cv.pmap(add, "i"), data[: 4 - at])
print("done")
"""


@pytest.mark.parametrize("uneven", [False, True])
def test_pmap_over_all_devices(uneven):
    env = {"uneven": "1"} if uneven else {}
    assert [o.strip() for o in jobs.run(2, SETUP + MAPPED, env=env)] == ["done"] * 2


CALLED = """
from covector.experimental import checkify
from covector.experimental import io_callback
cv.config.update("num_cpu_devices", int(os.environ["each"]))
c = start()
mesh = mesh_of((cv.device_count(),), ("x",))
over = NamedSharding(mesh, P("x"))
whole = numpy.arange(16.0, dtype="f4").reshape(8, 2)
x = cv.device_put(whole, over)
like = lambda a: cv.ShapeDtypeStruct(a.shape, a.dtype)
double = lambda a: numpy.asarray(a) * 2
def same(a, b):
    numpy.testing.assert_array_equal(multihost_utils.process_allgather(a, tiled=True), b)

# Each device of a shard_map has its own value.
f = cv.shard_map(lambda a: io_callback(double, like(a), a), mesh=mesh, in_specs=P("x"),
                 out_specs=P("x"), check_vma=False)
same(cv.jit(f)(x), whole * 2)
same(f(x), whole * 2)
seen = []
def watched(a):
    cv.debug.callback(lambda i: seen.append(int(i)), lax.axis_index("x"))
    return a
cv.jit(cv.shard_map(watched, mesh=mesh, in_specs=P("x"), out_specs=P("x")))(x)
cv.effects_barrier()
counts = c.allreduce(numpy.bincount(numpy.asarray(seen, int), minlength=cv.device_count()))
numpy.testing.assert_array_equal(counts, 1)

# An operation at a time.
same(cv.pure_callback(double, like(x), x), whole * 2)
row = cv.ShapeDtypeStruct((2,), "float32")
by_row = cv.vmap(lambda r: cv.pure_callback(double, row, r, vmap_method="sequential"))
same(by_row(x), whole * 2)
same(io_callback(double, like(x), x), whole * 2)
del seen[:]
cv.debug.callback(lambda a: seen.append(a.shape), x)
assert seen == ([(8, 2)] if at == 0 else []), seen

# What is raised in the first process, all raise.
def refuses(a):
    raise ValueError("not these")
for _ in range(2):
    for f in (lambda x: io_callback(refuses, like(x), x), cv.jit(lambda x: x + io_callback(
            refuses, like(x), x, ordered=True))):
        if at == 0:
            fails(ValueError, "not these", f, x)
        else:
            fails(RuntimeError, "refuses has raised in process 0, which calls it for all: "
                  "ValueError: not these", f, x)
    same(io_callback(double, like(x), x), whole * 2)

# Options that have results looked at: all processes find the same.
with cv.debug_nans(True):
    same(x * 2, whole * 2)
    fails(FloatingPointError, "in the operation log", cv.jit(lambda a: np.log(a - 1)), x)
with cv.debug_infs(True):
    fails(FloatingPointError, "(inf)", cv.jit(lambda a: 1 / a).lower(x).compile(), x)
cv.config.update("error_checking_behavior_divide", "raise")
fails(ZeroDivisionError, "by zero in div", lambda: 1 / x)
along = lambda f: cv.shard_map(f, mesh=mesh, in_specs=P("x"), out_specs=P("x"))
fails(ZeroDivisionError, "by zero in div", along(lambda v: 1 / v), x)
cv.config.update("error_checking_behavior_divide", "ignore")
last = float(whole.max())
cv.config.update("error_checking_behavior_oob", "raise")
short = np.arange(last)
for f in (lambda v: short[v.astype(int)], along(lambda v: short[v.astype(int)])):
    fails(IndexError, f"index {int(last)} is out of bounds", f, x)
    f(x - 1)
cv.config.update("error_checking_behavior_oob", "ignore")
with cv.debug_key_reuse(True):
    keys = cv.random.split(cv.random.key(0), mesh.size)
    f = lambda k: cv.random.normal(k[0], (1,)) + cv.random.normal(k[0], (1,))
    fails(cv.errors.KeyReuseError, "has used before", along(f), keys)
err, _ = checkify.checkify(along(lambda v: 1 / (v - last)), checkify.div_checks)(x)
assert err.get().startswith(f"at mapped index {mesh.size - 1}: division by zero"), err
cv.config.update("num_cpu_devices", int(os.environ["each"]))
fails(RuntimeError, "so it cannot have 5 now", cv.config.update, "num_cpu_devices", 5)
cd.shutdown()
fails(RuntimeError, "since covector.distributed.shutdown()", lambda: x + 1)
print("done")
"""


@pytest.mark.parametrize("each", [1, 2])
def test_callbacks_and_what_looks_at_results(each):
    outputs = jobs.run(2, SETUP + CALLED, env={"each": str(each)})
    assert [o.strip() for o in outputs] == ["done"] * 2


DIFFERENT = """
c = start()
mesh = mesh_of((n,), ("x",))
x = cv.device_put(numpy.ones((8, 2), "f4"), NamedSharding(mesh, P("x")))
try:
    cv.jit(lambda x: x.sum() if at == 0 else x.max())(x)
except cd.CollectiveMismatchError as e:
    assert "'sum'" in str(e) and "'max'" in str(e), e
    print("told")
"""
ALIKE = """
c = start()
mesh = mesh_of((n,), ("x",))
whole = NamedSharding(mesh, P("x"))
def total(x):
    return x.sum()
x = cv.device_put(numpy.ones((8, 2), "f4"), whole)
assert float(cv.jit(lambda x: (x * (at + 1)).sum())(x)) == sum(8 * (k + 1) for k in range(n))
try:
    # The same collective, of the sums of arrays of different shapes.
    cv.jit(total)(cv.device_put(numpy.ones((8, 2 + at), "f4"), whole))
except cd.CollectiveMismatchError as e:
    assert str(e).count("calls allreduce(float32[], 'sum') of total (") == 2, e
    print("told")
"""


@pytest.mark.parametrize("program", [DIFFERENT, ALIKE], ids=["different", "alike"])
@pytest.mark.parametrize("env", [jobs.SHARED, jobs.MESSAGES], ids=["memory", "messages"])
def test_different_programs_are_told(program, env):
    with jobs.Job(2, SETUP + program, env=env) as job:
        outputs, _ = job.wait(120)
    assert all(o.startswith("told") for o in outputs.values()), outputs


LARGE = """
import resource
c = start()
mesh = mesh_of((n,), ("x",))
s = NamedSharding(mesh, P("x"))
size = 1 << 26
program = cv.jit(lambda: np.sin(np.arange(size, dtype="f4") * 1e-6), out_shardings=s)
small = cv.jit(lambda x: (x * 2 + 1).sum())
def used():
    for line in open("/proc/self/status"):
        if line.startswith("VmData"):
            return int(line.split()[1]) << 10
run = program.lower().compile()
numpy.dot(numpy.ones((99, 99)), numpy.ones((99, 99)))  # threads' stacks, before the limit
cv.jit(np.sum)(np.ones(1000))
# Half of the array does not fit.
limit = used() + size * 4 * 3 // 4
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
x = run()
assert x.nbytes == size * 4 and x.addressable_shards[0].data.nbytes == size * 4 // n
total = float(small(x))
want = 2 * numpy.sin(numpy.arange(0, size, 1 << 10) * 1e-6).mean() + 1
assert abs(total / size - want) < 1e-3, (total / size, want)
try:
    numpy.ones(size, "f4") + numpy.ones(size, "f4")
except MemoryError:
    print("done")
"""


def test_arrays_larger_than_the_memory_of_a_process():
    assert [o.strip() for o in jobs.run(4, SETUP + LARGE)] == ["done"] * 4


TABLE = """
import zlib
sys.path.insert(0, os.environ["TESTS"])
from tests.sharding import tables
c = start()
names = [k for k in tables.NAMES if k.split(" ")[0] not in ("device_put", "io_callback")]
rng = numpy.random.default_rng(int(os.environ["SEED"]))
chosen = rng.permutation(names)[: int(os.environ["CASES"])]
mesh = mesh_of((n,), ("x",)) if n < 4 else mesh_of((2, n // 2), ("x", "y"))
with cv.enable_x64():
    for name in chosen:
        case = tables.TABLE[name]
        fun, args = tables.batched(name, 12) if case.batch else (case.fun, case.args)
        want = [numpy.asarray(x) for x in cv.tree_util.tree_leaves(cv.jit(fun)(*args))]
        specs = tables.specs_for(rng, [numpy.asarray(x) for x in args], mesh)
        given = [cv.device_put(x, NamedSharding(mesh, s)) for x, s in zip(args, specs)]
        outs = tables.specs_for(rng, want, mesh)
        tree = cv.tree_util.tree_structure(cv.eval_shape(fun, *args))
        where = tree.unflatten([NamedSharding(mesh, s) for s in outs])
        for options in ({}, {"out_shardings": where}):
            found = cv.tree_util.tree_leaves(cv.jit(fun, **options)(*given))
            for x, w in zip(found, want):
                for i in x.addressable_shards:
                    tables.check_equal(i.data, w[i.index], 1e-6, 1e-8, name)
print("done")
"""


@pytest.mark.parametrize("n", [2, 4])
def test_programs_of_the_property_tables(n, pytestconfig):
    seed = pytestconfig.getoption("sample", None)
    env = {
        "TESTS": str(pytestconfig.rootpath),
        "SEED": str(0 if seed is None else seed),
        "CASES": str(1000 if seed is None else 40),
    }
    print("seed", env["SEED"])
    outputs = jobs.run(n, SETUP + TABLE, env=env, timeout=600)
    assert [o.strip().splitlines()[-1] for o in outputs] == ["done"] * n
