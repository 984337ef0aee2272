"""Names that are imported when they are first used."""

import subprocess
import sys

CODE = """
import sys, threading
sys.setswitchinterval(1e-6)
import covector.lax, covector.numpy, covector.random
names = [(covector.lax, "erf"), (covector.lax, "scan"), (covector.lax, "lgamma"),
         (covector.numpy, "interp"), (covector.numpy, "isclose"), (covector.random, "gamma")]
for module, name in names:
    found, barrier = [], threading.Barrier(6)
    def read():
        barrier.wait()
        found.append(getattr(module, name))
    threads = [threading.Thread(target=read) for _ in range(6)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert len(found) == 6 and len(set(map(id, found))) == 1, (name, found)
"""


def test_all_threads_are_given_one_object():
    subprocess.run([sys.executable, "-c", CODE], check=True)


def test_completion_shows_public_names():
    code = """
import covector, covector.lax, covector.numpy, covector.random
for module in (covector, covector.lax, covector.numpy, covector.random):
    shown = dir(module)
    assert set(module.__all__) <= set(shown), module
    assert not {"annotations", "core", "arithmetic", "array_methods"} & set(shown), shown
"""
    subprocess.run([sys.executable, "-c", code], check=True)
