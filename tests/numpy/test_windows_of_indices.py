"""`ds`: indices for ranges of known size from a start that may be traced."""

import pytest

import covector as cv
import covector.numpy as np

X = np.arange(10)
M = X.reshape(2, 5)


def moved(i, size, stride=1, n=10):
    """The positions that are read."""
    i = i + n if i < 0 else i
    if stride == 1:
        i = min(max(i, 0), n - size)
    return [min(max(i + k * stride, 0), n - 1) for k in range(size)]


@pytest.mark.parametrize("size, stride", [(3, 1), (0, 1), (10, 1), (3, 2)])
@pytest.mark.parametrize("start", [0, 4, 8, 10, -2, -12, 100])
def test_parts_are_moved_into_bounds(start, size, stride):
    want = moved(start, size, stride)
    assert X[cv.ds(start, size, stride)].tolist() == want
    assert cv.jit(lambda x, i: x[cv.ds(i, size, stride)])(X, start).tolist() == want
    assert X[cv.ds(np.asarray(start), size, stride)].tolist() == want


@pytest.mark.parametrize("start", [0, 4, 7, 8, 10, -2, -3, 100])
def test_parts_out_of_bounds_are_not_written(start):
    at = start + 10 if start < 0 else start
    inside = at <= 7
    for op, value in (("set", 50), ("add", 50), ("multiply", 3), ("min", 0)):
        want = getattr(X.at[at : at + 3], op)(value) if inside else X

        def update(x, i, op=op, value=value):
            return getattr(x.at[cv.ds(i, 3)], op)(value)

        assert update(X, start).tolist() == want.tolist(), op
        assert cv.jit(update)(X, start).tolist() == want.tolist(), op


def test_beside_other_indices():
    cases = {
        "column": lambda i: M[:, cv.ds(i, 2)], "both": lambda i: M[cv.ds(i, 1), cv.ds(i, 2)],
        "integer": lambda i: M[i, cv.ds(i, 2)], "new axis": lambda i: M[None, ..., cv.ds(i, 2)],
        "array": lambda i: M[np.array([1, 0]), cv.ds(i, 2)],
        "backwards": lambda i: M[::-1, cv.ds(i, 2)], "steps": lambda i: M[:, ::2][:, cv.ds(i, 2)],
    }  # fmt: skip
    want = {
        "column": M[:, 1:3], "both": M[1:2, 1:3], "integer": M[1, 1:3],
        "new axis": M[None, :, 1:3], "array": M[np.array([1, 0]), 1:3], "backwards": M[::-1, 1:3],
        "steps": M[:, 2::2],
    }  # fmt: skip
    for name, f in cases.items():
        assert f(1).tolist() == want[name].tolist(), name
        assert cv.jit(f)(1).tolist() == want[name].tolist(), name
    got = cv.jit(lambda i: M.at[i, cv.ds(i, 2)].set(-1))(1)
    assert got.tolist() == M.at[1, 1:3].set(-1).tolist()
    got = cv.jit(lambda i: M.at[np.array([1, 0]), cv.ds(i, 2)].add(7))(1)
    assert got.tolist() == M.at[:, 1:3].add(7).tolist()


def test_transformations_and_references():
    rows = cv.vmap(lambda i: X[cv.ds(i, 2)])(np.arange(3))
    assert rows.tolist() == [[0, 1], [1, 2], [2, 3]]

    def f(x, i):
        return (x[cv.ds(i, 2)] ** 2).sum()

    assert cv.grad(f)(np.arange(4.0), 1).tolist() == [0.0, 2.0, 4.0, 0.0]
    ref = cv.new_ref(np.arange(6.0))

    @cv.jit
    def write(ref, i):
        ref[cv.ds(i, 2)] = 9.0

    write(ref, 3)
    assert ref[...].tolist() == [0.0, 1.0, 2.0, 9.0, 9.0, 5.0]
    assert ref[cv.ds(1, 2)].tolist() == [1.0, 2.0]


def test_forms_and_errors():
    assert cv.ds(None, 3) == slice(None)
    assert X[cv.ds(4)].tolist() == [0, 1, 2, 3]
    assert repr(cv.ds(1, 2)) == "Slice(start=1, size=2, stride=1)"
    with pytest.raises(IndexError, match="range of 11 elements of an axis of 10"):
        X[cv.ds(0, 11)]
    with pytest.raises(ValueError, match="stride of ds must be at least 1, got 0"):
        cv.ds(0, 2, 0)
    with pytest.raises(TypeError, match="size of ds must be an integer"):
        cv.jit(lambda n: X[cv.ds(0, n)])(3)
    with pytest.raises(TypeError):
        X[cv.ds(1.5, 2)]
