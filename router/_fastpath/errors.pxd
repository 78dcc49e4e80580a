# Status codes of the compiled data plane. Functions return FP_OK (or a length) or one of these.

cdef enum:
    FP_OK = 0
    FP_ERR_AUTH = -1        # a MAC, tag or MESSAGE-INTEGRITY does not verify
    FP_ERR_FORMAT = -2      # bytes that do not parse, or lengths outside of what is allowed
    FP_ERR_FULL = -3        # a ring, table or buffer has no room; counted where it happens
    FP_ERR_STATE = -4       # not possible in this state (no keys, closed, stale id)
    FP_ERR_SYSTEM = -5      # a system call failed; errno is kept by the object concerned
    FP_ERR_UNSUPPORTED = -6  # an unknown profile, kernel or address family
