# What the processor offers to the kernels; CPU_... bits as in cpu.h.

from libc.stdint cimport uint32_t

# Features that the processor has and the operating system supports.
cdef uint32_t cpu_features() noexcept nogil
