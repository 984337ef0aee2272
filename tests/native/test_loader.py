"""The loader of object code."""

import ctypes
import random

import llvmlite.binding as llvm
import pytest

if not llvm.get_process_triple().startswith("x86_64-") or "linux" not in llvm.get_process_triple():
    pytest.skip("object code is loaded by LLVM here", allow_module_level=True)

TWICE = """
@table = private constant [4 x double] [double 1.5, double 2.5, double 4.0, double 8.0]
declare double @fmod(double, double)
declare void @memcpy(ptr, ptr, i64)
define private double @inner(double %x) noinline { %y = fmul double %x, 3.25  ret double %y }
define double @entry(double %x, i64 %i) {
  %place = getelementptr double, ptr @table, i64 %i
  %known = load double, ptr %place
  %rest = call double @fmod(double %x, double %known)
  %y = call double @inner(double %rest)
  ret double %y
}
"""
ADDRESSES = """
declare double @cos(double)
@functions = private constant [2 x ptr] [ptr @cos, ptr @half]
define private double @half(double %x) { %y = fmul double %x, 0.5  ret double %y }
define double @entry(double %x, i64 %i) {
  %place = getelementptr ptr, ptr @functions, i64 %i
  %f = load ptr, ptr %place
  %y = call double %f(double %x)
  ret double %y
}
"""


def compiled(text):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=2, reloc="pic", codemodel="small"
    )
    return machine.emit_object(llvm.parse_assembly(text))


def loaded(native, code, entry="entry"):
    files = code if isinstance(code, list) else [("", code)]
    address, keeper = native.load_code(files, entry)
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_int64)(address)
    function.keeper = keeper
    return function


def mappings():
    with open("/proc/self/maps") as f:
        return len(f.readlines())


def test_constants_and_calls(native):
    f = loaded(native, compiled(TWICE))
    assert [f(7.0, i) for i in range(4)] == [x * 3.25 for x in (1.0, 2.0, 3.0, 7.0)]


def test_addresses_in_constants(native):
    f = loaded(native, compiled(ADDRESSES))
    assert (f(0.0, 0), f(3.0, 1)) == (1.0, 1.5)


def test_many_programs_take_few_mappings(native):
    """Linux allows a process 65,530."""
    code, before = compiled(TWICE), mappings()
    many = [loaded(native, code) for _ in range(5000)]
    assert mappings() - before < 50
    draw = random.Random(0)
    draw.shuffle(many)
    del many[:4000]
    again = [loaded(native, code) for _ in range(4000)]
    assert mappings() - before < 50
    assert {f(7.0, 0) for f in many + again} == {3.25}


def test_a_symbol_that_there_is_not(native):
    with pytest.raises(ValueError, match="it has no 'start'"):
        native.load_code([("", compiled(TWICE))], "start")


def test_a_function_that_there_is_not(native):
    code = compiled(TWICE.replace("fmod", "nobodys_function"))
    with pytest.raises(ValueError, match="'nobodys_function', which this process does not have"):
        native.load_code([("", code)], "entry")


def test_data_that_change(native):
    code = compiled(TWICE.replace("private constant", "global"))
    with pytest.raises(ValueError, match="data that are not constant"):
        native.load_code([("", code)], "entry")


def test_files_that_are_cut_off_or_changed(native):
    code, draw = compiled(TWICE), random.Random(0)
    for n in range(len(code) - 1):
        try:
            native.load_code([("", code[:n])], "entry")
        except ValueError as error:
            assert "object code that cannot be loaded" in str(error)
    for _ in range(3000):
        changed = bytearray(code)
        for _ in range(draw.choice([1, 3, 20])):
            changed[draw.randrange(len(code))] = draw.randrange(256)
        try:
            native.load_code([("", bytes(changed))], "entry")
        except (ValueError, MemoryError):
            pass


# --- programs of several files -----------------------------------------------------------------

THRICE = """
define double @function(double %x) { %y = fmul double %x, 3.0  ret double %y }
"""
CALLS = """
declare double @thrice(double)
declare double @again(double, i64)
@functions = private constant [2 x ptr] [ptr @thrice, ptr @thrice]
define double @plus(double %x) { %y = fadd double %x, 1.0  ret double %y }
define double @entry(double %x, i64 %i) {
  %place = getelementptr ptr, ptr @functions, i64 %i
  %f = load ptr, ptr %place
  %y = call double %f(double %x)
  %z = call double @again(double %y, i64 %i)
  ret double %z
}
"""
AGAIN = """
declare double @thrice(double)
declare double @plus(double)
define double @function(double %x, i64 %i) {
  %y = call double @thrice(double %x)
  %z = call double @plus(double %y)
  ret double %z
}
"""


def test_files_call_each_other(native):
    files = [("", compiled(CALLS)), ("thrice", compiled(THRICE)), ("again", compiled(AGAIN))]
    for order in (files, files[::-1]):
        f = loaded(native, order)
        assert [f(2.0, i) for i in (0, 1)] == [19.0, 19.0]


def test_files_that_lack_one_another(native):
    files = [("", compiled(CALLS)), ("thrice", compiled(THRICE))]
    with pytest.raises(ValueError, match="'again', which this process does not have"):
        native.load_code(files, "entry")
    files += [("again", compiled(AGAIN)), ("thrice", compiled(THRICE))]
    with pytest.raises(ValueError, match="it has 'thrice' twice"):
        native.load_code(files, "entry")
    with pytest.raises(ValueError, match="it has no 'entry'"):
        native.load_code([], "entry")
    for wrong in (["entry"], [("", "text")], [(3, b"")]):
        with pytest.raises((RuntimeError, TypeError)):
            native.load_code(wrong, "entry")
