"""Functions of arrays of symbolic sizes: what can be exported for sizes that are not known."""

import covector as cv
import covector.numpy as np
from covector import export, lax


def spec(*shapes, c=(), dtype="float32"):
    """Types of arguments with sizes of one scope."""
    scope = export.SymbolicScope(c)
    return [cv.ShapeDtypeStruct(export.symbolic_shape(s, scope=scope), dtype) for s in shapes]


S = cv.ShapeDtypeStruct
# Each: the function, and the types of its arguments.
CASES = dict(
    sin=(lambda x: np.sin(x) * 2 + x, spec("a, b")),
    addb=(lambda x, y: x + y, spec("a, b", "b")),
    sum=(lambda x: np.sum(x, 0), spec("a, b")),
    mean=(lambda x: np.mean(x, axis=1), spec("a, b")),
    var=(lambda x: np.var(x), spec("a, b")),
    std=(lambda x: np.std(x, axis=0), spec("a, b")),
    softmax=(lambda x: cv.nn.softmax(x), spec("a, b")),
    lse=(lambda x: cv.nn.logsumexp(x, 1), spec("a, b")),
    dot=(lambda x, y: x @ y, spec("a, b", "b, c")),
    einsum=(lambda x, y: np.einsum("bij,bjk->bik", x, y), spec("a, b, 3", "a, 3, c")),
    tensordot=(lambda x, y: np.tensordot(x, y, 1), spec("a, b", "b, c")),
    bc=(lambda x: np.broadcast_to(x, (7, *x.shape)), spec("a, b")),
    resh=(lambda x: x.reshape(-1), spec("a, b")),
    resh2=(lambda x: x.reshape(x.shape[0], -1), spec("a, b, c")),
    resh3=(lambda x: np.reshape(x, (x.shape[0] * x.shape[1], 4)), spec("a, b, 4")),
    resh4=(lambda x: x.reshape(2, -1), spec("2*a, b")),
    resh5=(lambda x: x.reshape(-1, 2), spec("a", c=["mod(a,2)==0"])),
    resh6=(lambda x: x.reshape(-1, x.shape[1]), spec("a,b,c")),
    ravel=(lambda x: np.ravel(x), spec("a, b")),
    flat=(lambda x: x.T.flatten(), spec("a, b")),
    conc=(lambda x, y: np.concatenate([x, y], 0), spec("a, b", "c, b")),
    stack=(lambda x: np.stack([x, x], 1), spec("a, b")),
    sl=(lambda x: x[:, 1:3], spec("a, 5")),
    sl2=(lambda x: x[1:], spec("a, b", c=["a >= 2"])),
    sl3=(lambda x: x[0], spec("a, b")),
    sl4=(lambda x: x[-1], spec("a, b")),
    sl5=(lambda x: x[:, :-1], spec("a, b")),
    sl6=(lambda x: x[::2], spec("a, b")),
    sl7=(lambda x: x[None, :, None], spec("a, b")),
    sl8=(lambda x: x[::-1], spec("a, b")),
    sl9=(lambda x: x[: x.shape[0] // 2], spec("a, b")),
    zeros=(lambda x: np.zeros(x.shape), spec("a, b")),
    oneslike=(lambda x: np.ones_like(x), spec("a, b")),
    full=(lambda x: np.full((x.shape[0], 3), 2.0), spec("a, b")),
    arange=(lambda x: x * np.arange(x.shape[0]), spec("a")),
    iota=(lambda x: lax.iota("int32", x.shape[0]), spec("a")),
    eye=(lambda x: np.eye(x.shape[0]), spec("a")),
    tril=(lambda x: np.tril(x), spec("a,b")),
    where=(lambda x: np.where(x > 0, x, 0), spec("a, b")),
    maxx=(lambda x: np.max(x, 1), spec("a, b")),
    argmax=(lambda x: np.argmax(x, 1), spec("a, b")),
    cumsum=(lambda x: np.cumsum(x, 1), spec("a, b")),
    sort=(lambda x: np.sort(x), spec("a, b")),
    argsort=(lambda x: np.argsort(x, 0), spec("a, b")),
    median=(lambda x: np.median(x, 0), spec("a, b")),
    tr=(lambda x: x.T, spec("a, b")),
    swap=(lambda x: np.swapaxes(x, 0, 1), spec("a, b")),
    exp=(lambda x: np.expand_dims(x, 1), spec("a, b")),
    sq=(lambda x: np.squeeze(x, 1), spec("a, 1, b")),
    pad=(lambda x: np.pad(x, ((1, 2), (0, 0))), spec("a, b")),
    take=(lambda x: np.take(x, np.array([0, 1]), axis=1), spec("a, b")),
    gather=(lambda x, i: x[i], [*spec("a, b"), S((3,), "int32")]),
    at=(lambda x: x.at[0].set(1.0), spec("a, b")),
    atadd=(lambda x: x.at[:, 0].add(1.0), spec("a, b")),
    scan=(lambda x: lax.scan(lambda c, r: (c + r, c * r), np.zeros(x.shape[1]), x), spec("a, b")),
    fori=(lambda x: lax.fori_loop(0, x.shape[0], lambda i, s: s + i, 0.0), spec("a, b")),
    wh=(lambda x: lax.while_loop(lambda s: np.sum(s) < 9, lambda s: s + 1, x), spec("a, b")),
    cond=(lambda x: lax.cond(np.sum(x) > 0, np.sin, np.cos, x), spec("a, b")),
    vmap=(lambda x, y: cv.vmap(lambda r: r @ y)(x), spec("a, b", "b")),
    vmap2=(lambda x, y: cv.vmap(lambda r: np.sum(r @ y))(x), spec("a, b, c", "c, d")),
    grad=(lambda x: cv.grad(lambda z: np.sum(np.sin(z) ** 2) / z.shape[0])(x), spec("a, b")),
    gradsm=(lambda x: cv.grad(lambda z: np.sum(cv.nn.softmax(z) ** 2))(x), spec("a, b")),
    graddot=(
        lambda x, y: cv.grad(lambda z, y: np.sum((z @ y) ** 2), (0, 1))(x, y),
        spec("a, b", "b, c"),
    ),
    gradmax=(lambda x: cv.grad(lambda z: np.sum(np.max(z, 0)))(x), spec("a, b")),
    gradsl=(lambda x: cv.grad(lambda z: np.sum(z[1:] ** 2))(x), spec("a, b", c=["a >= 2"])),
    gradconc=(lambda x: cv.grad(lambda z: np.sum(np.concatenate([z, z], 1) ** 2))(x), spec("a, b")),
    inner=(lambda x: cv.jit(lambda y: y * y.shape[0])(x), spec("a, b")),
    relu=(lambda x: cv.nn.relu(x), spec("a, b")),
    gelu=(lambda x: cv.nn.gelu(x), spec("a, b")),
    silu=(lambda x: cv.nn.silu(x), spec("a, b")),
    ln=(
        lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5),
        spec("a, b"),
    ),
    onehot=(lambda i: cv.nn.one_hot(i, 10), spec("a", dtype="int32")),
    onehot2=(lambda i: cv.nn.one_hot(i, i.shape[0]), spec("a", dtype="int32")),
    conv=(
        lambda x, k: lax.conv_general_dilated(
            x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        [*spec("b, 8, 8, 3"), S((3, 3, 3, 4), "float32")],
    ),
    conv2=(
        lambda x, k: lax.conv_general_dilated(
            x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        [*spec("b, h, w, 3", c=["h>=3", "w>=3"]), S((3, 3, 3, 4), "float32")],
    ),
    conv3=(
        lambda x, k: lax.conv_general_dilated(
            x, k, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        [*spec("b, h, w, 3", c=["h>=3", "w>=3"]), S((3, 3, 3, 4), "float32")],
    ),
    pool=(
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
        spec("b, h, w, 3", c=["h>=2", "w>=2"]),
    ),
    dyn=(
        lambda x, i: lax.dynamic_slice_in_dim(x, i, 2, 0),
        [*spec("a, b", c=["a>=2"]), S((), "int32")],
    ),
    dus=(lambda x, y: lax.dynamic_update_slice(x, y, (1, 0)), spec("a, b", "1, b")),
    tile=(lambda x: np.tile(x, (2, 1)), spec("a, b")),
    repeat=(lambda x: np.repeat(x, 3, axis=0), spec("a, b")),
    split=(lambda x: np.split(x, 2, axis=1), spec("a, 4")),
    split2=(lambda x: np.split(x, 2, axis=0), spec("2*a, 4")),
    linspace=(lambda x: np.linspace(0, 1, x.shape[0]), spec("a", c=["a >= 2"])),
    norm=(lambda x: np.linalg.norm(x), spec("a, b")),
    attention=(
        lambda q, k, v: cv.nn.dot_product_attention(q, k, v),
        spec("b, t, 2, 8", "b, s, 2, 8", "b, s, 2, 8"),
    ),
    causal=(
        lambda q, k, v: cv.nn.dot_product_attention(q, k, v, is_causal=True),
        spec("b, t, 2, 8", "b, t, 2, 8", "b, t, 2, 8"),
    ),
    div=(lambda x: np.sum(x) * (1 / x.shape[0]) + x.shape[0] ** 0.5, spec("a, b")),
    roll=(lambda x: np.roll(x, 1, 0), spec("a, b")),
    flip=(lambda x: np.flip(x, 0), spec("a, b")),
    diff=(lambda x: np.diff(x, axis=0), spec("a, b")),
    outer=(lambda x, y: np.outer(x, y), spec("a", "b")),
    chol=(lambda x: np.linalg.cholesky(x), spec("a, a")),
    solve=(lambda x, y: np.linalg.solve(x, y), spec("a, a", "a, b")),
    inv=(lambda x: np.linalg.inv(x), spec("a, a")),
    fft=(lambda x: np.fft.fft(x), spec("a, b")),
    rnd=(lambda x: cv.random.normal(cv.random.key(0), x.shape), spec("a, b")),
    rnd2=(lambda x: cv.random.uniform(cv.random.PRNGKey(0), (x.shape[0],)), spec("a, b")),
    topk=(lambda x: lax.top_k(x, 2), spec("a, b", c=["b>=2"])),
    segsum=(lambda x, i: cv.ops.segment_sum(x, i.astype("int32"), 4), spec("a, b", "a")),
    meshg=(lambda x, y: np.meshgrid(x, y), spec("a", "b")),
    isnan=(lambda x: np.isnan(x).any(), spec("a, b")),
    clip=(lambda x: np.clip(x, 0, 1).astype("float16"), spec("a, b")),
    prod=(lambda x: np.prod(x, 0), spec("a, b")),
    remat=(
        lambda x: cv.grad(lambda z: cv.checkpoint(lambda y: np.sum(np.sin(y)))(z))(x),
        spec("a, b"),
    ),
    sizex=(lambda x: x / x.size, spec("a, b")),
    gradstep=(lambda x: cv.grad(lambda z: np.sum(z[::2] ** 2))(x), spec("a, b")),
    gradstep1=(lambda x: cv.grad(lambda z: np.sum(z[1::2, ::3] ** 3))(x), spec("a, b")),
    gradstep2=(lambda x: cv.grad(lambda z: np.sum(z[::-2] ** 2))(x), spec("a, b")),
    grad2step=(
        lambda x: cv.jvp(cv.grad(lambda z: np.sum(z[1::2] ** 3)), (x,), (x,)),
        spec("a, b"),
    ),
    gradrfft=(
        lambda x: cv.grad(lambda z: np.sum(abs(np.fft.rfft(z)) ** 2))(x),
        spec("a, b"),
    ),
    gradirfft=(
        lambda x: cv.grad(lambda z: np.sum(np.fft.irfft(z, z.shape[1]).real ** 2))(x),
        spec("a, b"),
    ),
    gradrfft2=(lambda x: cv.grad(lambda z: np.sum(abs(np.fft.rfft2(z))))(x), spec("a, 5")),
    roll1=(lambda x: np.roll(x, x.shape[0] - 3, 0), spec("a, b")),
    roll2=(lambda x: np.roll(x, (1, -x.shape[0]), (0, 1)), spec("a, b")),
    roll3=(lambda x: np.roll(x, np.argmax(x)), spec("a, b")),
    gradroll=(lambda x: cv.grad(lambda z: np.sum(np.roll(z, 1) * z))(x), spec("a, b")),
    far=(lambda x, i: np.concatenate([x, x])[i], [*spec("a, b"), S((3,), "int32")]),
    far1=(
        lambda x, i: np.tile(x, (3, 1)).at[i, 0].add(1.0),
        [*spec("a, b"), S((), "int32")],
    ),
    far2=(
        lambda x: np.take_along_axis(np.concatenate([x, x]), np.argsort(x, 0), 0),
        spec("a, b"),
    ),
)


def numbered(**groups):
    """Functions of one array of shape (a, b), of whose sizes nothing is known: indices may lie
    outside, parts may be empty."""
    return {
        f"{name}{i}": (fun, spec("a, b"))
        for name, funs in groups.items()
        for i, fun in enumerate(funs)
    }


CASES |= numbered(
    index=[
        lambda x: x[2],
        lambda x: x[-3],
        lambda x: x[:, 3],
        lambda x: x[2, -2],
        lambda x: x[..., 2],
        lambda x: x[None, 2],
        lambda x: x[2:4, 3],
        lambda x: x[2][None],
        lambda x: x[np.array([0, 1]), 2],
        lambda x: x[1:][::-1],
        lambda x: x[::-2],
        lambda x: x[3:],
        lambda x: x[:-2],
        lambda x: x[::3][1:],
        lambda x: x[x.shape[0] - 1],
        lambda x: np.take(x, 2, axis=0),
        lambda x: np.take(x, np.array([2, 0]), axis=0, mode="clip"),
        lambda x: np.broadcast_to(x[2], x.shape),
    ],
    update=[
        lambda x: x.at[2].set(5.0),
        lambda x: x.at[2].add(5.0),
        lambda x: x.at[-3].mul(5.0),
        lambda x: x.at[2, 2].set(1.0),
        lambda x: x.at[2, :].max(x[0]),
        lambda x: x.at[2].apply(np.sin),
        lambda x: x.at[1:].mul(2.0),
        lambda x: x.at[1:].set(x[1:] * 2),
        lambda x: x.at[:-1].add(x[1:]),
        lambda x: x.at[::2].set(0.0),
        lambda x: x.at[1::2].add(1.0),
        lambda x: x.at[::2].set(x[::2] * 3),
        lambda x: x.at[::-1].set(x),
        lambda x: x.at[1:, ::3].mul(2.0),
        lambda x: x.at[2].get(mode="fill", fill_value=-1),
        lambda x: x.at[2].get(mode="clip"),
        lambda x: x.at[x.shape[0] - 1].set(0.0),
    ],
    pad=[
        lambda x: np.pad(x, (0, x.shape[0])),
        lambda x: np.pad(x, x.shape[1]),
        lambda x: np.pad(x, ((0, -x.shape[0] % 4), (1, 0)), mode="edge"),
        lambda x: np.pad(x, ((0, -x.shape[0] % 4), (1, 0)), constant_values=((1, 2), (3, 4))),
    ],
    diagonal=[
        lambda x: np.diag(np.outer(x[:, 0], x[:, 0])),
        lambda x: np.diagonal(x, 1),
        lambda x: np.diagonal(x, -1),
        lambda x: np.trace(x, 1),
        lambda x: np.diag(x[:, 0], 1),
        lambda x: np.tril_indices(x.shape[0]),
        lambda x: np.tril_indices(x.shape[0], 1, x.shape[1]),
        lambda x: np.triu_indices(x.shape[0], -1, x.shape[1]),
        lambda x: np.triu_indices(x.shape[0], 1),
        lambda x: np.fill_diagonal(x, 0.0, inplace=False),
    ],
    linalg=[
        lambda x: np.linalg.det(x @ x.T),
        lambda x: np.linalg.svd(x, full_matrices=False)[1],
        lambda x: np.abs(np.linalg.qr(x)[1]),
        lambda x: np.linalg.pinv(x),
        lambda x: np.linalg.matrix_rank(x),
    ],
    search=[
        lambda x: np.nonzero(x > 0.5, size=3),
        lambda x: np.nonzero(x > 0.5, size=x.size),
        lambda x: np.argwhere(x > 0.5, size=x.shape[0]),
        lambda x: lax.top_k(x.T, x.shape[0]),
        lambda x: np.lexsort((x[:, 0], x[:, 1])),
        lambda x: np.isin(x, x[0]),
        lambda x: np.isin(np.arange(x.size), np.arange(x.shape[0]) * 3),
        lambda x: np.searchsorted(np.sort(x[:, 0]), x[:, 1]),
        lambda x: np.interp(x[:, 0], np.sort(x[:, 0]), x[:, 1]),
        lambda x: np.unique(x, size=3),
        lambda x: np.unique(x > 0.5, size=2),
        lambda x: np.flatnonzero(x > 0.5, size=2),
        lambda x: np.setdiff1d(x[:, 0], x[0], size=2),
    ],
    transform=[
        lambda x: cv.jacrev(lambda y: y * 2)(x),
        lambda x: cv.jacfwd(lambda y: np.sin(y))(x),
        lambda x: cv.jacrev(lambda y: (y.sum(0), y[0] * 2))(x),
        lambda x: cv.jacfwd(lambda y, z: (y * z).sum(1), (0, 1))(x, x + 1),
        lambda x: cv.hessian(lambda y: (y**3).sum())(x),
        lambda x: cv.grad(
            lambda y: lax.reduce_window(y, 0.0, lax.add, (2, 1), (2, 1), "VALID").sum()
        )(x),
        lambda x: cv.grad(lambda y: (y[2] ** 2).sum())(x),
        lambda x: cv.grad(lambda y: (y.at[2].set(0.0) ** 2).sum())(x),
        lambda x: cv.grad(lambda y: (y.at[1:].mul(3.0) ** 2).sum())(x),
        lambda x: cv.grad(lambda y: (y.at[1::2].mul(3.0) ** 2).sum())(x),
        lambda x: cv.vmap(lambda r: r[2])(x),
        lambda x: cv.vmap(lambda r: r.at[2].set(0.0))(x),
        lambda x: cv.vmap(lambda i: x[i])(np.arange(x.shape[0])),
        lambda x: cv.vmap(lambda i: lax.dynamic_slice(x, (i, 0), (1, x.shape[1])))(
            np.arange(x.shape[0])
        ),
    ],
    size=[
        lambda x: cv.ops.segment_sum(x, np.zeros(x.shape[0], int), x.shape[0]),
        lambda x: cv.ops.segment_max(x, np.arange(x.shape[0]) // 2, x.shape[0]),
        lambda x: np.packbits(x > 0.5, axis=0),
        lambda x: np.unpackbits(np.packbits(x > 0.5, axis=1), axis=1),
        lambda x: np.insert(x, 1, 0.0, axis=0),
        lambda x: np.insert(x, x.shape[0], 9.0, axis=0),
        lambda x: np.insert(x, 0, x[0], axis=0),
        lambda x: np.delete(x, 0, axis=0),
        lambda x: np.delete(x, -1, axis=1),
        lambda x: np.fft.fftfreq(x.shape[0]),
        lambda x: np.fft.rfftfreq(x.shape[0], 0.1),
        lambda x: np.array(x.shape),
        lambda x: np.array([x.shape[0], 2.5]),
        lambda x: np.asarray([[x.shape[0], 1], [2, x.shape[1]]]),
        lambda x: cv.nn.one_hot(np.arange(3), x.shape[0] * 2),
        lambda x: cv.nn.one_hot(np.arange(3).astype("int8"), x.shape[0] * 2),
        lambda x: np.repeat(x, x.shape[1], axis=0),
        lambda x: np.repeat(x, x.shape[0]),
        lambda x: np.bincount(np.zeros(x.shape[0], int), length=x.shape[1]),
        lambda x: lax.scan(lambda c, _: (c + 1.0, c), 0.0, None, length=x.shape[0]),
        lambda x: cv.random.choice(cv.random.key(0), x.shape[0], (2,)),
        lambda x: lax.slice_in_dim(x, 0, x.shape[0], 2),
        lambda x: lax.index_in_dim(x, x.shape[0] - 1),
        lambda x: np.zeros(8 * ((x.shape[0] + 7) // 8)) + np.zeros(x.shape[0] + (-x.shape[0] % 8)),
    ],
    window=[
        lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 1), (1, 1), "VALID"),
        lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (2, 2), "VALID"),
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (2, 2), (2, 2), "SAME"),
        lambda x: cv.image.resize(x, (x.shape[0] * 2, x.shape[1]), "nearest"),
        lambda x: cv.image.resize(x, (3, 3), "nearest"),
        lambda x: cv.image.resize(x, (3, 3), "bilinear"),
        lambda x: cv.image.resize(x, (x.shape[0] * 2, x.shape[1] + 1), "cubic"),
        lambda x: cv.scipy.ndimage.map_coordinates(x, [x[:, 0], x[:, 0]], 1),
        lambda x: cv.scipy.ndimage.map_coordinates(
            x, [x[:, 0] * 3, x[:, 0] * 2], 1, mode="reflect"
        ),
        lambda x: cv.scipy.ndimage.map_coordinates(x, [x[:, 0] * 3, x[:, 0] * 2], 1, mode="wrap"),
        lambda x: cv.scipy.ndimage.map_coordinates(
            x, [x[:, 0] * 3, x[:, 0] * 2], 1, mode="nearest"
        ),
        lambda x: cv.scipy.ndimage.map_coordinates(x, [x[:, 0] * 3, x[:, 0] * 2], 0),
    ],
    more=[
        lambda x: np.arange(x.shape[0], 0, -1),
        lambda x: np.arange(x.shape[1], 2 * x.size, 3),
        lambda x: np.cov(np.stack([x[:, 0], x[:, 0] ** 2])),
        lambda x: np.corrcoef(np.stack([x.ravel(), x.ravel() ** 2, np.arange(x.size)])),
        lambda x: np.resize(x, (3, x.shape[1])),
        lambda x: np.resize(x, 5),
        lambda x: np.pad(x, ((0, (4 - x.shape[0] % 4) % 4), (0, 0))).reshape(
            (x.shape[0] + 3) // 4, 4, -1
        ),
        lambda x: np.linalg.multi_dot([x, x.T, x]),
        lambda x: cv.random.gamma(cv.random.key(0), x),
        lambda x: cv.scipy.ndimage.map_coordinates(x, [x[:, 0] * 3, x[:, 0] * 2], 1, mode="mirror"),
        lambda x: cv.image.scale_and_translate(
            x, (3, x.shape[1]), (0,), np.array([2.0]), np.array([0.5]), "linear"
        ),
        lambda x: np.intersect1d(x, x[:2, 0], size=2),
        lambda x: np.unique(x, size=x.shape[0], return_inverse=True),
        lambda x: np.split(x, [x.shape[0] // 2]),
        lambda x: np.split(x, [2, 1, -2]),
        lambda x: lax.reduce_window(x, 0.0, lax.add, (3, 1), (2, 1), "SAME"),
        lambda x: lax.conv_general_dilated(x[None], np.ones((1, x.shape[0], 3)), (2,), "SAME"),
        lambda x: cv.vmap(lambda i: lax.dynamic_update_slice(x, np.ones((1, 1)), (i, i)))(
            np.arange(x.shape[1])
        ),
    ],
)
