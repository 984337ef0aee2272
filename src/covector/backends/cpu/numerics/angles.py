"""Great angles modulo pi/2: by a helper function, with as many bits of 2/pi as each needs (Payne
and Hanek, 1983), in integers."""

from __future__ import annotations

from covector.backends.cpu.writer import Function, Module, Val, float_const, vtype

# How many bits of 2/pi the largest double needs, in words of 64; one word of zeros before them.
TWO_OVER_PI_WORDS = 19


def _two_over_pi() -> list[int]:
    """The words of 2/pi, most significant first, after one of zeros; by Machin's formula."""
    n = 64 * TWO_OVER_PI_WORDS
    one = 1 << (n + 64)

    def arctan_inverse(n: int) -> int:
        total, power, k = 0, one // n, 0
        while power:
            total += (-1) ** k * (power // (2 * k + 1))
            power //= n * n
            k += 1
        return total

    pi = 4 * (4 * arctan_inverse(5) - arctan_inverse(239))
    bits = (one * 2 << n) // pi
    words = [bits >> (64 * k) & (2**64 - 1) for k in reversed(range(TWO_OVER_PI_WORDS))]
    return [0, *words]


# One |x| >= 2^14 reduced: (hi, lo, k) with x = k pi/2 + hi + lo, k modulo 4. x = m 2^e with an
# integer m. Of the bits of 2/pi those are left out whose products with x are multiples of 4, and
# those after the 192 that follow. m times this window (w0, w1, w2), modulo 2^192, holds the
# quadrant in its top two bits and the fraction below, read as signed (%hi, %lo): at least 66 of
# its bits are significant. It is rarely called, and compiled fast rather than well (optnone).
_REDUCE = """
@covector_two_over_pi = internal constant [{count} x i64] [{words}], align 64
define internal {{double, double, i64}} @{name}(double %x) noinline optnone {{
  %bits = bitcast double %x to i64
  %field = lshr i64 %bits, 52
  %finite = icmp ult i64 %field, 2047
  %E = select i1 %finite, i64 %field, i64 1075
  %fraction = and i64 %bits, 4503599627370495
  %m = or i64 %fraction, 4503599627370496
  %at = sub i64 %E, 1013
  %word = lshr i64 %at, 6
  %shift = and i64 %at, 63
  %p0 = getelementptr i64, ptr @covector_two_over_pi, i64 %word
  %p1 = getelementptr i64, ptr %p0, i64 1
  %p2 = getelementptr i64, ptr %p0, i64 2
  %p3 = getelementptr i64, ptr %p0, i64 3
  %a0 = load i64, ptr %p0
  %a1 = load i64, ptr %p1
  %a2 = load i64, ptr %p2
  %a3 = load i64, ptr %p3
  %w0 = call i64 @llvm.fshl.i64(i64 %a0, i64 %a1, i64 %shift)
  %w1 = call i64 @llvm.fshl.i64(i64 %a1, i64 %a2, i64 %shift)
  %w2 = call i64 @llvm.fshl.i64(i64 %a2, i64 %a3, i64 %shift)
  %mw = zext i64 %m to i128
  %w1w = zext i64 %w1 to i128
  %w2w = zext i64 %w2 to i128
  %low = mul i128 %mw, %w2w
  %lowhi = lshr i128 %low, 64
  %mid0 = mul i128 %mw, %w1w
  %mid = add i128 %mid0, %lowhi
  %midhi = lshr i128 %mid, 64
  %carry = trunc i128 %midhi to i64
  %top0 = mul i64 %m, %w0
  %top = add i64 %top0, %carry
  %next = trunc i128 %mid to i64
  %last = trunc i128 %low to i64
  %half = add i64 %top, 2305843009213693952
  %k = lshr i64 %half, 62
  %fhi = call i64 @llvm.fshl.i64(i64 %top, i64 %next, i64 2)
  %flo = call i64 @llvm.fshl.i64(i64 %next, i64 %last, i64 2)
  %mask = ashr i64 %fhi, 63
  %hi = xor i64 %fhi, %mask
  %lo = xor i64 %flo, %mask
  %lz = call i64 @llvm.ctlz.i64(i64 %hi, i1 false)
  %nhi = call i64 @llvm.fshl.i64(i64 %hi, i64 %lo, i64 %lz)
  %nlo = shl i64 %lo, %lz
  %h53 = lshr i64 %nhi, 11
  %mixed = call i64 @llvm.fshl.i64(i64 %nhi, i64 %nlo, i64 53)
  %l53 = lshr i64 %mixed, 11
  %hf = sitofp i64 %h53 to double
  %lf = sitofp i64 %l53 to double
  %e1 = sub i64 970, %lz
  %e2 = sub i64 917, %lz
  %s1 = shl i64 %e1, 52
  %s2 = shl i64 %e2, 52
  %sign = and i64 %mask, -9223372036854775808
  %s1s = or i64 %s1, %sign
  %s2s = or i64 %s2, %sign
  %s1f = bitcast i64 %s1s to double
  %s2f = bitcast i64 %s2s to double
  %fh = fmul double %hf, %s1f
  %fl = fmul double %lf, %s2f
  %rh = fmul double %fh, 0x3FF921FB54442D18
  %nrh = fneg double %rh
  %err = call double @llvm.fma.f64(double %fh, double 0x3FF921FB54442D18, double %nrh)
  %t1 = call double @llvm.fma.f64(double %fl, double 0x3FF921FB54442D18, double %err)
  %t2 = call double @llvm.fma.f64(double %fh, double 0x3C91A62633145C07, double %t1)
  %sum = fadd double %rh, %t2
  %over = fsub double %rh, %sum
  %rest = fadd double %over, %t2
  %r = select i1 %finite, double %sum, double 0x7FF8000000000000
  %r0 = insertvalue {{double, double, i64}} poison, double %r, 0
  %r1 = insertvalue {{double, double, i64}} %r0, double %rest, 1
  %r2 = insertvalue {{double, double, i64}} %r1, i64 %k, 2
  ret {{double, double, i64}} %r2
}}"""


def reduce_large(module: Module) -> str:
    """A function that reduces one large argument (see above)."""
    name = "covector_reduce_pi2"
    if name not in module.declarations:
        module.declare("llvm.fshl.i64", "i64", "i64, i64, i64")
        module.declare("llvm.ctlz.i64", "i64", "i64, i1")
        module.declare("llvm.fma.f64", "double", "double, double, double")
        words = _two_over_pi()
        text = ", ".join(f"i64 {w - (w >> 63 << 64)}" for w in words)
        module.declarations[name] = _REDUCE.format(count=len(words), words=text, name=name)
    return name


def _reduce_lanes(module: Module, ty: str, lanes: int, limit: str) -> str:
    """A function that reduces the lanes above ``limit`` of a vector (or a scalar)."""
    name = f"covector_reduce_{lanes}{ty}"
    if name in module.declarations:
        return name
    one = reduce_large(module)
    n = max(lanes, 1)
    ity = "i64" if ty == "double" else "i32"
    t, it = vtype(ty, lanes), vtype(ity, lanes)
    result = f"{{{t}, {t}, {it}}}"
    params = f"{t} %x, {t} %h, {t} %l, {it} %k"
    lines = [f"define internal fastcc {result} @{name}({params}) noinline optnone {{"]
    for v, vt in (("x", t), ("h", t), ("l", t), ("k", it)):
        lines += [f"  %p{v} = alloca {vt}, align 64", f"  store {vt} %{v}, ptr %p{v}, align 64"]
    lines += [
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %0 ], [ %next, %more ]",
        f"  %ax = getelementptr {ty}, ptr %px, i64 %i",
        f"  %e = load {ty}, ptr %ax",
        f"  %big = fcmp ogt {ty} %e, {limit}",
        "  br i1 %big, label %reduce, label %more",
        "reduce:",
    ]
    lines += _reduce_lane(ty, one)
    lines += [
        "  br label %more",
        "more:",
        "  %next = add i64 %i, 1",
        f"  %end = icmp eq i64 %next, {n}",
        "  br i1 %end, label %done, label %loop",
        "done:",
    ]
    agg = "poison"
    for j, (v, vt) in enumerate((("h", t), ("l", t), ("k", it))):
        lines += [
            f"  %o{v} = load {vt}, ptr %p{v}, align 64",
            f"  %s{j} = insertvalue {result} {agg}, {vt} %o{v}, {j}",
        ]
        agg = f"%s{j}"
    lines += [f"  ret {result} {agg}", "}"]
    module.declarations[name] = "\n".join(lines)
    return name


def _reduce_lane(ty: str, one: str) -> list[str]:
    """Code that reduces ``%e`` by the function ``one``, and stores the results for lane ``%i``."""
    if ty == "double":
        wide, widened, narrowed = "%e", [], []
        h, l, k = "%r0", "%r1", "%r2"
    else:
        wide, widened = "%w", ["  %w = fpext float %e to double"]
        narrowed = [
            "  %hf = fptrunc double %r0 to float",
            "  %back = fpext float %hf to double",
            "  %left = fsub double %r0, %back",
            "  %lf = fptrunc double %left to float",
            "  %kf = trunc i64 %r2 to i32",
        ]
        h, l, k = "%hf", "%lf", "%kf"
    lines = [
        *widened,
        f"  %r = call {{double, double, i64}} @{one}(double {wide})",
        *(f"  %r{k} = extractvalue {{double, double, i64}} %r, {k}" for k in range(3)),
        *narrowed,
    ]
    ity = "i64" if ty == "double" else "i32"
    for v, vt, ref in (("h", ty, h), ("l", ty, l), ("k", ity, k)):
        lines.append(f"  %a{v} = getelementptr {vt}, ptr %p{v}, i64 %i")
        lines.append(f"  store {vt} {ref}, ptr %a{v}")
    return lines


def far_angles(b: Function, a: Val, limit: float, *near: Val) -> list[Val]:
    """``near``, replaced by the result of the helper function if a lane is above ``limit``."""
    bound = float_const(limit, a.ty)
    none = b.no_lane(b.cmp("fcmp ogt", a, bound))
    helper = _reduce_lanes(b.module, a.ty, a.lanes, bound.ref)
    args = [b.local(v) for v in (a, *near)]
    none = b.local(none)
    t, it = args[1].type, args[3].type
    result = f"{{{t}, {t}, {it}}}"
    params = ", ".join(f"{x.type} {x.ref}" for x in args)

    def slow() -> list[Val]:
        call = b.impure(f"call fastcc {result} @{helper}({params})", result)
        return [
            b.impure(f"extractvalue {result} {call.ref}, {j}", x.ty, x.lanes)
            for j, x in enumerate(args[1:])
        ]

    return b.usually(none, args[1:], slow)
