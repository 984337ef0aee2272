"""Executable: how outputs come about, donation, errors, callbacks."""

import ctypes
import gc
import sys
import threading

import numpy as np
import pytest

from .conftest import CODE

F32 = CODE["f32"]


@pytest.mark.parametrize("release_gil", [False, True])
def test_call(program, array, release_gil):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    run = program("add", (3, 4), n_in=2, release_gil=release_gil)
    (out,) = run.call([array(x), array(2 * x)])
    np.testing.assert_array_equal(np.asarray(out), 3 * x)
    assert run.name == "add" and run.params == (12,) and run.workspace_bytes == 0
    assert "add" in repr(run)


def test_arguments_are_checked(program, array):
    run = program("add", (3,), n_in=2)
    x = array(np.ones(3, np.float32))
    with pytest.raises(TypeError, match="takes 2 arrays, got 1"):
        run.call([x])
    with pytest.raises(TypeError, match="expected"):
        run.call([x, array(np.ones(4, np.float32))])
    with pytest.raises(TypeError, match="float64"):
        run.call([x, array(np.ones(3))])
    with pytest.raises(TypeError, match="expected an Array"):
        run.call([x, 1.0])
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        run.call([x, x])


def test_constants_and_workspace(program, array):
    c = array(np.float32(10))
    run = program("workspace", consts=[c], workspace_bytes=64)
    c.delete()  # the program has its own reference
    (out,) = run.call([array(np.float32(1.5))])
    assert out.item() == 13.0


def test_forwarded_and_constant_outputs(program, array):
    c, x = array(np.float32(10)), array(np.float32(1))
    spec = (F32, (), False)
    run = program(
        "status",
        params=[0],
        consts=[c],
        out_specs=[spec, (F32, (), True), spec, (F32, (), True)],
        out_kinds=[0, 0, 1 << 20, 1 << 20],
    )
    same, weak, const, weak_const = run.call([x])
    # Of one memory, but not one array.
    assert same is not x and weak is not x and weak.weak_type
    assert same.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    assert weak.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    assert const.item() == 10 and weak_const.weak_type
    const.delete()
    assert run.call([x])[2].item() == 10


def test_status(program, array):
    x = array(np.float32(1))
    with pytest.raises(MemoryError, match="status"):
        program("status", params=[1]).call([x])
    with pytest.raises(RuntimeError, match="status 2"):
        program("status", params=[2]).call([x])
    with pytest.raises(RuntimeError, match="status 77"):
        program("status", params=[77]).call([x])


def test_outputs_too_large(native, code, array):
    run = native.CpuExecutable(
        code("status"),
        [0],
        [],
        [],
        [(F32, (10**5, 10**5, 1000), False)],
        [-1],
        0,
        [],
        False,
        None,
        "x",
    )
    with pytest.raises(MemoryError, match="float32"):
        run.call([])
    run = native.CpuExecutable(code("status"), [0], [], [], [], [], 2**45, [], False, None, "x")
    with pytest.raises(MemoryError, match="workspace"):
        run.call([])


def test_bad_descriptions(program, array):
    spec = (F32, (), False)
    for bad in (
        dict(out_kinds=[]),
        dict(out_kinds=[-1, -1]),
        dict(out_kinds=[3]),
        dict(out_kinds=[-2]),
        dict(out_kinds=[1 << 20]),
        dict(donations=[(0, 1)]),
        dict(donations=[(1, 0)]),
        dict(donations=[(0, 0), (0, 0)]),
        dict(out_specs=[(F32, (2,), False)], donations=[(0, 0)]),
        dict(out_specs=[spec, spec], out_kinds=[-1, 0], donations=[(0, 1)]),
        dict(workspace_bytes=-1),
    ):
        with pytest.raises(ValueError):
            program("add_one", **bad)
    with pytest.raises(TypeError):
        program("add_one", consts=[1.0])


def donating(program, n, **kwargs):
    return program("add_one_donated", (n,), donations=[(0, 0)], **kwargs)


@pytest.mark.parametrize("n", [3, 1_000_000])
@pytest.mark.parametrize("release_gil", [False, True])
def test_donation_reuses_memory(program, array, n, release_gil):
    run = donating(program, n, release_gil=release_gil)
    x = array(np.arange(n, dtype=np.float32))
    address = x.unsafe_buffer_pointer()
    for _ in range(3):
        (y,) = run.call([x])
        assert x.is_deleted() and y.unsafe_buffer_pointer() == address
        x = y
    np.testing.assert_array_equal(np.asarray(x), np.arange(n, dtype=np.float32) + 3)


def holders():
    yield "view", lambda native, x: np.asarray(x)
    yield "array method", lambda native, x: x.__array__()
    yield "memoryview", lambda native, x: memoryview(x)
    yield "alias", lambda native, x: x._reshaped((1, 4))
    yield "dlpack", lambda native, x: native.from_dlpack_capsule(x.__dlpack__())
    yield "numpy dlpack", lambda native, x: np.from_dlpack(x)


@pytest.mark.parametrize("hold", [h for _, h in holders()], ids=[n for n, _ in holders()])
def test_donation_never_changes_what_others_see(native, program, array, hold):
    x = array(np.arange(4, dtype=np.float32))
    held = hold(native, x)
    (y,) = donating(program, 4).call([x])
    assert x.is_deleted() and y.tolist() == [1, 2, 3, 4]
    assert np.asarray(held).ravel().tolist() == [0, 1, 2, 3]


def test_donation_of_foreign_memory_copies(native, program):
    source = np.arange(4, dtype=np.float32)
    x = native.array_from_buffer(source, F32, (4,), False, True)
    (y,) = donating(program, 4).call([x])
    assert x.is_deleted() and y.tolist() == [1, 2, 3, 4] and source.tolist() == [0, 1, 2, 3]


def test_donation_of_an_argument_given_twice(program, array):
    spec = (F32, (3,))
    run = program("add", (3,), n_in=2, in_specs=[spec, spec], donations=[(0, 0)])
    x = array(np.arange(3, dtype=np.float32))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="one array as two arguments.* 0 and 1 .*x.copy()"):
            run.call([x, x])
        assert not x.is_deleted() and x.tolist() == [0, 1, 2]
    both = program("add", (3,), n_in=2, in_specs=[spec, spec], donations=[(0, 0)])
    both.donate([0, 1])
    with pytest.raises(RuntimeError, match="one array as two arguments.* 0 and 1 "):
        both.call([x, x])
    # Another array on the same memory is another array.
    (y,) = run.call([x, x._reshaped((3,))])
    assert x.is_deleted() and y.tolist() == [0, 2, 4]


def test_donated_inputs_are_deleted(program, array):
    spec = (F32, (3,))
    run = program("add", (3,), n_in=2, in_specs=[spec, spec])
    run.donate([1])
    x, y = (array(np.ones(3, np.float32)) for _ in range(2))
    assert run.call([x, y])[0].tolist() == [2, 2, 2]
    assert y.is_deleted() and not x.is_deleted()
    with pytest.raises(RuntimeError, match="deleted"):
        run.call([x, y])
    for bad in ([2], [-1]):
        with pytest.raises(ValueError, match="donated input"):
            run.donate(bad)


def test_no_leaks(native, program, array):
    run = program("add", (100,), n_in=2)
    keep = donating(program, 100)
    x = array(np.ones(100, np.float32))

    def once():
        (y,) = run.call([x, x])
        keep.call([y])
        try:
            run.call([x])
        except TypeError:
            pass
        np.asarray(x), memoryview(x), x.__dlpack__(), x.tolist(), x.aval, x.shape

    for _ in range(100):
        once()
    gc.collect()
    blocks, used = sys.getallocatedblocks(), native.allocator_stats()["bytes_in_use"]
    counts = [sys.getrefcount(o) for o in (x, run, None)]
    for _ in range(1000):
        once()
    gc.collect()
    assert native.allocator_stats()["bytes_in_use"] == used
    assert abs(sys.getallocatedblocks() - blocks) < 200
    assert all(
        abs(sys.getrefcount(o) - c) < 50 for o, c in zip((x, run, None), counts, strict=True)
    )


@pytest.mark.parametrize("release_gil", [False, True])
def test_callback(native, program, array, release_gil):
    def double(ins, outs):
        a = (ctypes.c_float * 1).from_address(ins[0])
        (ctypes.c_float * 1).from_address(outs[0])[0] = 2 * a[0]

    i = native.register_callback(double)
    run = program("callback", params=[i], release_gil=release_gil)
    assert run.call([array(np.float32(4))])[0].item() == 8
    assert native.unregister_callback(i) and not native.unregister_callback(i)
    with pytest.raises(RuntimeError, match="not registered"):
        run.call([array(np.float32(4))])


@pytest.mark.parametrize("release_gil", [False, True])
def test_exception_in_callback(native, program, array, release_gil):
    class Special(Exception):
        pass

    def fail(ins, outs):
        raise Special("from the callback")

    i = native.register_callback(fail)
    run = program("callback", params=[i], release_gil=release_gil)
    for _ in range(3):
        with pytest.raises(Special, match="from the callback"):
            run.call([array(np.float32(4))])
    native.unregister_callback(i)


@pytest.mark.parametrize("release_gil", [False, True])
def test_callback_deletes_an_argument(native, program, array, release_gil):
    x = array(np.float32(4))

    def delete(ins, outs):
        x.delete()
        native.trim_allocator()
        a = (ctypes.c_float * 1).from_address(ins[0])
        (ctypes.c_float * 1).from_address(outs[0])[0] = a[0] + 1

    i = native.register_callback(delete)
    run = program("callback", params=[i], release_gil=release_gil)
    assert run.call([x])[0].item() == 5 and x.is_deleted()
    native.unregister_callback(i)


def test_callback_calls_a_program(native, program, array):
    inner = program("add_one", ())

    def nested(ins, outs):
        a = (ctypes.c_float * 1).from_address(ins[0])
        (y,) = inner.call([array(np.float32(a[0]))])
        (ctypes.c_float * 1).from_address(outs[0])[0] = y.item()

    i = native.register_callback(nested)
    assert program("callback", params=[i]).call([array(np.float32(1))])[0].item() == 2
    native.unregister_callback(i)


def test_concurrent_calls(program, array):
    run = program("add", (10_000,), n_in=2, release_gil=True)
    failures = []

    def work(k):
        x = array(np.full(10_000, k, np.float32))
        for _ in range(200):
            (y,) = run.call([x, x])
            if not (np.asarray(y) == 2 * k).all():
                failures.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_deletion_by_another_thread_during_a_call(native, program, array):
    run = program("add_one", (2_000_000,), release_gil=True)
    for _ in range(5):
        x = array(np.zeros(2_000_000, np.float32))
        t = threading.Thread(target=x.delete)
        t.start()
        try:
            (y,) = run.call([x])
            assert (np.asarray(y) == 1).all()
        except RuntimeError:
            assert x.is_deleted()
        t.join()
