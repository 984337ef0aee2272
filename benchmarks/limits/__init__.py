"""How far programs are from what the machine can do: ``python -m benchmarks.limits``.

Twenty-four programs on four sides:

- C++ by hand (``kernels.cpp``): fused, blocked, in vectors, two threads, derivatives in closed
  form; but the same work (all 20 steps of Mandelbrot's set, all ordered pairs of bodies).
- Numba (``numba_programs.py``): loops by hand, ``parallel=True, fastmath=True``.
- JAX and Covector (``programs.py``): one source, as users write it.

Inputs and tolerances are in ``specs.py``. A side's results must agree with JAX's (those of C++
where JAX is absent) before it is timed. Each side is a process (``worker.py``) with two threads.
C++ writes into outputs allocated and touched beforehand and is timed in a loop in C++; the others
allocate their results in each call and are timed from Python. Rounds alternate between the sides,
and the best time counts. A first call traces, compiles and runs, in a process that has compiled
something before, with no cache on disk.

This needs g++ (or what ``CXX`` names) and the machine for itself. A side whose library or compiler
is not there is left out.

``FOURTEEN`` (``specs.py``) are the programs by which the distance was first measured; the means
are given for them as well as for all.
"""
