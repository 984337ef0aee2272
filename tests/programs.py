"""Programs of the kind that people write, in terms of the modules they are given.

`programs` returns functions without arguments; the tests run them on Covector and on JAX.
"""

import dataclasses
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as onp


def programs(cv: ModuleType, np: ModuleType) -> dict[str, Callable[[], Any]]:
    """The programs, by name."""
    lax, nn, random = cv.lax, cv.nn, cv.random
    tree = cv.tree_util
    found = {}

    def prog(f):
        found[f.__name__] = f
        return f

    key = random.key(0)

    @prog
    def transformer():
        D, H, L, V, T, B = 32, 4, 2, 50, 16, 3

        def init(k):
            ks = iter(random.split(k, 100))
            g = nn.initializers.glorot_normal()

            def blk():
                return dict(
                    qkv=g(next(ks), (D, 3 * D)),
                    o=g(next(ks), (D, D)),
                    w1=g(next(ks), (D, 4 * D)),
                    w2=g(next(ks), (4 * D, D)),
                    g1=np.ones(D),
                    g2=np.ones(D),
                )

            return dict(
                emb=random.normal(next(ks), (V, D)) * 0.1,
                pos=random.normal(next(ks), (T, D)) * 0.1,
                blocks=[blk() for _ in range(L)],
                out=g(next(ks), (D, V)),
            )

        def ln(x, g):
            m = x.mean(-1, keepdims=True)
            return (x - m) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * g

        def apply(p, tok):
            x = p["emb"][tok] + p["pos"][: tok.shape[-1]]
            mask = np.tril(np.ones((tok.shape[-1],) * 2, bool))
            for b in p["blocks"]:
                h = ln(x, b["g1"]) @ b["qkv"]
                q, k, v = np.split(h, 3, -1)

                def r(a):
                    return a.reshape(*a.shape[:-1], H, D // H).swapaxes(-2, -3)

                q, k, v = map(r, (q, k, v))
                s = q @ k.swapaxes(-1, -2) / np.sqrt(D / H)
                s = np.where(mask, s, -1e9)
                a = nn.softmax(s) @ v
                x = x + a.swapaxes(-2, -3).reshape(x.shape) @ b["o"]
                x = x + nn.gelu(ln(x, b["g2"]) @ b["w1"]) @ b["w2"]
            return x @ p["out"]

        def loss(p, tok):
            lg = nn.log_softmax(apply(p, tok[:, :-1]))
            return -np.take_along_axis(lg, tok[:, 1:, None], -1).mean()

        p = init(key)
        tok = random.randint(random.key(1), (B, T), 0, V)

        @cv.jit
        def step(p, m, tok, i):
            l, g = cv.value_and_grad(loss)(p, tok)
            m = tree.tree_map(lambda m, g: 0.9 * m + g, m, g)
            return tree.tree_map(lambda p, m: p - 0.1 * m, p, m), m, l

        m = tree.tree_map(np.zeros_like, p)
        ls = []
        for i in range(5):
            p, m, l = step(p, m, tok, i)
            ls.append(l)
        return np.stack(ls)

    @prog
    def hmc():
        def logp(x):
            return -0.5 * np.sum(x**2 / np.array([1.0, 4.0])) - 0.1 * np.sum(x**4)

        g = cv.grad(logp)

        def leap(x, v, eps, n):
            def body(_, s):
                x, v = s
                v = v + 0.5 * eps * g(x)
                x = x + eps * v
                return x, v + 0.5 * eps * g(x)

            return lax.fori_loop(0, n, body, (x, v))

        def step(x, k):
            k1, k2 = random.split(k)
            v = random.normal(k1, x.shape)
            x2, v2 = leap(x, v, 0.1, 10)
            a = logp(x2) - 0.5 * v2 @ v2 - logp(x) + 0.5 * v @ v
            x = np.where(np.log(random.uniform(k2)) < a, x2, x)
            return x, x

        run = cv.jit(cv.vmap(lambda k, x: lax.scan(step, x, random.split(k, 50))[1]))
        return run(random.split(key, 4), np.zeros((4, 2))).mean((0, 1))

    @prog
    def kalman():
        A = np.array([[1.0, 0.1], [0.0, 1.0]])
        C = np.array([[1.0, 0.0]])
        Q = 0.01 * np.eye(2)
        R = 0.1 * np.eye(1)

        def step(s, y):
            m, P = s
            m = A @ m
            P = A @ P @ A.T + Q
            S = C @ P @ C.T + R
            K = np.linalg.solve(S, C @ P).T
            m = m + K @ (y - C @ m)
            P = P - K @ S @ K.T
            return (m, P), (m, np.linalg.slogdet(S)[1])

        ys = random.normal(key, (40, 1))
        f = cv.jit(lambda ys: lax.scan(step, (np.zeros(2), np.eye(2)), ys))
        return f(ys), cv.grad(lambda ys: f(ys)[1][0].sum())(ys)

    @prog
    def gp():
        x = np.linspace(0, 1, 30)
        y = np.sin(6 * x)

        def nll(th):
            l, s, n = np.exp(th)
            K = s * np.exp(-0.5 * ((x[:, None] - x[None]) / l) ** 2) + (n + 1e-4) * np.eye(30)
            L = np.linalg.cholesky(K)
            a = np.linalg.solve(L.T, np.linalg.solve(L, y))
            return 0.5 * y @ a + np.log(np.diag(L)).sum()

        v, g = cv.jit(cv.value_and_grad(nll))(np.array([-1.0, 0.0, -3.0]))
        return v, g

    @prog
    def life():
        def step(x, _):
            n = sum(
                np.roll(x, (i, j), (0, 1))
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if (i, j) != (0, 0)
            )
            return ((n == 3) | ((x == 1) & (n == 2))).astype(np.int32), n.max()

        x = random.bernoulli(key, 0.3, (32, 32)).astype(np.int32)
        return cv.jit(lambda x: lax.scan(step, x, None, length=20))(x)

    @prog
    def vae():
        def mlp(p, x):
            for w, b in p[:-1]:
                x = nn.relu(x @ w + b)
            return x @ p[-1][0] + p[-1][1]

        ks = random.split(key, 6)

        def lay(k, i, o):
            return (random.normal(k, (i, o)) * 0.1, np.zeros(o))

        p = dict(
            enc=[lay(ks[0], 20, 16), lay(ks[1], 16, 8)], dec=[lay(ks[2], 4, 16), lay(ks[3], 16, 20)]
        )
        x = random.normal(ks[4], (64, 20))

        def elbo(p, k, x):
            h = mlp(p["enc"], x)
            mu, ls = np.split(h, 2, -1)
            z = mu + np.exp(ls) * random.normal(k, mu.shape)
            r = mlp(p["dec"], z)
            return ((r - x) ** 2).sum(-1).mean() + (0.5 * (mu**2 + np.exp(2 * ls) - 1) - ls).sum(
                -1
            ).mean()

        @cv.jit
        def step(p, k):
            l, g = cv.value_and_grad(elbo)(p, k, x)
            return tree.tree_map(lambda p, g: p - 0.01 * g, p, g), l

        out = []
        for i in range(4):
            p, l = step(p, random.fold_in(key, i))
            out.append(l)
        return np.array(out)

    @prog
    def implicit():
        @functools.partial(cv.custom_vjp, nondiff_argnums=(0,))
        def fp(f, a, x0):
            return lax.while_loop(
                lambda s: np.abs(s[0] - s[1]).max() > 1e-6,
                lambda s: (s[1], f(a, s[1])),
                (x0, f(a, x0)),
            )[1]

        def fwd(f, a, x0):
            x = fp(f, a, x0)
            return x, (a, x)

        def bwd(f, res, ct):
            a, x = res
            _, vx = cv.vjp(lambda x: f(a, x), x)
            u = lax.fori_loop(0, 50, lambda i, u: ct + vx(u)[0], ct)
            _, va = cv.vjp(lambda a: f(a, x), a)
            return va(u)[0], np.zeros_like(x)

        fp.defvjp(fwd, bwd)

        def f(a, x):
            return 0.5 * (x + a / x)

        return cv.jit(cv.vmap(cv.grad(lambda a: fp(f, a, np.ones_like(a)))))(
            np.array([2.0, 3.0, 5.0])
        )

    @prog
    def dataclass_state():
        @functools.partial(tree.register_dataclass, data_fields=["x", "v"], meta_fields=["dt"])
        @dataclasses.dataclass
        class S:
            x: Any
            v: Any
            dt: float

        def step(s, _):
            return dataclasses.replace(s, x=s.x + s.dt * s.v, v=s.v - s.dt * s.x), s.x

        s, xs = cv.jit(lambda s: lax.scan(step, s, None, length=100))(
            S(np.ones(3), np.zeros(3), 0.1)
        )
        return (
            s.x,
            xs[-1],
            cv.jacfwd(lambda x: lax.scan(step, S(x, np.zeros(3), 0.1), None, length=10)[0].x)(
                np.ones(3)
            ),
        )

    @prog
    def bfgs():
        def rosen(x):
            return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

        g = cv.grad(rosen)

        def body(s):
            x, H, gx, i = s
            p = -H @ gx

            def ls(t):
                return lax.while_loop(
                    lambda t: (rosen(x + t * p) > rosen(x) + 1e-4 * t * (gx @ p)) & (t > 1e-8),
                    lambda t: t * 0.5,
                    t,
                )

            t = ls(1.0)
            s_ = t * p
            xn = x + s_
            gn = g(xn)
            y = gn - gx
            r = 1 / (y @ s_ + 1e-12)
            I = np.eye(x.size)
            H = (I - r * np.outer(s_, y)) @ H @ (I - r * np.outer(y, s_)) + r * np.outer(s_, s_)
            return xn, H, gn, i + 1

        x = np.array([-1.2, 1.0, 1.0, 1.0])
        out = cv.jit(
            lambda x: lax.while_loop(
                lambda s: (np.linalg.norm(s[2]) > 1e-3) & (s[3] < 100),
                body,
                (x, np.eye(4), g(x), 0),
            )
        )(x)
        return out[0]

    @prog
    def rnn_lstm():
        def cell(p, c, x):
            h, cc = c
            z = np.concatenate([x, h]) @ p["w"] + p["b"]
            i, f, g, o = np.split(z, 4)
            cc = nn.sigmoid(f) * cc + nn.sigmoid(i) * np.tanh(g)
            h = nn.sigmoid(o) * np.tanh(cc)
            return (h, cc), h

        p = dict(w=random.normal(key, (12, 32)) * 0.2, b=np.zeros(32))
        xs = random.normal(random.key(3), (5, 20, 4))

        def f(p):
            return cv.vmap(
                lambda x: lax.scan(
                    cv.checkpoint(lambda c, x: cell(p, c, x)), (np.zeros(8), np.zeros(8)), x
                )[1]
            )(xs).sum()

        return cv.jit(cv.value_and_grad(f))(p)

    @prog
    def ctc_like_dp():
        def edit(a, b):
            def row(prev, ai):
                def cell(left, t):
                    bj, up, diag = t
                    c = np.minimum(np.minimum(left + 1, up + 1), diag + (ai != bj))
                    return c, c

                first = prev[0] + 1
                _, r = lax.scan(cell, first, (b, prev[1:], prev[:-1]))
                r = np.concatenate([first[None], r])
                return r, None

            return lax.scan(row, np.arange(b.size + 1), a)[0][-1]

        a = random.randint(key, (6, 20), 0, 4)
        b = random.randint(random.key(5), (6, 25), 0, 4)
        return cv.jit(cv.vmap(edit))(a, b)

    @prog
    def sorting_stats():
        x = random.normal(key, (200, 5))
        f = cv.jit(
            lambda x: (
                np.percentile(x, np.array([5.0, 50.0, 95.0]), axis=0),
                np.cov(x.T),
                np.corrcoef(x.T),
                np.histogram(x, 10)[0],
                np.argsort(x, 0)[:3],
                np.unique(np.round(x), size=12),
            )
        )
        return f(x)

    @prog
    def masks_and_loops():
        x = onp.arange(12.0).reshape(3, 4).astype("f")
        y = np.asarray(x)
        return (
            y[y > 5],
            np.nonzero(y % 3 == 0),
            np.where(y > 3),
            y.at[y > 8].set(0.0),
            y.at[1:, ::2].multiply(3.0),
            y[::-1, np.array([0, 2])],
            np.argwhere(y > 9),
            y.at[np.array([0, 2]), :].add(1),
            np.delete(y, 1, 0),
            np.insert(y, 1, 9.0, axis=1),
        )

    @prog
    def second_order():
        def f(x):
            return np.sum(np.tanh(x) ** 3) * np.prod(x)

        x = np.array([0.5, 1.0, 2.0])

        def hvp(v):
            return cv.jvp(cv.grad(f), (x,), (v,))[1]

        return cv.hessian(f)(x), cv.vmap(hvp)(np.eye(3)), cv.jacfwd(cv.jacrev(cv.grad(f)))(x)

    @prog
    def cnn_by_patches():
        x = random.normal(key, (4, 12, 12))
        w = random.normal(random.key(2), (3, 3))

        def conv(x):
            return sum(w[i, j] * x[i : i + 10, j : j + 10] for i in range(3) for j in range(3))

        f = cv.jit(cv.vmap(cv.value_and_grad(lambda x: nn.relu(conv(x)).sum())))
        return f(x)

    @prog
    def linalg_misc():
        a = random.normal(key, (5, 4, 4))
        s = a @ a.swapaxes(-1, -2) + np.eye(4)
        b = random.normal(random.key(2), (5, 4))
        w, v = np.linalg.eigh(s)
        q, r = np.linalg.qr(a)
        return (
            np.linalg.inv(s),
            np.linalg.det(a),
            w,
            np.abs(q),
            np.linalg.pinv(a),
            np.linalg.solve(s, b[..., None]),
            np.linalg.svd(a, compute_uv=False),
            np.linalg.matrix_rank(a),
            np.linalg.norm(a, axis=(1, 2)),
            cv.grad(lambda s: np.linalg.slogdet(s)[1].sum() + np.linalg.eigh(s)[0][:, 0].sum())(s),
            cv.vmap(lambda m: np.linalg.matrix_power(m, 3))(s),
        )

    @prog
    def rng():
        k1, k2 = random.split(random.PRNGKey(7))
        return (
            random.gumbel(k1, (5,)),
            random.laplace(k2, (5,)),
            random.beta(k1, 2.0, 3.0, (4,)),
            random.dirichlet(k1, np.ones(3), (2,)),
            random.poisson(k1, 3.0, (5,)),
            random.multivariate_normal(k1, np.zeros(2), np.array([[2.0, 0.5], [0.5, 1.0]]), (3,)),
            random.truncated_normal(k1, -1.0, 1.0, (4,)),
            random.t(k1, 4.0, (3,)),
            random.rademacher(k1, (4,)),
            random.choice(k1, np.arange(10), (4,), replace=False),
            random.permutation(k1, np.arange(6).reshape(3, 2)),
            random.orthogonal(k1, 3),
        )

    return found
