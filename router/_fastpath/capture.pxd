"""Output that is kept instead of sent: for driving the core by hand."""

from libc.stdint cimport uint8_t

from router._fastpath.udp cimport in6_addr, out_message, sockaddr_in6, udp_path


cdef struct capture:
    uint8_t *bytes      # owned
    size_t used
    size_t size
    bint failed         # without memory; what came since is lost


cdef void capture_send(void *context, const out_message *messages, int count) noexcept nogil
cdef void capture_free(capture *c) noexcept nogil

# Kept output always has the local address with it.
cdef bint capture_implies(void *context, const udp_path *path) noexcept nogil

# Return the datagrams, runs split as the kernel would split them, and forget them. with_local: a
# third element tells the local address, None for the kernel's choice.
cdef list capture_take(capture *c, bint with_local)

# Read and make the (address, port) pairs that Python uses; IPv4 appears as such.
cdef int address_from_python(sockaddr_in6 *out, object address) except -1
cdef tuple address_to_python(const sockaddr_in6 *address)

# The same for an address of ours, a string or None.
cdef int host_from_python(in6_addr *out, object host) except -1
cdef object host_to_python(const in6_addr *host)
