# One UDP socket for many peers: batches, GRO in, GSO out.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<netinet/in.h>" nogil:
    struct in6_addr:
        uint8_t s6_addr[16]

    struct sockaddr_in6:
        uint16_t sin6_family        # always AF_INET6 here
        uint16_t sin6_port          # network order
        uint32_t sin6_flowinfo
        in6_addr sin6_addr          # IPv4 as ::ffff:a.b.c.d
        uint32_t sin6_scope_id

    struct in6_pktinfo:
        in6_addr ipi6_addr          # the same; :: for none
        unsigned int ipi6_ifindex   # 0 but for link-local addresses


cdef extern from "udp.h" nogil:
    enum:
        UDP_BATCH               # messages per recvmmsg and per sendmmsg
        UDP_MAX_RUN             # segments of one GSO message
        UDP_MAX_RUN_BYTES

    # Between a peer and us.
    struct udp_path:
        sockaddr_in6 remote
        in6_pktinfo local       # known when the socket is bound to a wildcard address
        uint8_t implied         # 1: the kernel sends from `local` without being told

    struct datagram:
        uint8_t *data           # borrowed until the next udp_receive; may be written
        uint32_t length
        udp_path path

    struct out_message:
        const uint8_t *data     # borrowed during udp_send
        uint32_t length
        uint32_t segment_size   # 0: one datagram; else of each datagram but the last
        const udp_path *path    # borrowed during udp_send

    struct udp_counters:
        uint64_t received, received_bytes       # datagrams
        uint64_t sent, sent_bytes               # datagrams
        uint64_t failed                         # datagrams that the kernel refused
        uint64_t dropped                        # datagrams: the send buffer stayed full
        uint64_t truncated                      # datagrams larger than a receive slot
        uint64_t receive_drops                  # datagrams: the receive buffer was full
        uint64_t receive_calls, send_calls, send_waits
        uint64_t gso_fallbacks                  # messages sent again one by one

    struct udp_socket:
        int fd                  # owned; non-blocking; -1 when closed
        int error               # errno of the last FP_ERR_SYSTEM
        int filled              # messages that the last receive call took; UDP_BATCH: more may wait
        uint16_t port           # host order
        int family              # AF_INET6 or AF_INET
        int gro, gso            # 1 when in use
        int many_addresses      # bound to a wildcard address: datagrams tell our address
        int receive_buffer, send_buffer     # bytes that the kernel granted
        udp_counters counters

    # address: numeric, IPv4 or IPv6; "::" is dual stack, and "0.0.0.0" where IPv6 is absent.
    # Buffers in bytes, 0 for the system's own. Returns FP_OK, FP_ERR_FORMAT, or FP_ERR_SYSTEM (see
    # `error`).
    int udp_open(
        udp_socket *s, const char *address, uint16_t port, int receive_buffer, int send_buffer
    )
    void udp_close(udp_socket *s)

    # Bring counters.receive_drops up to date (Linux 4.12; 0 before). A system call, for whoever
    # reads the counters; any thread while the socket stays open.
    void udp_count_drops(udp_socket *s)

    # When the kernel got what was received last, in microseconds of CLOCK_REALTIME; the present for
    # what came before the first call, 0 when unknown. A system call; from the first one on the
    # kernel notes the time of all that comes.
    int64_t udp_newest_came_at_us(const udp_socket *s)

    # Takes up to `capacity` datagrams without waiting. Returns how many (0: none waits) or
    # FP_ERR_SYSTEM. What did not fit comes first at the next call. It does not make `fd` readable,
    # so after a full batch (`capacity` datagrams) call again before waiting.
    int udp_receive(udp_socket *s, datagram *batch, int capacity)

    # Whether the kernel would choose the path's local address by itself today: 1 only if that makes
    # sending faster. Three system calls: not for every packet.
    int udp_implies_local(const udp_socket *s, const udp_path *path)

    # Sends, from the path's local address if it has one; returns how many messages went out whole.
    # The rest is counted as failed or dropped; no error of one destination stops the others. Waits
    # at most 2 ms for buffer space per call.
    int udp_send(udp_socket *s, const out_message *messages, int count)
