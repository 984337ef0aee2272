"""What it takes to add a primitive, a pass, a backend: done in a copy of the package, the files
counted."""

import filecmp
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import covector

PACKAGE = Path(covector.__file__).parent


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "covector", ignore=ignored)
    return tmp_path


def insert(path, before, text):
    """Put text before a line of a file."""
    whole = path.read_text()
    assert whole.count(before) == 1
    path.write_text(whole.replace(before, textwrap.dedent(text) + before))


def run(folder, code):
    env = dict(os.environ, PYTHONPATH=str(folder), COVECTOR_ENABLE_COMPILATION_CACHE="0")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def touched(folder):
    """The files of the copy that differ from the package's, and those that are new."""
    out = []
    for path in (folder / "covector").rglob("*"):
        ours = PACKAGE / path.relative_to(folder / "covector")
        if path.is_file() and "__pycache__" not in path.parts:
            if not ours.exists() or not filecmp.cmp(path, ours, shallow=False):
                out.append(str(path.relative_to(folder / "covector")))
    return sorted(out)


def test_a_rewrite_rule_is_one_function(copy):
    insert(
        copy / "covector/compiler/passes/identities.py",
        '@IDENTITIES.rule("select_n of a literal = the case", select_n_p)\n',
        """\
        from covector.primitives.arithmetic import neg_p


        @IDENTITIES.rule("neg of neg = x", neg_p)
        def _twice(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
            earlier = s.define(ins[0], neg_p)
            return earlier.invars[0] if earlier is not None else None


        """,
    )
    text = run(
        copy,
        """
        import covector as cv
        f = lambda x: -(-x) * 2
        print(cv.debug.show(f, cv.numpy.ones(3), stage="simplified"))
        assert cv.jit(f)(cv.numpy.arange(3.0)).tolist() == [0, 2, 4]
        """,
    )
    assert "neg" not in text and "mul" in text
    assert touched(copy) == ["compiler/passes/identities.py"]


def test_a_pass_is_one_file_and_its_place_in_the_list(copy):
    passes = copy / "covector/compiler/passes"
    (passes / "powers.py").write_text(
        textwrap.dedent(
            '''\
            """Powers that are products."""

            from covector.compiler.passes.rewriter import Table
            from covector.primitives.arithmetic import mul_p
            from covector.primitives.arithmetic import integer_pow_p

            POWERS = Table("powers")


            @POWERS.rule("integer_pow x 2 = mul x x", integer_pow_p)
            def _square(s, eqn, ins, aval):
                if eqn.params["y"] == 2:
                    return s.emit(eqn, mul_p, [ins[0], ins[0]], {}, aval)
            '''
        )
    )
    manager = passes / "manager.py"
    text = manager.read_text()
    text = text.replace("TABLES = (", "TABLES = (POWERS, ")
    text = text.replace(
        '    Pass("folding"', '    Pass("powers", "squares are products"),\n    Pass("folding"'
    )
    text = text.replace(
        "from covector.compiler.passes.regions",
        "from covector.compiler.passes.powers import POWERS\nfrom covector.compiler.passes.regions",
    )
    manager.write_text(text)
    out = run(
        copy,
        """
        import covector as cv
        from covector.compiler import passes
        x = cv.numpy.arange(3.0)
        print([p.name for p in passes.PASSES])
        print(cv.debug.show(lambda x: x**2, x, stage="simplified"))
        with passes.without("powers"):
            print(cv.debug.show(lambda x: x**2, x, stage="simplified"))
        assert cv.jit(lambda x: x**2)(x).tolist() == [0, 1, 4]
        """,
    )
    assert "'powers'" in out and out.count("mul a a") == 1 and out.count("integer_pow") == 1
    assert touched(copy) == ["compiler/passes/manager.py", "compiler/passes/powers.py"]


def test_a_backend_is_a_folder(copy):
    """It changes no file of the package."""
    folder = copy / "distribution"
    (folder / "covector_tiny").mkdir(parents=True)
    (folder / "covector_tiny-1.0.dist-info").mkdir()
    (folder / "covector_tiny-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: covector-tiny\nVersion: 1.0\n"
    )
    (folder / "covector_tiny-1.0.dist-info/entry_points.txt").write_text(
        "[covector.backends]\ntiny = covector_tiny:Backend\n"
    )
    (folder / "covector_tiny/__init__.py").write_text(
        textwrap.dedent(
            '''\
            """A backend that can add."""

            import numpy as np

            from covector import _native
            from covector.core import dtypes
            from covector.core.backend import LoweringRules
            from covector.core.jaxpr import Literal
            from covector.primitives.arithmetic import add_p

            RULES = LoweringRules()


            @RULES.rule(add_p)
            def _add(eqn, x, y):
                return x + y


            class Device:
                platform = device_kind = "tiny"
                id = process_index = 0


            class Buffer:
                def __init__(self, value):
                    self.value = value

                def to_host(self):
                    return np.ascontiguousarray(self.value)


            class Module:
                platform, dialects, default_dialect = "tiny", ("jaxpr",), "jaxpr"

                def __init__(self, closed, donated, name):
                    self.closed, self.name = closed, name

                def as_text(self, dialect):
                    return str(self.closed)

                def compile(self, device, placement):
                    closed = self.closed
                    spec = lambda a: (dtypes.code_of[a.dtype], a.shape, a.weak_type)

                    def run(arrays):
                        env = dict(zip(closed.jaxpr.invars, map(np.asarray, arrays)))
                        read = lambda a: a.val if isinstance(a, Literal) else env[a]
                        for e in closed.eqns:
                            env[e.outvars[0]] = RULES[e.primitive](e, *map(read, e.invars))
                        return [self.array(env[v], v.aval, placement) for v in closed.jaxpr.outvars]

                    ins, outs = map(spec, closed.in_avals), map(spec, closed.out_avals)
                    executable = _native.HostedExecutable(run, [*ins], [*outs], self.name)
                    return type("Program", (), {"executable": executable})

                @staticmethod
                def array(value, aval, placement):
                    value = np.asarray(value, aval.dtype)
                    code = dtypes.code_of[aval.dtype]
                    return _native.opaque_array(
                        Buffer(value), code, aval.shape, aval.weak_type, placement
                    )


            class Backend:
                platform = "tiny"

                def __init__(self):
                    self._device = Device()

                def devices(self):
                    return [self._device]

                def put(self, x, device, placement):
                    return Module.array(np.asarray(x), x.aval, placement)

                def lower(self, jaxpr, donated, name):
                    return Module(jaxpr, donated, name)
            '''
        )
    )
    run(
        copy,
        f"""
        import sys
        sys.path.insert(0, {str(folder)!r})
        import covector as cv
        x = cv.device_put(cv.numpy.arange(3.0), cv.devices("tiny")[0])
        y = cv.jit(lambda a: a + a + 1)(x)
        assert y.platform() == "tiny" and y.committed and y.tolist() == [1, 3, 5], y
        assert cv.device_put(y, cv.devices("cpu")[0]).tolist() == [1, 3, 5]
        """,
    )
    assert touched(copy) == []


def test_an_elementwise_operation_is_a_row_and_an_emission_line(copy):
    """The Gudermannian: the row gives its function with docstring, derivative and batching."""
    insert(
        copy / "covector/primitives/exponential.py",
        "logistic_p = unary(\n",
        '''\
        gd_p = unary(
            "gd",
            FLOAT,
            derivative=slopes(lambda g, x: div(g, cosh(x))),
            cost=40,
            values=[((0.0,), 0.0), ((inf,), pi / 2)],
            doc=doc(
                "Elementwise Gudermannian function.",
                """
                >>> np.round(lax.gd(np.array([0.0, 1.0])), 4)
                Array([0.    , 0.8658], dtype=float32)
                """,
            ),
        )

        ''',
    )
    insert(
        copy / "covector/backends/cpu/numerics/elementary.py",
        '    "cbrt": lambda x: numerics.power.cbrt(x),\n',
        '    "gd": lambda x: 2.0 * numerics.inverse_trig.atan(numerics.exponential.tanh(x / 2)),\n',
    )
    run(
        copy,
        """
        import doctest
        import covector as cv, covector.numpy as np
        from covector import lax
        from covector.core.rules import ELEMENTWISE
        x = np.linspace(-2.0, 2.0, 40)
        want = 2 * np.arctan(np.tanh(x / 2))
        for got in (lax.gd(x), cv.jit(lax.gd)(x), cv.vmap(lax.gd)(x)):
            assert np.allclose(got, want, atol=1e-6)
        slope = cv.vmap(cv.grad(lax.gd))(x)
        assert np.allclose(slope, 1 / np.cosh(x), atol=1e-6)
        second = cv.vmap(cv.jacfwd(cv.grad(lax.gd)))(x)
        assert np.allclose(second, -np.sinh(x) / np.cosh(x) ** 2, atol=1e-5)
        for (point,), value in ELEMENTWISE["gd"].spec.values:
            assert abs(float(lax.gd(point)) - value) < 1e-6
        assert "Gudermannian" in lax.gd.__doc__ and "Parameters" in lax.gd.__doc__
        parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
        runner.run(parser.get_doctest(lax.gd.__doc__, {}, "gd", None, 0))
        assert runner.tries > 2 and not runner.failures
        """,
    )
    assert touched(copy) == ["backends/cpu/numerics/elementary.py", "primitives/exponential.py"]


def test_a_structural_primitive_is_a_file_and_a_rule_a_backend(copy):
    """A cyclic shift along one dimension by a static distance."""
    (copy / "covector/primitives/cyclic.py").write_text(
        textwrap.dedent(
            '''\
            """Cyclic shifts: `roll`."""

            from covector.core.definers import def_jvp_linear
            from covector.core.rules import batching_rules, transpose_rules
            from covector.core.trace import Primitive

            roll_p = Primitive("roll")
            roll_p.def_abstract_eval(lambda x, *, distance, dimension: x)
            def_jvp_linear(roll_p)
            transpose_rules[roll_p] = lambda ct, x, *, distance, dimension: [
                roll_p.bind(ct, distance=-distance, dimension=dimension)
            ]


            def _batch(axis_size, args, dims, *, distance, dimension):
                (d,) = dims
                inner = dimension + (dimension >= d)
                return roll_p.bind(args[0], distance=distance, dimension=inner), d


            batching_rules[roll_p] = _batch
            '''
        )
    )
    insert(
        copy / "covector/compiler/lower/structure.py",
        "@rule(slice_p)\n",
        """\
        from covector.primitives.cyclic import roll_p


        @rule(roll_p)
        def _roll(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
            d = eqn.params["dimension"]
            index: list[Index] = list(ivars(x.ndim))
            n = eqn.invars[0].aval.shape[d]
            back = low.dim(-eqn.params["distance"] % n)
            index[d] = iop("%", iop("+", index[d], back), x.shape[d])
            return view(low, eqn, x, index)


        """,
    )
    run(
        copy,
        """
        import numpy as onp
        import covector as cv, covector.numpy as np
        from covector.primitives.cyclic import roll_p
        roll = lambda x: roll_p.bind(x, distance=3, dimension=0)
        x = np.arange(40.0).reshape(20, 2)
        want = onp.roll(onp.asarray(x), 3, 0)
        assert (roll(x) == want).all() and (cv.jit(roll)(x) == want).all()
        batched = cv.vmap(roll, in_axes=1, out_axes=1)(x)
        assert (batched == want).all()
        w = np.arange(40.0).reshape(20, 2)
        g = cv.grad(lambda x: (roll(x) * w).sum())(x)
        assert (g == onp.roll(onp.asarray(w), -3, 0)).all()
        assert (cv.jvp(roll, (x,), (w,))[1] == onp.roll(onp.asarray(w), 3, 0)).all()
        """,
    )
    assert touched(copy) == ["compiler/lower/structure.py", "primitives/cyclic.py"]
