"""Checkpoints: trees of arrays in files."""

import collections
import errno
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.core import processes
from covector.experimental.array_serialization import (
    CorruptCheckpointError,
    _index,
    _reading,
    _writing,
    load,
    load_pytreedef,
    nonblocking_load,
    nonblocking_save,
    save,
)
from covector.sharding import AxisType
from covector.sharding import PartitionSpec as P


@pytest.fixture(autouse=True, scope="module")
def eight_devices():
    cv.config.update("num_cpu_devices", 8)
    yield
    cv.config.update("num_cpu_devices", -1)


@pytest.fixture
def mesh():
    return cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "weights"


def fails(error, text, f, *args, **kwargs):
    with pytest.raises(error, match=re.escape(text)) as info:
        f(*args, **kwargs)
    assert __file__.rsplit("/", 1)[-1] in str(info.value)
    return info.value


def same(a, b):
    """Equal to the bit."""
    a, b = onp.asarray(a), onp.asarray(b)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert a.tobytes() == b.tobytes()


def names_of(folder):
    return sorted(p.name for p in folder.iterdir())


# --- what comes back ---------------------------------------------------------------------------

DTYPES = [
    "bool", "int2", "int4", "int8", "int16", "int32", "uint2", "uint4", "uint8", "uint16",
    "uint32", "float16", "bfloat16", "float32", "complex64", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, place, mesh):
    dtype = getattr(ml_dtypes, dtype, dtype)
    x = np.array([[0, 1], [1, 0], [1, 1], [0, 0]]).astype(dtype)
    save({"x": x, "one": x[0, 1], "none": x[:0]}, place)
    found = load(place)
    same(found["x"], x)
    same(found["one"], x[0, 1])
    same(found["none"], x[:0])
    spread = cv.NamedSharding(mesh, P("x", "y"))
    same(load(place, {"x": spread, "one": cv.devices()[0], "none": cv.devices()[0]})["x"], x)


def test_wide_dtypes(place):
    with cv.enable_x64(True):
        values = [onp.arange(3).astype(d) for d in ("int64", "uint64", "float64", "complex128")]
        save([np.array(v) for v in values], place)
        for a, b in zip(load(place), values, strict=True):
            same(a, b)
    fails(ValueError, "[0] has the dtype int64 in the checkpoint, and the option enable_x64 is off",
          load, place)  # fmt: skip


def test_not_a_number_keeps_its_bits(place):
    bits = onp.array([0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000], "uint32")
    x = cv.lax.bitcast_convert_type(np.array(bits), "float32")
    save(x, place)
    same(cv.lax.bitcast_convert_type(load(place), "uint32"), bits)


def test_keys(place, mesh):
    keys = cv.random.split(cv.random.key(7), 8)
    spread = cv.NamedSharding(mesh, P("x"))
    save({"one": cv.random.key(3), "many": keys, "spread": cv.device_put(keys, spread)}, place)
    found = load(place)
    assert found["many"].dtype == keys.dtype
    for name in ("many", "spread"):
        same(cv.random.key_data(found[name]), cv.random.key_data(keys))
    same(cv.random.normal(found["one"], (3,)), cv.random.normal(cv.random.key(3), (3,)))
    like = {"one": found["one"], "many": cv.ShapeDtypeStruct((8,), keys.dtype, sharding=spread),
            "spread": spread}  # fmt: skip
    again = load(place, like)
    assert again["many"].sharding == again["spread"].sharding == spread
    same(cv.random.key_data(again["many"]), cv.random.key_data(keys))


def test_values_of_python_and_numpy(place):
    values = {"step": 3, "big": 1 << 90, "rate": 0.1, "inf": -float("inf"), "z": 1 - 0.3j,
              "on": True, "name": "größe"}  # fmt: skip
    save(values, place)
    found = load(place)
    assert found == values
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in values.items()}
    wide = onp.arange(5.0)[::2]
    save(wide, place)
    found = load(place)
    assert type(found) is onp.ndarray
    same(found, wide)
    assert found.flags.writeable


def test_read_as_what_was_saved(place):
    saved = {"numpy": onp.arange(5), "narrow": onp.ones(3, "float32"), "array": np.ones(3)}
    save(saved, place)
    found = load(place, saved)
    for name, x in saved.items():
        assert type(found[name]) is type(x) and found[name].dtype == x.dtype
        assert (onp.asarray(found[name]) == onp.asarray(x)).all()


def test_trees(place):
    a, b = np.arange(3), np.ones((2, 2))
    tree = [(), {"b": (a, None), "a": [b], 3: {}, (1, "x"): a},
            collections.OrderedDict(z=a, y=b)]  # fmt: skip
    for value in (tree[1], tree, a, None, ()):
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if isinstance(k, str)}
        save(value, place)
        assert load_pytreedef(place) == cv.tree.structure(value)
        found = load(place)
        assert cv.tree.structure(found) == cv.tree.structure(value)
        for x, y in zip(cv.tree.leaves(found), cv.tree.leaves(value), strict=True):
            same(x, y)
    fails(TypeError, "whose keys are strings, numbers or tuples", save, {frozenset(): a}, place)


Point = collections.namedtuple("Point", "x y")


def test_types_of_users(place):
    value = {"p": Point(np.arange(2), np.ones(3))}
    save(value, place)
    fails(ValueError, "test_array_serialization.Point, which a file cannot make", load, place)
    found = load(place, cv.eval_shape(lambda: value))
    assert type(found["p"]) is Point
    same(found["p"].y, value["p"].y)


# --- how arrays are split ----------------------------------------------------------------------

SPECS = [P(), P("x"), P(None, "x"), P("y", "x"), P(("x", "y")), P(None, None, ("y", "x"))]


@pytest.mark.parametrize("spec", SPECS)
def test_split_in_one_way_and_read_in_another(spec, place, mesh):
    x = onp.arange(16 * 24 * 40, dtype="float32").reshape(16, 24, 40)
    save(cv.device_put(x, cv.NamedSharding(mesh, spec)), place)
    for other in SPECS:
        where = cv.NamedSharding(mesh, other)
        found = load(place, where)
        assert found.sharding == where
        same(found, x)
        for shard in found.addressable_shards:
            same(shard.data, x[shard.index])
    same(load(place), x)
    found = load(place, cv.devices()[5])
    assert found.device == cv.devices()[5]
    same(found, x)


def test_equal_parts_are_written_once(place, mesh):
    x = np.zeros((1 << 10, 1 << 10), "int8")
    save([cv.device_put(x, cv.NamedSharding(mesh, spec)) for spec in (P(), P("x"), P("y"))], place)
    assert (place / "data-0.bin").stat().st_size == 3 << 20
    index = json.loads((place / "index.json").read_text())["index"]
    assert [len(leaf["chunks"]) for leaf in index["leaves"]] == [1, 4, 2]


def test_only_what_is_needed_is_read(place, mesh, monkeypatch):
    x = onp.arange(1 << 20, dtype="float32").reshape(1024, 1024)
    save(x, place)
    read = []
    original = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda f, to, at: read.append(original(f, to, at)) or read[-1]
    )
    index = _index.read_index(place)
    reader = _reading.LeafReader(place, index.leaves[0])
    same(reader.read(((256, 512), (0, 1024))), x[256:512])
    assert sum(read) == 1 << 20
    same(reader.read(((512, 513), (0, 1))), x[512:513, :1])
    assert sum(read) == (1 << 20) + _index.BLOCK
    read.clear()
    same(load(place, cv.NamedSharding(mesh, P("x", "y"))), x)
    assert sum(read) == 4 << 20  # once for all devices


LOAD = """
import sys
import covector as cv
from covector.experimental.array_serialization import load
from covector.sharding import PartitionSpec as P

cv.config.update("num_cpu_devices", 8)
mesh = cv.make_mesh((8,), ("x",))
where = {"nowhere": None, "device": cv.devices()[1], "whole": cv.NamedSharding(mesh, P()),
         "rows": cv.NamedSharding(mesh, P("x")), "columns": cv.NamedSharding(mesh, P(None, "x"))}
most = lambda: int(next(s for s in open("/proc/self/status") if s.startswith("VmHWM")).split()[1])
cv.numpy.zeros(3) + 1
before = most()
x = load(sys.argv[1], where[sys.argv[2]])
print((most() - before) * 1024 / x.nbytes)
"""


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("where", ["nowhere", "device", "whole", "rows", "columns"])
def test_reading_takes_little_more_memory_than_the_array(where, cut, place, mesh):
    x = np.ones((1 << 12, 1 << 12))
    save(cv.device_put(x, cv.NamedSharding(mesh, P("y", "x"))) if cut else x, place)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(place), where], check=True, capture_output=True, text=True
    )
    assert 0.9 < float(done.stdout) < 1.3


@pytest.mark.parametrize("seed", range(20))
def test_slabs_of_chunks(seed, place, monkeypatch):
    rng = onp.random.default_rng(seed)
    for module in (_index, _reading, _writing):
        monkeypatch.setattr(module, "BLOCK", 16)
    monkeypatch.setattr(_reading, "_SLAB", int(rng.integers(16, 200)))
    ndim = int(rng.integers(0, 5))
    cuts = [sorted({0, *rng.integers(0, 8, 2).tolist()}) for _ in range(ndim)]
    shape = tuple([c[-1] for c in cuts])
    x = rng.integers(0, 1000, shape).astype(rng.choice(["int16", "int32", "complex128"]))
    parts = [
        _writing.Part(0, tuple([a for a, _ in box]), x[tuple([slice(*ab) for ab in box])])
        for box in itertools.product(*[itertools.pairwise(c) for c in cuts])
    ]
    plan = _writing.plan(x, False)
    writing = _writing.Writing(place, plan._replace(parts=parts), True)
    writing.begin()
    writing.write()
    writing.end()
    (leaf,) = _index.read_index(place).leaves
    for _ in range(10):
        box = [sorted(rng.integers(0, n + 1, 2).tolist()) for n in shape]
        found = _reading.LeafReader(place, leaf).read(tuple([(a, b) for a, b in box]))
        same(found, x[tuple([slice(a, b) for a, b in box])])


def test_a_sharding_that_does_not_divide_names_the_leaf(place):
    save({"w": [np.zeros(8)]}, place)
    where = cv.NamedSharding(cv.make_mesh((3,), ("x",)), P("x"))
    fails(ValueError, "load: ['w'][0]: axis 0 of the array", load, place, {"w": [where]})


def test_arrays_are_where_new_ones_are(place):
    save(np.arange(3), place)
    with cv.default_device(cv.devices()[3]):
        x = load(place)
    assert x.device is cv.devices()[3] and not x.committed


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_a_box(seed, monkeypatch):
    rng = onp.random.default_rng(seed)
    monkeypatch.setattr(_reading, "BLOCK", 16)
    shape = tuple(rng.integers(1, 7, rng.integers(0, 4)))
    x = onp.zeros(shape, "int16")
    corners = [sorted(rng.integers(0, n + 1, 2)) for n in shape]
    box = tuple((int(a), int(b)) for a, b in corners)
    x[tuple(slice(a, b) for a, b in box)] = 1
    touched = onp.flatnonzero(x.reshape(-1)) * 2 // 16
    assert _reading._blocks_of(x, box).tolist() == sorted(set(touched.tolist()))


def test_types_are_checked(place, mesh):
    save({"a": np.ones((4, 2)), "b": [np.arange(3), 5]}, place)
    struct = cv.ShapeDtypeStruct
    fits = {"a": struct((4, 2), "float32", sharding=cv.NamedSharding(mesh, P("x"))),
            "b": [struct((3,), "int32"), 0]}  # fmt: skip
    found = load(place, fits)
    assert found["a"].sharding.spec == P("x")
    assert found["b"][1] == 5
    wrong = lambda **kw: {**fits, **kw}  # noqa: E731
    fails(ValueError, "['a'] has the shape (4, 2) in the checkpoint, and (2, 4) was asked for",
          load, place, wrong(a=struct((2, 4), "float32")))  # fmt: skip
    fails(ValueError, "['a'] has the dtype float32 in the checkpoint, and bfloat16 was asked for",
          load, place, wrong(a=struct((4, 2), "bfloat16")))  # fmt: skip
    fails(ValueError, "it has no ['c']; it has ['a'], which were not asked for",
          load, place, {"c": fits["a"], "b": fits["b"]})  # fmt: skip
    fails(ValueError, "containers are of other types", load, place, wrong(b=tuple(fits["b"])))
    fails(TypeError, "for ['a'] it has", load, place, wrong(a=object()))
    fails(ValueError, "(3,)", load, place, cv.NamedSharding(mesh, P("x")))


# --- files -------------------------------------------------------------------------------------


def test_a_checkpoint_is_replaced(place, tmp_path):
    save({"a": np.arange(3)}, place)
    fails(FileExistsError, "overwrite is False", save, {"a": np.zeros(3)}, place, overwrite=False)
    same(load(place)["a"], np.arange(3))
    save({"a": np.zeros(3)}, place)
    same(load(place)["a"], np.zeros(3))
    assert names_of(tmp_path) == ["weights"]
    assert names_of(place) == ["data-0.bin", "index.json"]
    (tmp_path / "mine").mkdir()
    save(1, tmp_path / "mine")  # nothing was in it
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text").write_text("of mine")
    e = fails(FileExistsError, "is a folder of other files, which is", save, 1, tmp_path / "notes")
    assert "as it was" not in str(e)
    fails(FileExistsError, "is a file, which is left", save, 1, tmp_path / "notes" / "text")
    assert names_of(tmp_path / "notes") == ["text"]
    save(2, tmp_path / "new" / "folders" / "x")
    assert load(tmp_path / "new" / "folders" / "x") == 2


@pytest.mark.parametrize("step", ["_write_parts", "_merge", "_put_in_place"])
def test_a_failure_at_any_step_leaves_the_old_one(step, place, tmp_path, monkeypatch):
    save(np.arange(3), place)

    def broken(*args):
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(_writing, step, broken)
    fails(OSError, "was not written: [Errno 5] the disk is gone; the one that was there is as it "
          "was", save, np.zeros(3), place)  # fmt: skip
    assert names_of(tmp_path) == ["weights"]
    same(load(place), np.arange(3))
    fails(OSError, "was not written", save, np.zeros(3), tmp_path / "other")
    assert names_of(tmp_path) == ["weights"]


def test_the_second_rename_fails(place, tmp_path, monkeypatch):
    save(np.arange(3), place)
    rename = type(place).rename

    def broken(self, to):
        if self.name == ".weights.new":
            raise OSError(errno.EIO, "no")
        return rename(self, to)

    monkeypatch.setattr(type(place), "rename", broken)
    fails(OSError, "was not written", save, np.zeros(3), place)
    assert names_of(tmp_path) == ["weights"]
    same(load(place), np.arange(3))


def test_ended_between_two_renames(place, tmp_path):
    save(np.arange(3), place)
    place.rename(tmp_path / ".weights.old")
    (tmp_path / ".weights.new").mkdir()
    same(load(place), np.arange(3))
    fails(FileExistsError, "overwrite is False", save, 1, place, overwrite=False)
    save(np.zeros(3), place)
    same(load(place), np.zeros(3))
    assert names_of(tmp_path) == ["weights"]


def test_killed_at_any_moment(place, tmp_path):
    """A process is killed while it writes one checkpoint over another, again and again."""
    program = textwrap.dedent("""
        import itertools, sys
        import numpy as np
        from covector.experimental.array_serialization import save
        for i in itertools.count(1):
            save({"a": np.full(1 << 16, i), "b": np.full(1 << 16, i)}, sys.argv[1])
            print(i, flush=True)
    """)
    last = 0
    for after in (1, 3, 4, 6):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE, text=True
        ) as child:
            written = [int(child.stdout.readline()) for _ in range(after)]
            child.kill()
        found = load(place)
        assert onp.unique(found["a"]).size == 1
        same(found["a"], found["b"])
        assert found["a"][0] >= written[-1]
        last = found["a"][0]
    assert last >= 6


def test_a_full_disk(place, tmp_path):
    save(np.arange(3), place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        fails(OSError, "File too large", save, np.zeros(1 << 20), place)
        pending = nonblocking_save(np.zeros(1 << 20), place)
        with pytest.raises(OSError, match="File too large"):
            pending.result()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_of(tmp_path) == ["weights"]
    same(load(place), np.arange(3))


def test_damaged_files(place, mesh):
    x = onp.arange(1 << 18, dtype="float32")
    save({"x": x, "y": np.ones(3)}, place)
    fails(FileNotFoundError, "there is no folder of that name", load, place.with_name("other"))
    fails(FileNotFoundError, "the folder has no index.json", load, place.parent)
    fails(TypeError, "takes the path of a folder", load, 3)
    data, index = place / "data-0.bin", place / "index.json"
    good, right = data.read_bytes(), index.read_bytes()
    data.write_bytes(good[:-4])
    fails(CorruptCheckpointError, f"it has {len(good) - 4} bytes, and {len(good)} were written",
          load, place)  # fmt: skip
    at = 300_000
    data.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
    fails(CorruptCheckpointError, "data-0.bin was changed after it was written: the checksum of "
          "bytes 262144 to 524288, of the array ['x'], is another", load, place)  # fmt: skip
    # What is not needed is not looked at.
    leaf = _index.read_index(place).leaves[0]
    same(_reading.LeafReader(place, leaf).read(((0, 10),)), x[:10])
    data.unlink()
    fails(CorruptCheckpointError, "has lost its file data-0.bin", load, place)
    data.write_bytes(good)
    for cut in (0, 10, len(right) - 5):
        index.write_bytes(right[:cut])
        fails(CorruptCheckpointError, "is not the index of a checkpoint, or was cut", load, place)
    index.write_bytes(right.replace(b"262144", b"262145", 1))
    fails(CorruptCheckpointError, "its checksum is another", load, place)
    index.write_bytes(right.replace(b'"version": 1', b'"version": 2'))
    fails(CorruptCheckpointError, "of version 2; this version of Covector reads", load, place)
    index.write_bytes(right)
    same(load(place)["x"], x)


def test_what_cannot_be_saved(place):
    x = np.arange(3)
    x.delete()
    fails(RuntimeError, "the array ['x'] was deleted", save, {"x": x}, place)
    fails(TypeError, "['f'] is", save, {"f": print}, place)
    fails(TypeError, "has the dtype object", save, onp.array([None]), place)
    fails(TypeError, "has the dtype <U1", save, onp.array(["a"]), place)
    with pytest.raises(TypeError, match="is traced"):
        cv.jit(lambda x: save(x, place))(1.0)
    assert not place.exists()


# --- threads and processes ---------------------------------------------------------------------


def test_in_the_background(place):
    x = np.arange(1 << 20)
    want = onp.array(x)
    pending = [nonblocking_save({"x": x, "i": i}, place) for i in range(4)]
    x = cv.jit(lambda x: x * 0, donate_argnums=0)(x)  # its memory is used for something else
    for p in pending:
        assert p.result(60) is None
        assert p.done()
    found = nonblocking_load(place).result()
    same(found["x"], want)
    # What fails names the line that asked for it.
    missing = nonblocking_load(place.with_name("other"))
    fails(FileNotFoundError, "no checkpoint", missing.result)
    there = nonblocking_save(x, place, overwrite=False)
    with pytest.raises(FileExistsError, match=r"arose at .*: there = nonblocking_save\(x, place"):
        there.result()


def test_of_several_processes(place, tmp_path, monkeypatch):
    """The steps of two processes, one after the other."""
    monkeypatch.setattr(_writing, "sync_global_devices", lambda name: None)
    monkeypatch.setattr(processes, "count", 2)
    x = onp.arange(8.0).reshape(4, 2)

    def both(folder, step):
        for k in (0, 1):
            monkeypatch.setattr(processes, "index", k)
            step(writers[k])

    def start():
        out = []
        for k in (0, 1):
            monkeypatch.setattr(processes, "index", k)
            made = _writing.plan({"n": onp.arange(3), "x": onp.zeros((4, 2))}, False)
            parts = [p for p in made.parts if p.leaf == 0]
            parts.append(_writing.Part(1, (2 * k, 0), x[2 * k : 2 * k + 2]))
            out.append(_writing.Writing(place, made._replace(parts=parts), True))
        return out

    writers = start()
    for step in ("begin", "write", "end"):
        both(place, lambda w, step=step: getattr(w, step)())
    assert names_of(place) == ["data-0.bin", "data-1.bin", "index.json"]
    same(load(place)["x"], x)
    same(load(place)["n"], onp.arange(3))

    # One of them cannot write: both say so, and the old one stays.
    writers = start()
    both(place, lambda w: w.begin())
    writers[1].error = OSError(errno.ENOSPC, "No space left on device")
    both(place, lambda w: w.write())
    monkeypatch.setattr(processes, "index", 0)
    fails(OSError, "process 1 has not written its part", writers[0].end)
    monkeypatch.setattr(processes, "index", 1)
    fails(OSError, "No space left on device", writers[1].end)
    assert names_of(tmp_path) == ["weights"]
    same(load(place)["x"], x)


def test_in_the_background_of_several_processes(place, tmp_path, monkeypatch):
    """Processes exchange nothing in threads: what is begun is finished by `result`."""
    steps = []
    monkeypatch.setattr(_writing, "sync_global_devices", steps.append)
    save(onp.arange(3), place)
    monkeypatch.setattr(processes, "count", 2)
    steps.clear()
    pending = nonblocking_save(onp.zeros(3), place)
    fails(RuntimeError, "call result() of what it returned", nonblocking_save, 1, place)
    fails(RuntimeError, "call result() of what it returned", save, 1, place)
    assert len(steps) == 1
    for _ in range(2):  # the other one is not there
        with pytest.raises(OSError, match="process 1 has not written its part"):
            pending.result()
    assert len(steps) == 3
    assert names_of(tmp_path) == ["weights"]
    fails(OSError, "process 1 has not written its part", save, 1, place)
    same(load(place), onp.arange(3))
