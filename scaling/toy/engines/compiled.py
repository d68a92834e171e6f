"""How the engine's functions are compiled, so that a model has the same bits in every process.

Fast mathematics lets the compiler reorder sums, so two copies of one function can round differently. Without inlining,
a process that compiles the training loop calls each function's own copy, and a process that reads the loop from
Numba's cache calls the copy inside the loop. Inlined functions have one copy.
"""

import numba


# A function whose sums may be reordered: inlined by LLVM, with its own flags.
kernel = numba.njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
# A function that calls kernels: inlined by Numba, which then compiles it once, within its caller.
inlined = numba.njit(cache=True, inline="always")
