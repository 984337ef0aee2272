"""What it takes to add a primitive, a pass, a backend: done in a copy of the package, the files
counted. Primitives and passes are taken from the pages of `docs` that say how to add one."""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import covector

PACKAGE = Path(covector.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to be changed."""
    native = Path(covector._native.__file__)
    ignored = shutil.ignore_patterns("__pycache__", "_native*.so")
    shutil.copytree(PACKAGE, tmp_path / "covector", ignore=ignored)
    # An editable install has it in another place than the sources.
    shutil.copy(native, tmp_path / "covector" / native.name)
    return tmp_path


def block(page, line):
    """The one block of code of a page of the documentation that has this line."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    (found,) = [b for b in blocks if line in b.splitlines()]
    return found


def insert(path, before, text):
    """Put text before a line of a file."""
    whole = path.read_text()
    assert whole.count(before) == 1
    path.write_text(whole.replace(before, text + before))


# The finder of an editable install would go first, whatever the path is.
FROM_COPY = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if f.__module__.startswith("_frozen_importlib")]
sys.path.insert(0, {folder!r})
import covector
from pathlib import Path
for module in (covector, covector._native):
    assert Path(module.__file__).is_relative_to({folder!r}), module.__file__
"""


def run(folder, code):
    env = dict(os.environ, PYTHONPATH=str(folder), COVECTOR_ENABLE_COMPILATION_CACHE="0")
    code = FROM_COPY.format(folder=str(folder)) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def touched(folder):
    """The files of the copy that differ from the package's, and those that are new."""
    out = []
    for path in (folder / "covector").rglob("*"):
        ours = PACKAGE / path.relative_to(folder / "covector")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
            if not ours.exists() or not filecmp.cmp(path, ours, shallow=False):
                out.append(str(path.relative_to(folder / "covector")))
    return sorted(out)


def test_a_rewrite_rule_is_one_function(copy):
    insert(
        copy / "covector/compiler/passes/identities.py",
        '@IDENTITIES.rule("select_n of a literal = the case", select_n_p)\n',
        block("adding-a-pass.md", '@IDENTITIES.rule("neg of neg = x", neg_p)') + "\n\n",
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
    (passes / "powers.py").write_text(block("adding-a-pass.md", 'POWERS = Table("powers")'))
    insert(
        passes / "manager.py",
        "from covector.compiler.passes.regions",
        "from covector.compiler.passes.powers import POWERS\n",
    )
    entry = '    Pass("powers", "squares are products", POWERS),'
    assert block("adding-a-pass.md", entry)
    insert(passes / "manager.py", '    Pass("folding"', entry + "\n")
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


@pytest.mark.parametrize("after", ["inlining", "folding", "dead code"])
def test_a_function_of_jaxprs_is_a_pass_by_its_place_in_the_list(copy, after):
    manager = copy / "covector/compiler/passes/manager.py"
    text = manager.read_text()
    entry = 'Pass("nothing", "nothing changes", lambda closed: closed),'
    text, count = re.subn(rf'    Pass\("{after}".*\n', rf"\g<0>    {entry}\n", text)
    assert count == 1
    manager.write_text(text)
    run(
        copy,
        """
        import covector as cv
        from covector.compiler import passes
        f = lambda x: (x * 1 + cv.numpy.sin(x)) * cv.numpy.sin(x)
        x = cv.numpy.ones(3)
        assert cv.debug.show(f, x, stage="passes").count("nothing changes") == 1
        text = cv.debug.show(f, x, stage="simplified")
        assert text.count("sin") == 1 and text.count("mul") == 1
        with passes.without("nothing"):
            assert cv.debug.show(f, x, stage="simplified") == text
        """,
    )
    assert touched(copy) == ["compiler/passes/manager.py"]


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
    page = "adding-a-primitive.md"
    row = block(page, "gd_p = unary(")
    insert(copy / "covector/primitives/exponential.py", "logistic_p = unary(\n", row + "\n")
    line = '"gd": lambda x: 2.0 * numerics.inverse_trig.atan(numerics.exponential.tanh(x / 2)),'
    insert(
        copy / "covector/numerics/functions.py",
        '    "cbrt": lambda x: numerics.power.cbrt(x),\n',
        textwrap.indent(block(page, line), "    "),
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
    assert touched(copy) == ["numerics/functions.py", "primitives/exponential.py"]


def test_a_structural_primitive_is_a_file_and_a_rule_a_backend(copy):
    """A cyclic shift along one dimension by a static distance."""
    page = "adding-a-primitive.md"
    (copy / "covector/primitives/cyclic.py").write_text(block(page, '"""Cyclic shifts: `roll`."""'))
    insert(
        copy / "covector/compiler/lower/structure.py",
        "@rule(slice_p)\n",
        block(page, "@rule(roll_p)") + "\n\n",
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
