"""The cache of object code on disk: damage, foreign files, folders that cannot be used."""

import os
import shutil
import stat
import subprocess
import sys
import warnings

import numpy as onp
import pytest

from covector.backends.cpu import backend as cpu
from covector.backends.cpu import cache
from covector.core import stored
from covector.core.config import config


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "compilation_cache_dir", str(tmp_path / "cache"))
    monkeypatch.setattr(config, "enable_compilation_cache", True)
    return tmp_path / "cache"


def _path(key):
    return stored.path_of(cache._name(key))


KEY, CODE, META = "program text", b"\x7fELF object", ([((4, ("s", 0)), 8, 1, 2)], [(0, 0)])


def test_stores_and_loads(folder):
    cache.store(KEY, CODE, META)
    code, meta = cache.load(KEY)
    assert code == CODE
    assert meta == META
    assert cache.load("another program") is None


def test_entries_are_private(folder):
    cache.store(KEY, CODE, META)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    (entry,) = folder.iterdir()
    assert stat.S_IMODE(os.stat(entry).st_mode) & 0o077 == 0


@pytest.mark.parametrize("length", [0, 5, 20, 45, -1])
def test_truncated_entry_is_not_used(folder, length):
    cache.store(KEY, CODE, META)
    (entry,) = folder.iterdir()
    data = entry.read_bytes()
    entry.write_bytes(data[:length])
    assert cache.load(KEY) is None


def test_every_damaged_byte_is_noticed(folder):
    cache.store(KEY, CODE, META)
    (entry,) = folder.iterdir()
    data = entry.read_bytes()
    for position in range(len(data)):
        entry.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert cache.load(KEY) is None, position


def test_entry_of_another_program_is_not_used(folder):
    cache.store("other", CODE, META)
    (entry,) = folder.iterdir()
    os.rename(entry, _path(KEY))
    assert cache.load(KEY) is None


def test_entry_others_may_write_is_not_used(folder):
    cache.store(KEY, CODE, META)
    (entry,) = folder.iterdir()
    os.chmod(entry, 0o666)
    assert cache.load(KEY) is None


def test_what_is_no_file_is_not_waited_for(folder):
    cache.store(KEY, CODE, META)
    (entry,) = folder.iterdir()
    data = entry.read_bytes()
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert cache.load(KEY) is None
    entry.unlink()
    entry.mkdir()
    assert cache.load(KEY) is None
    entry.rmdir()
    (folder / "elsewhere").write_bytes(data)
    entry.symlink_to(folder / "elsewhere")
    assert cache.load(KEY) is None
    cache.store(KEY, CODE, META)
    assert cache.load(KEY) is not None and not entry.is_symlink()


def test_a_look_at_a_large_folder_asks_for_a_sample(folder, monkeypatch):
    cache.store(KEY, CODE, META)
    for k in range(2000):
        (folder / f"{k:064x}.bin").touch()
    looked = []
    monkeypatch.setattr(stored, "_STORES_A_LOOK", 1)
    monkeypatch.setattr(os, "lstat", lambda path: looked.append(path) or os.stat(path))
    stored._trim(str(folder))
    assert 0 < len(looked) <= stored._SAMPLE and cache.load(KEY) is not None


def test_the_users_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(config, "compilation_cache_dir", "~/code")
    assert stored.cache_dir() == str(tmp_path / "code")


def test_folder_that_is_a_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("not a folder")
    monkeypatch.setattr(config, "compilation_cache_dir", str(path))
    with pytest.warns(UserWarning, match=f"kept in {path}, the folder of the option compilation_c"):
        cache.store(KEY, CODE, META)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.store(KEY, CODE, META)  # once of a folder
    assert cache.load(KEY) is None
    monkeypatch.setattr(config, "raise_persistent_cache_errors", True)
    for act in (lambda: cache.store(KEY, CODE, META), lambda: cache.load(KEY)):
        with pytest.raises(OSError, match="option compilation_cache_dir"):
            act()
    assert path.read_text() == "not a folder"


def test_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="No space left"):
        cache.store(KEY, CODE, META)
    assert list(folder.iterdir()) == []
    assert cache.load(KEY) is None


def test_trim_drops_the_oldest(folder, monkeypatch):
    for k in range(4):
        cache.store(f"program {k}", CODE * 100, META)
        os.utime(_path(f"program {k}"), (k + 1, k + 1))
    size = os.path.getsize(_path("program 0"))
    monkeypatch.setattr(config, "compilation_cache_max_size", 5 * size // 2)
    monkeypatch.setattr(stored, "_STORES_A_LOOK", 1)
    stored._trim(str(folder))
    assert [cache.load(f"program {k}") is not None for k in range(4)] == [False, False, True, True]


_CHILD = """
import sys
import numpy as onp
import covector as cv
import covector.numpy as np
from covector.backends.cpu.backend import statistics
f = cv.jit(lambda x: np.tanh(x) * 3 + np.sum(x))
x = onp.arange(int(sys.argv[1]), dtype=onp.float32) / 100
y = onp.asarray(f(np.asarray(x)))
assert onp.allclose(y, onp.tanh(x) * 3 + x.sum(), rtol=1e-5)
print(statistics["compiled"], statistics["loaded"])
"""


def _child(folder, n=1000, wrapper=()):
    env = dict(os.environ, COVECTOR_COMPILATION_CACHE_DIR=str(folder))
    env["COVECTOR_ENABLE_COMPILATION_CACHE"] = "1"
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", _CHILD, str(n)], env=env, stdout=subprocess.PIPE, text=True
    )


def _counts(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [int(x) for x in out.split()]


def test_processes_share_code(tmp_path):
    compiled, _ = _counts(_child(tmp_path))
    assert compiled >= 1
    compiled, loaded = _counts(_child(tmp_path, 2000))
    assert compiled == 0
    assert loaded >= 1


def test_damaged_entries_are_compiled_again(tmp_path):
    first, _ = _counts(_child(tmp_path))
    for entry in tmp_path.iterdir():
        entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    again, _ = _counts(_child(tmp_path))
    assert again == first


def test_two_processes_at_once(tmp_path):
    children = [_child(tmp_path) for _ in range(2)]
    for c in children:
        _counts(c)
    assert not [e for e in tmp_path.iterdir() if e.suffix == ".tmp"]


def _obeys_permissions():
    """A wrapper under which a process may not write what its permissions forbid, as root too."""
    if os.getuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("the superuser may write anywhere, and there is no setpriv to forbid it")
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


def test_read_only_folder(tmp_path):
    os.chmod(tmp_path, 0o500)
    compiled, _ = _counts(_child(tmp_path, wrapper=_obeys_permissions()))
    os.chmod(tmp_path, 0o700)
    assert compiled >= 1
    assert list(tmp_path.iterdir()) == []


def test_unwritable_path_still_computes():
    compiled, loaded = _counts(_child("/proc/covector"))
    assert compiled >= 1
    assert loaded == 0


def test_statistics_count_sharing():
    import covector as cv
    import covector.numpy as np

    f = cv.jit(lambda x: np.cos(x) * 2.5 - x)
    f(np.ones(101))
    before = dict(cpu.statistics)
    y = f(np.ones(203))
    assert cpu.statistics["compiled"] == before["compiled"]
    assert cpu.statistics["shared"] == before["shared"] + 1
    assert onp.allclose(onp.asarray(y), onp.cos(1) * 2.5 - 1, rtol=1e-6)


FORKS = """
import os, signal, threading, time, random
import covector as cv, covector.numpy as np
def compile_for_ever():
    while True:
        k = random.random()
        cv.jit(lambda x: np.sum(x * k) + np.cos(x) * k)(1.0)
for _ in range(2):
    threading.Thread(target=compile_for_ever, daemon=True).start()
time.sleep(0.3)
bad = 0
for i in range(6):
    time.sleep(0.05 * random.random())
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        cv.jit(lambda x: x * (3.5 + i))(1.0)
        os._exit(0)
    bad += os.waitpid(pid, 0)[1] != 0
os._exit(bad)
"""


def test_forked_while_other_threads_compile():
    env = dict(os.environ, COVECTOR_ENABLE_COMPILATION_CACHE="0")
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, env=env, timeout=180)
