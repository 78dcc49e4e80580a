"""
The data plane as Python sees it: commands in, events out, facts read in place.

The documentation of every method is in ``plane.pyi``.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport write

import os

from router._fastpath.capture cimport (
    address_from_python,
    address_to_python,
    capture,
    capture_free,
    capture_implies,
    capture_send,
    capture_take,
    host_from_python,
    host_to_python,
)
from router._fastpath.command cimport (
    CNAME_MAX,
    COMMAND_ADD_COPY,
    COMMAND_ADD_LINK,
    COMMAND_ADD_SLOT,
    COMMAND_ADD_STREAM,
    COMMAND_ADD_TRANSPORT,
    COMMAND_BIND_SLOT,
    COMMAND_CONFIGURE_TRANSPORT,
    COMMAND_COPY_STREAM,
    COMMAND_DATA_MAX,
    COMMAND_DEFINE_CODEC,
    COMMAND_REMOVE_SLOT,
    COMMAND_REMOVE_STREAM,
    COMMAND_REMOVE_TRANSPORT,
    COMMAND_REQUEST_KEY_FRAME,
    COMMAND_RESTART_TRANSPORT,
    COMMAND_SEND_DATAGRAM,
    COMMAND_SET_KEYS,
    COMMAND_SET_STREAM_LOWER,
    COMMAND_SET_STREAM_RTX,
    NO_PAYLOAD_TYPE,
    PASSWORD_MAX,
    UFRAG_MAX,
    plane_command,
)
from router._fastpath.commands cimport ALL_COMMANDS, commands_run
from router._fastpath.core cimport core_finish, core_receive, core_timer
from router._fastpath.counters cimport COUNTERS
from router._fastpath.deadlines cimport NEVER_US, deadlines_next
from router._fastpath.errors cimport FP_ERR_FORMAT, FP_OK
from router._fastpath.event cimport (
    EVENT_KIND_BYE,
    EVENT_KIND_CONSENT_LOST,
    EVENT_KIND_DATAGRAM,
    EVENT_KIND_SHED,
    EVENT_KIND_SLOT_STARTED,
    EVENT_KIND_SSRC,
    EVENT_KIND_STREAM_STARTED,
    EVENT_KIND_VALIDATED,
    plane_event,
)
from router._fastpath.fanout cimport fanout_due
from router._fastpath.link cimport LINK_SLOTS, link_message, links_wait
from router._fastpath.link_receive cimport links_receive
from router._fastpath.loop cimport loop_run, wall_offset_us
from router._fastpath.payload cimport (
    PAYLOAD_FORMAT_AV1,
    PAYLOAD_FORMAT_H264,
    PAYLOAD_FORMAT_OPAQUE,
    PAYLOAD_FORMAT_OPUS,
    PAYLOAD_FORMAT_VP8,
    PAYLOAD_FORMAT_VP9,
)
from router._fastpath.reception cimport reception_lost
from router._fastpath.ring cimport (
    ring,
    ring_bell,
    ring_close,
    ring_commit,
    ring_dropped,
    ring_length,
    ring_open,
    ring_peek,
    ring_pop,
    ring_reserve,
    ring_sleep,
    ring_wake,
)
from router._fastpath.rtp cimport (
    KIND_ABS_SEND_TIME,
    KIND_AUDIO_LEVEL,
    KIND_COLOR_SPACE,
    KIND_DEPENDENCY_DESCRIPTOR,
    KIND_MID,
    KIND_PLAYOUT_DELAY,
    KIND_REPAIRED_RID,
    KIND_RID,
    KIND_TOFFSET,
    KIND_TRANSPORT_CC,
    KIND_VIDEO_CONTENT_TYPE,
    KIND_VIDEO_ORIENTATION,
)
from router._fastpath.shedding cimport load_window, shedding_look
from router._fastpath.state cimport (
    ADDRESSES_MAX,
    CODECS,
    LINKS_MAX,
    inbound_stream,
    outbound_slot,
    plane_state,
    slot_of,
    state_free,
    state_init,
    stream_of,
    transport,
    transport_of,
)
from router._fastpath.udp cimport (
    UDP_BATCH,
    datagram,
    out_message,
    udp_close,
    udp_count_drops,
    udp_implies_local,
    udp_open,
    udp_path,
    udp_send,
    udp_socket,
)

from router._fastpath.counters import NAMES as _NAMES
from router.errors import DataPlaneError

EVENT_VALIDATED = EVENT_KIND_VALIDATED
EVENT_DATAGRAM = EVENT_KIND_DATAGRAM
EVENT_SSRC = EVENT_KIND_SSRC
EVENT_CONSENT_LOST = EVENT_KIND_CONSENT_LOST
EVENT_STREAM_STARTED = EVENT_KIND_STREAM_STARTED
EVENT_BYE = EVENT_KIND_BYE
EVENT_SLOT_STARTED = EVENT_KIND_SLOT_STARTED
EVENT_SHED = EVENT_KIND_SHED

EXTENSION_MID = KIND_MID
EXTENSION_RID = KIND_RID
EXTENSION_REPAIRED_RID = KIND_REPAIRED_RID
EXTENSION_AUDIO_LEVEL = KIND_AUDIO_LEVEL
EXTENSION_ABS_SEND_TIME = KIND_ABS_SEND_TIME
EXTENSION_TRANSPORT_CC = KIND_TRANSPORT_CC
EXTENSION_VIDEO_ORIENTATION = KIND_VIDEO_ORIENTATION
EXTENSION_TOFFSET = KIND_TOFFSET
EXTENSION_PLAYOUT_DELAY = KIND_PLAYOUT_DELAY
EXTENSION_VIDEO_CONTENT_TYPE = KIND_VIDEO_CONTENT_TYPE
EXTENSION_COLOR_SPACE = KIND_COLOR_SPACE
EXTENSION_DEPENDENCY_DESCRIPTOR = KIND_DEPENDENCY_DESCRIPTOR

FORMAT_OPAQUE = PAYLOAD_FORMAT_OPAQUE
FORMAT_OPUS = PAYLOAD_FORMAT_OPUS
FORMAT_VP8 = PAYLOAD_FORMAT_VP8
FORMAT_H264 = PAYLOAD_FORMAT_H264
FORMAT_VP9 = PAYLOAD_FORMAT_VP9
FORMAT_AV1 = PAYLOAD_FORMAT_AV1

PAYLOAD_RTX = 0x80
PAYLOAD_NONE = NO_PAYLOAD_TYPE


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


# Where output goes: to the socket once there is one, else it is kept.
cdef struct outlet:
    udp_socket socket
    capture kept
    bint by_hand
    bint discard


cdef void _send(void *context, const out_message *messages, int count) noexcept nogil:
    cdef outlet *out = <outlet *>context
    if out.discard:
        return
    if out.by_hand:
        capture_send(&out.kept, messages, count)
    else:
        udp_send(&out.socket, messages, count)


cdef bint _implies(void *context, const udp_path *path) noexcept nogil:
    cdef outlet *out = <outlet *>context
    if out.by_hand:
        return capture_implies(&out.kept, path)
    return udp_implies_local(&out.socket, path) != 0


cdef ring *_new_ring(uint32_t slots, size_t slot_size) except NULL:
    cdef ring *r = <ring *>aligned_alloc(64, (sizeof(ring) + 63) & ~<size_t>63)
    cdef int status
    if r == NULL:
        raise MemoryError
    status = ring_open(r, slots, <uint32_t>slot_size)
    if status != FP_OK:
        free(r)
        if status == FP_ERR_FORMAT:
            raise ValueError(f"ring of {slots} slots: a power of two up to 2**20 is allowed")
        raise OSError("no memory or no descriptor for a ring")
    return r


# Copies ``data`` into a command; a command that was reserved but is not committed is used again.
cdef int _put(uint8_t *out, bytes data, Py_ssize_t length, str name) except -1:
    cdef const uint8_t *source = data
    if len(data) != length:
        raise ValueError(f"{name} has {len(data)} bytes, not {length}")
    memcpy(out, source, <size_t>length)
    return 0


# One direction between two planes, kept as long as either.
@cython.final
@cython.auto_pickle(False)
cdef class _LinkRing:
    cdef ring *r                # owned

    def __cinit__(self):
        self.r = _new_ring(LINK_SLOTS, sizeof(link_message))

    def __dealloc__(self):
        if self.r != NULL:
            ring_close(self.r)
            free(self.r)


@cython.final
@cython.auto_pickle(False)
cdef class DataPlane:
    cdef plane_state *state     # owned
    cdef ring *commands         # owned
    cdef ring *events           # owned
    cdef outlet *out            # owned
    cdef bint running
    cdef int stopping
    cdef uint64_t busy_us
    cdef list links             # of each link: the other plane and the rings

    def __cinit__(
        self,
        *,
        uint32_t max_transports=4096,
        uint32_t max_streams=8192,
        uint32_t max_slots=65535,
        uint32_t command_slots=4096,
        uint32_t event_slots=4096,
        uint64_t seed=0,
    ):
        for name, value in (
            ("max_transports", max_transports),
            ("max_streams", max_streams),
            ("max_slots", max_slots),
        ):
            if not 1 <= value <= 65535:
                raise ValueError(f"{name} is {value}, not 1 to 65535")
        self.commands = _new_ring(command_slots, sizeof(plane_command))
        self.events = _new_ring(event_slots, sizeof(plane_event))
        self.out = <outlet *>calloc(1, sizeof(outlet))
        self.state = <plane_state *>calloc(1, sizeof(plane_state))
        if self.out == NULL or self.state == NULL:
            raise MemoryError
        self.out.socket.fd = -1
        self.out.by_hand = True
        self.links = []
        if seed == 0:
            seed = int.from_bytes(os.urandom(8), "big")
        if state_init(
            self.state, max_transports, max_streams, max_slots, seed,
            self.commands, self.events, _send, _implies, self.out,
        ):
            raise MemoryError
        ring_sleep(self.events)     # so that the first event rings

    def __dealloc__(self):
        if self.state != NULL:
            state_free(self.state)
            free(self.state)
        if self.out != NULL:
            if self.out.socket.fd >= 0:
                udp_close(&self.out.socket)
            capture_free(&self.out.kept)
            free(self.out)
        if self.commands != NULL:
            ring_close(self.commands)
            free(self.commands)
        if self.events != NULL:
            ring_close(self.events)
            free(self.events)

    # The thread

    def bind(self, str address, int port, *, int receive_buffer, int send_buffer):
        cdef int status
        if not 0 <= port <= 65535:
            raise ValueError(f"port is {port}, not 0 to 65535")
        if self.out.socket.fd >= 0:
            raise DataPlaneError("the data plane is bound already")
        host = address.encode()
        status = udp_open(&self.out.socket, host, <uint16_t>port, receive_buffer, send_buffer)
        if status == FP_ERR_FORMAT:
            raise ValueError(f"not a numeric address: {address!r}")
        if status != FP_OK:
            error = self.out.socket.error
            self.out.socket.fd = -1
            raise OSError(error, os.strerror(error), f"{address} port {port}")
        return self.out.socket.port

    def run(self):
        cdef int status
        if self.out.socket.fd < 0:
            raise DataPlaneError("the data plane is not bound")
        if self.running:
            raise DataPlaneError("the data plane runs already")
        self.running = True
        self.out.by_hand = False
        self.state.wall_offset_us = wall_offset_us()
        with nogil:
            status = loop_run(self.state, &self.out.socket, &self.stopping, &self.busy_us)
        self.running = False
        self.stopping = 0
        if status != FP_OK:
            error = self.out.socket.error
            raise DataPlaneError(f"the data plane's loop ended: {os.strerror(error)}")

    def stop(self):
        self.stopping = 1
        ring_bell(self.commands)

    def close(self):
        if self.running:
            raise DataPlaneError("the data plane still runs")
        if self.out.socket.fd >= 0:
            udp_close(&self.out.socket)
            self.out.socket.fd = -1
        self.out.by_hand = True

    def fileno(self):
        return self.events.doorbell

    def next_events(self, int limit=256):
        cdef list events = []
        cdef const plane_event *event
        cdef uint64_t one = 1
        ring_wake(self.events)
        while len(events) < limit:
            event = <const plane_event *>ring_peek(self.events)
            if event == NULL:
                break
            events.append(_event_to_python(event))
            ring_pop(self.events)
        if not ring_sleep(self.events):
            # More than the limit: stay readable.
            if write(self.events.doorbell, &one, 8) != 8:
                raise OSError("the doorbell cannot be written")
        return events

    # Commands

    cdef plane_command *_begin(self, uint8_t kind, uint32_t id) except? NULL:
        cdef plane_command *command = <plane_command *>ring_reserve(self.commands)
        if command != NULL:
            command.kind = kind
            command.id = id
        return command

    cdef bint _simple(self, uint8_t kind, uint32_t id) except -1:
        if self._begin(kind, id) == NULL:
            return False
        ring_commit(self.commands)
        return True

    def define_codec(self, int codec, int payload_format, uint32_t clock_rate):
        cdef plane_command *command
        if not 1 <= codec < CODECS:
            raise ValueError(f"codec is {codec}, not 1 to {CODECS - 1}")
        if not FORMAT_OPAQUE <= payload_format <= FORMAT_AV1:
            raise ValueError(f"payload_format is {payload_format}, not one of FORMAT_*")
        if not 1 <= clock_rate <= 1000000:
            raise ValueError(f"clock_rate is {clock_rate} Hz, not 1 to 1,000,000")
        command = self._begin(COMMAND_DEFINE_CODEC, 0)
        if command == NULL:
            return False
        command.body.codec.codec = <uint8_t>codec
        command.body.codec.payload_format = <uint8_t>payload_format
        command.body.codec.clock_rate = clock_rate
        ring_commit(self.commands)
        return True

    cdef bint _credentials(
        self, uint8_t kind, uint32_t transport_id, bytes ufrag, bytes password
    ) except -1:
        cdef plane_command *command
        if not 1 <= len(ufrag) <= UFRAG_MAX:
            raise ValueError(f"ufrag has {len(ufrag)} bytes, not 1 to {UFRAG_MAX}")
        if not 1 <= len(password) <= PASSWORD_MAX:
            raise ValueError(f"password has {len(password)} bytes, not 1 to {PASSWORD_MAX}")
        command = self._begin(kind, transport_id)
        if command == NULL:
            return False
        command.body.credentials.ufrag_length = <uint8_t>len(ufrag)
        command.body.credentials.password_length = <uint8_t>len(password)
        _put(command.body.credentials.ufrag, ufrag, len(ufrag), "ufrag")
        _put(command.body.credentials.password, password, len(password), "password")
        ring_commit(self.commands)
        return True

    def add_transport(self, uint32_t transport_id, bytes ufrag, bytes password):
        return self._credentials(COMMAND_ADD_TRANSPORT, transport_id, ufrag, password)

    def restart_transport(self, uint32_t transport_id, bytes ufrag, bytes password):
        return self._credentials(COMMAND_RESTART_TRANSPORT, transport_id, ufrag, password)

    def set_keys(
        self,
        uint32_t transport_id,
        int profile,
        bytes receive_key,
        bytes receive_salt,
        bytes send_key,
        bytes send_salt,
    ):
        cdef plane_command *command
        cdef Py_ssize_t salt_length = 12 if profile == 7 else 14
        if profile != 7 and profile != 1:
            raise ValueError(f"profile is {profile}, not 7 or 1")
        command = self._begin(COMMAND_SET_KEYS, transport_id)
        if command == NULL:
            return False
        command.body.keys.profile = <uint8_t>profile
        _put(command.body.keys.receive_key, receive_key, 16, "receive_key")
        _put(command.body.keys.receive_salt, receive_salt, salt_length, "receive_salt")
        _put(command.body.keys.send_key, send_key, 16, "send_key")
        _put(command.body.keys.send_salt, send_salt, salt_length, "send_salt")
        ring_commit(self.commands)
        return True

    def configure_transport(
        self,
        uint32_t transport_id,
        *,
        bytes payload_in,
        bytes payload_out,
        bytes rtx_out,
        bytes extensions_in,
        bytes extensions_out,
        bint transport_cc,
        bint remb,
        bytes cname,
        bint reduced_size=False,
        bint extmap_allow_mixed=False,
    ):
        cdef plane_command *command
        if len(cname) > CNAME_MAX:
            raise ValueError(f"cname has {len(cname)} bytes, not at most {CNAME_MAX}")
        for number in payload_out + rtx_out:
            if number > 127 and number != NO_PAYLOAD_TYPE:
                raise ValueError(f"payload type {number} is not 0 to 127, or 255 for none")
        command = self._begin(COMMAND_CONFIGURE_TRANSPORT, transport_id)
        if command == NULL:
            return False
        _put(command.body.configuration.payload_in, payload_in, 128, "payload_in")
        _put(command.body.configuration.payload_out, payload_out, 64, "payload_out")
        _put(command.body.configuration.rtx_out, rtx_out, 64, "rtx_out")
        _put(command.body.configuration.extensions_in, extensions_in, 256, "extensions_in")
        _put(command.body.configuration.extensions_out, extensions_out, 16, "extensions_out")
        command.body.configuration.transport_cc = transport_cc
        command.body.configuration.remb = remb
        command.body.configuration.reduced_size = reduced_size
        command.body.configuration.extmap_allow_mixed = extmap_allow_mixed
        command.body.configuration.cname_length = <uint8_t>len(cname)
        _put(command.body.configuration.cname, cname, len(cname), "cname")
        ring_commit(self.commands)
        return True

    def send_datagram(self, uint32_t transport_id, bytes data):
        cdef plane_command *command
        if not 1 <= len(data) <= COMMAND_DATA_MAX:
            raise ValueError(f"data has {len(data)} bytes, not 1 to {COMMAND_DATA_MAX}")
        command = self._begin(COMMAND_SEND_DATAGRAM, transport_id)
        if command == NULL:
            return False
        command.body.datagram.length = <uint16_t>len(data)
        _put(command.body.datagram.data, data, len(data), "data")
        ring_commit(self.commands)
        return True

    def remove_transport(self, uint32_t transport_id):
        return self._simple(COMMAND_REMOVE_TRANSPORT, transport_id)

    cdef bint _endpoint(
        self, uint8_t kind, uint32_t id, uint32_t transport_id, uint32_t ssrc, uint32_t rtx_ssrc,
        bint video,
    ) except -1:
        cdef plane_command *command
        if rtx_ssrc and ssrc == rtx_ssrc:
            raise ValueError(f"ssrc and rtx_ssrc are both {ssrc}")
        command = self._begin(kind, id)
        if command == NULL:
            return False
        command.body.endpoint.transport_id = transport_id
        command.body.endpoint.ssrc = ssrc
        command.body.endpoint.rtx_ssrc = rtx_ssrc
        command.body.endpoint.video = video
        ring_commit(self.commands)
        return True

    def add_stream(
        self, uint32_t stream_id, uint32_t transport_id, uint32_t ssrc, uint32_t rtx_ssrc, *,
        bint video,
    ):
        if stream_id == 0:
            raise ValueError("stream id 0 means none; begin with generation 1 or index 1")
        return self._endpoint(COMMAND_ADD_STREAM, stream_id, transport_id, ssrc, rtx_ssrc, video)

    def set_stream_rtx(self, uint32_t stream_id, uint32_t rtx_ssrc):
        cdef plane_command *command = self._begin(COMMAND_SET_STREAM_RTX, stream_id)
        if command == NULL:
            return False
        command.body.endpoint.rtx_ssrc = rtx_ssrc
        ring_commit(self.commands)
        return True

    def set_stream_lower(self, uint32_t stream_id, uint32_t lower_id):
        cdef plane_command *command = self._begin(COMMAND_SET_STREAM_LOWER, stream_id)
        if command == NULL:
            return False
        command.body.stream_id = lower_id
        ring_commit(self.commands)
        return True

    def remove_stream(self, uint32_t stream_id):
        return self._simple(COMMAND_REMOVE_STREAM, stream_id)

    def add_slot(
        self, uint32_t slot_id, uint32_t transport_id, uint32_t ssrc, uint32_t rtx_ssrc, *,
        bint video,
    ):
        return self._endpoint(COMMAND_ADD_SLOT, slot_id, transport_id, ssrc, rtx_ssrc, video)

    def bind_slot(self, uint32_t slot_id, uint32_t stream_id):
        cdef plane_command *command = self._begin(COMMAND_BIND_SLOT, slot_id)
        if command == NULL:
            return False
        command.body.stream_id = stream_id
        ring_commit(self.commands)
        return True

    def remove_slot(self, uint32_t slot_id):
        return self._simple(COMMAND_REMOVE_SLOT, slot_id)

    cdef bint _add_link(self, DataPlane other, _LinkRing incoming, _LinkRing outgoing) except -1:
        cdef plane_command *command = self._begin(COMMAND_ADD_LINK, 0)
        if command == NULL:
            return False
        command.body.link.incoming = incoming.r
        command.body.link.outgoing = outgoing.r
        command.body.link.bell = other.commands
        ring_commit(self.commands)
        self.links.append((other, incoming, outgoing))
        return True

    def link(self, DataPlane other):
        cdef _LinkRing incoming, outgoing
        if other is self:
            raise ValueError("a plane needs no link with itself")
        if self._linked(other) is not None:
            return True
        if len(self.links) == LINKS_MAX or len(other.links) == LINKS_MAX:
            raise DataPlaneError(f"a plane has {LINKS_MAX} links already")
        if self._begin(COMMAND_ADD_LINK, 0) == NULL or other._begin(COMMAND_ADD_LINK, 0) == NULL:
            return False
        incoming, outgoing = _LinkRing(), _LinkRing()
        self._add_link(other, incoming, outgoing)
        other._add_link(self, outgoing, incoming)
        return True

    cdef object _linked(self, DataPlane other):
        for i, link in enumerate(self.links):
            if link[0] is other:
                return i
        return None

    cdef bint _copy(
        self, uint8_t kind, uint32_t id, DataPlane other, uint32_t stream_id, bint video
    ) except -1:
        cdef plane_command *command
        number = self._linked(other)
        if number is None:
            raise ValueError("the planes are not linked")
        command = self._begin(kind, id)
        if command == NULL:
            return False
        command.body.copy.stream_id = stream_id
        command.body.copy.link = <uint8_t>number
        command.body.copy.video = video
        ring_commit(self.commands)
        return True

    def add_copy(
        self, uint32_t stream_id, DataPlane other, uint32_t other_stream_id, *, bint video
    ):
        if stream_id == 0:
            raise ValueError("stream id 0 means none; begin with generation 1 or index 1")
        return self._copy(COMMAND_ADD_COPY, stream_id, other, other_stream_id, video)

    def copy_stream(self, uint32_t stream_id, DataPlane other, uint32_t copy_id):
        return self._copy(COMMAND_COPY_STREAM, stream_id, other, copy_id, False)

    def request_key_frame(self, uint32_t stream_id):
        return self._simple(COMMAND_REQUEST_KEY_FRAME, stream_id)

    # Facts

    def load(self):
        return self.state.load_permille / 1000.0

    def counters(self):
        cdef int i
        cdef plane_state *p = self.state
        counted = {_NAMES[i]: p.counts[i] for i in range(COUNTERS)}
        counted["datagrams_out"] = p.out.packets
        counted["bytes_out"] = p.out.bytes
        counted["messages_out"] = p.out.messages_sent
        counted["transports"] = p.used_transports
        counted["streams"] = p.used_streams
        counted["slots"] = p.used_slots
        counted["shed_slots"] = p.shed_slots
        counted["commands_dropped"] = ring_dropped(self.commands)
        counted["events_waiting"] = ring_length(self.events)
        counted["busy_us"] = self.busy_us
        udp_count_drops(&self.out.socket)
        counted["socket_receive_drops"] = self.out.socket.counters.receive_drops
        counted["socket_received"] = self.out.socket.counters.received
        counted["socket_received_bytes"] = self.out.socket.counters.received_bytes
        counted["socket_sent"] = self.out.socket.counters.sent
        counted["socket_sent_bytes"] = self.out.socket.counters.sent_bytes
        counted["socket_failed"] = self.out.socket.counters.failed
        counted["socket_dropped"] = self.out.socket.counters.dropped
        counted["socket_truncated"] = self.out.socket.counters.truncated
        counted["socket_receive_calls"] = self.out.socket.counters.receive_calls
        counted["socket_send_calls"] = self.out.socket.counters.send_calls
        counted["socket_gso_fallbacks"] = self.out.socket.counters.gso_fallbacks
        return counted

    def transport_stats(self, uint32_t transport_id):
        cdef transport *t = transport_of(self.state, transport_id)
        cdef int validated = 0
        cdef int i
        if t == NULL:
            return None
        for i in range(ADDRESSES_MAX):
            validated += t.addresses[i].used
        address = local_address = None
        if t.selected >= 0:
            address = address_to_python(&t.addresses[t.selected].path.remote)
            local_address = host_to_python(&t.addresses[t.selected].path.local.ipi6_addr)
        return {
            "address": address,
            "local_address": local_address,
            "validated": validated,
            "has_keys": bool(t.has_keys),
            "checks": t.checks,
            "checked_at_us": t.checked_at_us,
            "authenticated_at_us": t.authenticated_at_us,
            "packets_in": t.packets_in,
            "bytes_in": t.bytes_in,
            "packets_out": t.packets_out,
            "bytes_out": t.bytes_out,
            "rtt_us": t.rtt_us,
            "remb_bps": t.remb_bps,
            "transport_cc_in": t.transport_cc_in,
            "streams": t.streams,
            "slots": t.slots,
        }

    def stream_stats(self, uint32_t stream_id):
        cdef inbound_stream *s = stream_of(self.state, stream_id)
        if s == NULL:
            return None
        return {
            "ssrc": s.ssrc,
            "codec": s.codec,
            "packets": s.statistics.packets,
            "bytes": s.statistics.bytes,
            "lost": reception_lost(&s.statistics),
            "jitter": s.statistics.jitter_q4 >> 4,
            "nacks": s.nacks,
            "requested": s.requested,
            "recovered": s.recovered,
            "given_up": s.losses.given_up,
            "duplicates": s.duplicates,
            "key_frames": s.key_frames,
            "plis": s.plis,
            "slots": s.slots,
            "copies": s.copy_count,
            "newest_at_us": s.newest_at_us,
        }

    def slot_stats(self, uint32_t slot_id):
        cdef outbound_slot *slot = slot_of(self.state, slot_id)
        if slot == NULL:
            return None
        return {
            "ssrc": slot.ssrc,
            "bound": slot.stream >= 0,
            "started": bool(slot.started),
            "shed": slot.shed,
            "packets": slot.packets,
            "bytes": slot.bytes,
            "rtx_packets": slot.rtx_packets,
            "plain_resends": slot.plain_resends,
            "nacks": slot.nacks,
            "plis": slot.plis,
            "fraction_lost": slot.fraction_lost / 256.0,
            "lost": slot.lost,
            "jitter": slot.jitter,
            "rtt_us": slot.rtt_us,
            "highest_index": slot.highest_index,
        }

    # By hand

    cdef int _check_by_hand(self) except -1:
        if self.running:
            raise DataPlaneError("a thread runs this data plane")
        return 0

    def receive_datagrams(self, datagrams, int64_t now_us):
        cdef datagram batch[UDP_BATCH]
        cdef list copies = []
        cdef bytearray copy
        cdef datagram *d
        self._check_by_hand()
        commands_run(self.state, now_us, ALL_COMMANDS)
        links_receive(self.state, now_us)
        for data, source, *local in datagrams:
            copy = bytearray(data)
            d = &batch[len(copies)]
            memset(d, 0, sizeof(datagram))
            address_from_python(&d.path.remote, source)
            host_from_python(&d.path.local.ipi6_addr, local[0] if local else None)
            d.data = copy
            d.length = <uint32_t>len(copy)
            copies.append(copy)
            if len(copies) == UDP_BATCH:
                core_receive(self.state, batch, UDP_BATCH, now_us)
                copies.clear()
        core_receive(self.state, batch, <int>len(copies), now_us)
        core_finish(self.state, now_us)

    def handle_timer(self, int64_t now_us):
        self._check_by_hand()
        commands_run(self.state, now_us, ALL_COMMANDS)
        links_receive(self.state, now_us)
        core_timer(self.state, now_us)
        core_finish(self.state, now_us)

    def look_at_load(
        self,
        int64_t now_us,
        *,
        int64_t busy_us,
        int64_t length_us=20000,
        uint64_t drops=0,
        int64_t waited_us=0,
        int64_t taken_ago_us=0,
        bint emptied=False,
    ):
        cdef load_window window
        self._check_by_hand()
        window.busy_us = busy_us
        window.length_us = length_us
        window.drops = drops
        window.taken_at_us = now_us - taken_ago_us
        window.waited_us = waited_us
        window.emptied = emptied
        shedding_look(self.state, &window, now_us)
        core_finish(self.state, now_us)

    def next_timer(self):
        cdef int64_t at_us
        self._check_by_hand()
        if ring_length(self.commands) or links_wait(self.state):
            return 0
        at_us = min(deadlines_next(&self.state.timers), fanout_due(self.state))
        return -1 if at_us == NEVER_US else at_us

    def discard_output(self):
        self._check_by_hand()
        self.out.discard = True

    def datagrams_to_send(self):
        self._check_by_hand()
        return capture_take(&self.out.kept, False)

    def datagrams_to_send_from(self):
        self._check_by_hand()
        return capture_take(&self.out.kept, True)


cdef tuple _event_to_python(const plane_event *event):
    if event.kind == EVENT_KIND_VALIDATED:
        address, port = address_to_python(&event.body.address)
        return (event.kind, event.id, event.at_us, address, port, event.first != 0)
    if event.kind == EVENT_KIND_DATAGRAM:
        return (event.kind, event.id, event.at_us, event.body.data[:event.length])
    if event.kind == EVENT_KIND_SSRC:
        return (
            event.kind,
            event.id,
            event.at_us,
            event.body.report.ssrc,
            event.body.report.payload_type,
            event.body.report.mid[:event.body.report.mid_length],
            event.body.report.rid[:event.body.report.rid_length],
            event.body.report.repaired_rid[:event.body.report.repaired_rid_length],
        )
    return (event.kind, event.id, event.at_us)
