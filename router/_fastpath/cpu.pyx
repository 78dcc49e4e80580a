"""Processor features, as the kernels see them."""

from libc.stdint cimport uint32_t


cdef extern from "cpu.h" nogil:
    struct cpu_feature_name:
        uint32_t feature
        const char *name

    const cpu_feature_name *CPU_FEATURE_NAMES
    int CPU_FEATURE_COUNT
    uint32_t cpu_detect()

cdef uint32_t detected = cpu_detect()


cdef uint32_t cpu_features() noexcept nogil:
    return detected


def features():
    cdef int i
    return tuple([
        CPU_FEATURE_NAMES[i].name.decode()
        for i in range(CPU_FEATURE_COUNT)
        if CPU_FEATURE_NAMES[i].feature & detected
    ])
