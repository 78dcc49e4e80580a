"""
Random commands, datagrams and times on a plane that is driven by hand, and what must hold always.

Everything that the plane sends is opened with the keys of the peer that it goes to, at the index
that RFC 3711 makes its receiver guess; an index that is sealed twice, a packet that does not open,
a byte to a stranger that it did not pay for, or a count that does not add up ends the run. One call
goes on all the time, and nothing may be missing from it.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from router._fastpath import plane as fp
from router._fastpath.srtp import SrtpSession
from router.rtp import RtpPacket
from router.stun import (
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    Message,
    MessageClass,
    Method,
    new_transaction_id,
)

from .peers import AEAD, AV1, CM, DATA, H264, OPUS, VP8, VP9, by_index
from .seals import SealWatch

Addr = tuple[str, int]

TRANSPORTS, STREAMS, SLOTS = 8, 24, 32
SSRCS = range(1000, 1012)
"""Few, so that they are used again and collide."""
CODECS = (OPUS, VP8, H264, VP9, AV1, DATA)
GENERATION = 0x10000
SECOND = 1_000_000


class Broken(AssertionError):
    """Something that must always hold does not."""


@dataclass
class Epoch:
    """One pair of SRTP keys of a peer."""

    profile: int
    send_key: bytes
    receive_key: bytes
    sender: SrtpSession
    receiver: SrtpSession
    seals: SealWatch
    indices: dict[int, int] = field(default_factory=dict)
    """The next index of each SSRC that the peer sends."""
    rtcp_index: int = 0
    sent: list[bytes] = field(default_factory=list)
    """Some of what was sent, for replays."""


class ChaosPeer:
    """A peer that does anything, with keys that fit."""

    def __init__(self, transport_id: int, rng: random.Random) -> None:
        self.id = transport_id
        self.rng = rng
        generation, index = divmod(transport_id, GENERATION)
        host = f"10.{generation >> 8}.{generation & 255}.{index}"  # no two in a run share one
        self.address: Addr = (host, 1024)
        self.ufrag = b"u%x" % transport_id
        self.password = rng.randbytes(11).hex().encode()
        self.epochs: list[Epoch] = []
        self.types: list[int] = [96]
        """Payload types in the order of :data:`CODECS`, then their RTX."""
        self.ssrcs: list[int] = list(SSRCS[:2])
        """Those that have or had a stream."""
        self.seen: dict[int, list[int]] = {}
        """The last sequence numbers received of each SSRC."""

    def draw_keys(self) -> Epoch:
        """Begin a new epoch; the plane has to be told."""
        profile = self.rng.choice((AEAD, CM))
        length = 16 + (12 if profile == AEAD else 14)
        send, receive = self.rng.randbytes(length), self.rng.randbytes(length)
        epoch = Epoch(
            profile,
            send,
            receive,
            SrtpSession(profile, send[:16], send[16:]),
            SrtpSession(profile, receive[:16], receive[16:]),
            SealWatch(profile=profile),
        )
        self.epochs = [*self.epochs[-1:], epoch]
        return epoch

    def check(self, *, valid: bool = True, orderly: bool = False) -> bytes:
        """Return a connectivity check; an orderly one has no role conflict."""
        message = Message(
            method=Method.BINDING,
            message_class=MessageClass.REQUEST,
            transaction_id=new_transaction_id(self.rng),
        )
        message = message.with_attribute(USERNAME, f"{self.ufrag.decode()}:peer")
        message = message.with_attribute(PRIORITY, 1)
        confused = not orderly and self.rng.random() < 0.05
        message = message.with_attribute(ICE_CONTROLLED if confused else ICE_CONTROLLING, 7)
        if self.rng.random() < 0.5:
            message = message.with_attribute(USE_CANDIDATE, True)
        return message.serialize(key=self.password if valid else b"wrong")

    def take(self, datagram: bytes) -> None:
        """Open what the plane sent; it may be from before the last change of keys."""
        if datagram[0] >> 6 != 2:
            return
        for epoch in reversed(self.epochs):
            if self._open(epoch, datagram):
                epoch.seals.note(datagram)
                if epoch.seals.reused:
                    raise Broken(f"sealed twice: {epoch.seals.reused}")
                return
        raise Broken("a packet opens with no key")

    def _open(self, epoch: Epoch, datagram: bytes) -> bool:
        if 192 <= datagram[1] <= 223:
            return epoch.receiver.open_rtcp(datagram) is not None
        number, _, ssrc = struct.unpack_from("!HII", datagram, 2)
        highest = epoch.seals.highest.get(ssrc, number)
        index = highest + ((number - highest + 0x8000) & 0xFFFF) - 0x8000
        if index < 0 or epoch.receiver.open(datagram, index >> 16) is None:
            return False
        self.seen[ssrc] = [*self.seen.get(ssrc, [])[-30:], number]
        return True


class Chaos:
    """
    One run.

    :param seed: The same one gives the same run.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_us = self.rng.randrange(1, 1 << 40)
        self.plane = fp.DataPlane(
            max_transports=TRANSPORTS + 2,
            max_streams=STREAMS + 2,
            max_slots=SLOTS + 2,
            command_slots=64,
            event_slots=32,
            seed=seed + 1,
        )
        formats = (fp.FORMAT_OPUS, fp.FORMAT_VP8, fp.FORMAT_H264, fp.FORMAT_VP9, fp.FORMAT_AV1, 0)
        for codec, payload_format in zip(CODECS, formats, strict=True):
            self.plane.define_codec(codec, payload_format, 48000 if codec == OPUS else 90000)
        self.peers: dict[int, ChaosPeer] = {}
        """Live ones, by index."""
        self.streams: dict[int, int] = {}
        """Ids by index; likewise the slots."""
        self.slots: dict[int, int] = {}
        self.by_address: dict[Addr, ChaosPeer] = {}
        self.generation = 0
        self.before = self.plane.counters()
        self.sent_datagrams = 0
        self.sent_rtp = 0
        self.steps = 0
        self._start_canary()
        for _ in range(12):
            self.add_transport()
        for _ in range(20):
            self.add_stream()
            self.add_slot()

    # The call that must go on.

    def _start_canary(self) -> None:
        plane = self.plane
        self.caller, self.callee = (ChaosPeer(TRANSPORTS + n, self.rng) for n in range(2))
        for peer in (self.caller, self.callee):
            plane.add_transport(peer.id, peer.ufrag, peer.password)
            self._install(peer)
            plane.configure_transport(
                peer.id,
                payload_in=by_index({96: VP8}, 128),
                payload_out=by_index({VP8: 100}, 64, absent=fp.PAYLOAD_NONE),
                rtx_out=by_index({}, 64, absent=fp.PAYLOAD_NONE),
                extensions_in=bytes(256),
                extensions_out=bytes(16),
                transport_cc=False,
                remb=False,
                cname=b"canary",
            )
            self.by_address[peer.address] = peer
        self.stream, self.slot = STREAMS + 1, SLOTS + 1
        plane.add_stream(self.stream, self.caller.id, 500, 0, video=True)
        plane.add_slot(self.slot, self.callee.id, 600, 0, video=True)
        plane.bind_slot(self.slot, self.stream)
        self.canary_frames = 0
        self.canary_received = 0
        self._keep_canary()

    def _keep_canary(self) -> None:
        self._receive(
            [(peer.check(orderly=True), peer.address) for peer in (self.caller, self.callee)]
        )

    def _sing(self) -> None:
        """Send a frame of the canary, and look at what arrived."""
        packet = RtpPacket(
            payload_type=96,
            sequence_number=self.canary_frames & 0xFFFF,
            rtp_timestamp=self.now_us * 9 // 100 & 0xFFFFFFFF,
            ssrc=500,
            payload=b"\x10" + bytes([self.canary_frames > 0]) + b"canary",
        )
        data = self.caller.epochs[-1].sender.seal(packet.serialize(), self.canary_frames >> 16)
        self.canary_frames += 1
        self._keep_canary()
        self._receive([(data, self.caller.address)])
        received = len(self.callee.epochs[-1].seals.sealed)
        if received != self.canary_frames:
            raise Broken(f"{self.canary_frames} canary frames were sent, {received} came")

    # One step.

    def step(self) -> None:
        """Do something, and look whether all is well."""
        action = self.rng.choices(self.ACTIONS, self.WEIGHTS)[0]
        action(self)
        self.steps += 1
        if self.steps % 5 == 0:
            self._sing()
        if self.rng.random() < 0.1:
            self.plane.next_events(self.rng.choice((1, 10, 1000)))
        if self.steps % 20 == 0:
            self._count()

    def finish(self) -> None:
        """Remove everything; nothing may be left."""
        for peer in [*self.peers.values(), self.caller, self.callee]:
            self._tick()
            self.plane.remove_transport(peer.id)
        self._tick()
        self.plane.next_events(10_000)
        counters = self.plane.counters()
        left = {name: counters[name] for name in ("transports", "streams", "slots")}
        if any(left.values()) or self.plane.next_timer() != -1:
            raise Broken(f"left: {left}, timer {self.plane.next_timer()}")

    # Commands.

    def _tick(self) -> None:
        """Let the commands be carried out."""
        self.plane.handle_timer(self.now_us)
        self._collect()
        if 0 <= self.plane.next_timer() <= self.now_us:
            raise Broken("the timer is due again at once")

    def _new_id(self, index: int) -> int:
        self.generation = self.generation % 0x7FFE + 1
        return index | self.generation * GENERATION

    def _install(self, peer: ChaosPeer) -> None:
        epoch = peer.draw_keys()
        self.plane.set_keys(
            peer.id,
            epoch.profile,
            epoch.send_key[:16],
            epoch.send_key[16:],
            epoch.receive_key[:16],
            epoch.receive_key[16:],
        )

    def _peer(self) -> ChaosPeer | None:
        return self.rng.choice(list(self.peers.values())) if self.peers else None

    def _any_id(self, live: dict[int, int]) -> int:
        """Return an id, most often of something that lives."""
        if live and self.rng.random() < 0.95:
            return self.rng.choice(list(live.values()))
        return self.rng.choice((0, 1, 0xFFFF, self.rng.getrandbits(31)))

    def add_transport(self) -> None:
        index = self.rng.randrange(TRANSPORTS)
        if index in self.peers:
            return
        peer = ChaosPeer(self._new_id(index), self.rng)
        self.peers[index] = peer
        self.by_address[peer.address] = peer
        self.plane.add_transport(peer.id, peer.ufrag, peer.password)
        if self.rng.random() < 0.9:
            self._install(peer)
            self._configure(peer)
        self._tick()
        if self.rng.random() < 0.9:
            self._receive([(peer.check(), peer.address)])

    def remove_transport(self) -> None:
        peer = self._peer()
        if peer is None or self.rng.random() < 0.7:
            return
        del self.peers[peer.id & 0xFFFF]
        self.plane.remove_transport(peer.id)
        self._tick()

    def restart_transport(self) -> None:
        if (peer := self._peer()) is not None:
            peer.ufrag = b"r%x" % self.rng.getrandbits(40)
            self.plane.restart_transport(peer.id, peer.ufrag, peer.password)
            self._tick()

    def renew_keys(self) -> None:
        peer = self._peer()
        if peer is not None:
            self._install(peer)
            self._tick()

    def configure(self) -> None:
        if (peer := self._peer()) is not None:
            self._configure(peer)
            self._tick()

    def _configure(self, peer: ChaosPeer) -> None:
        rng = self.rng
        numbers = rng.sample(range(96, 128), 12)
        rtx = rng.random() < 0.6
        peer.types = numbers
        types_in = dict(zip(numbers, CODECS, strict=False))
        if rtx:
            types_in |= {
                number: codec | fp.PAYLOAD_RTX
                for number, codec in zip(numbers[6:], CODECS, strict=True)
            }
        kinds = rng.sample(range(1, 13), rng.randrange(13))
        ids = dict(zip(rng.sample(range(1, 15), len(kinds)), kinds, strict=True))
        out = {codec: n for n, codec in zip(numbers, CODECS, strict=False) if rng.random() < 0.9}
        self.plane.configure_transport(
            peer.id,
            payload_in=by_index(types_in, 128),
            payload_out=by_index(out, 64, absent=fp.PAYLOAD_NONE),
            rtx_out=by_index(
                dict(zip(CODECS, numbers[6:], strict=True)) if rtx else {},
                64,
                absent=fp.PAYLOAD_NONE,
            ),
            extensions_in=by_index(ids, 256),
            extensions_out=by_index({kind: n for n, kind in ids.items()}, 16),
            transport_cc=rng.random() < 0.5,
            remb=rng.random() < 0.5,
            cname=b"c" * rng.choice((0, 5, 63)),
            reduced_size=rng.random() < 0.5,
            extmap_allow_mixed=rng.random() < 0.5,
        )

    def _transport_id(self) -> int:
        return self._any_id({index: peer.id for index, peer in self.peers.items()})

    def _ssrc_pair(self) -> tuple[int, int]:
        ssrc, rtx_ssrc = self.rng.sample(SSRCS, 2)
        return ssrc, rtx_ssrc if self.rng.random() < 0.6 else 0

    def add_stream(self) -> None:
        index = self.rng.randrange(1, STREAMS)
        stream_id = self._new_id(index)
        transport_id, (ssrc, rtx_ssrc) = self._transport_id(), self._ssrc_pair()
        self.plane.add_stream(
            stream_id, transport_id, ssrc, rtx_ssrc, video=self.rng.random() < 0.7
        )
        self._tick()
        if self.plane.stream_stats(stream_id) is not None:
            self.streams[index] = stream_id
            peer = self.peers[transport_id & 0xFFFF]
            peer.ssrcs = [*peer.ssrcs[-6:], ssrc, rtx_ssrc or ssrc]

    def set_stream_rtx(self) -> None:
        self.plane.set_stream_rtx(self._any_id(self.streams), self.rng.choice((0, *SSRCS)))
        self._tick()

    def remove_stream(self) -> None:
        self.plane.remove_stream(self._any_id(self.streams))
        self._tick()

    def add_slot(self) -> None:
        index = self.rng.randrange(SLOTS)
        slot_id = self._new_id(index)
        self.plane.add_slot(
            slot_id, self._transport_id(), *self._ssrc_pair(), video=self.rng.random() < 0.7
        )
        if self.rng.random() < 0.8:
            self.plane.bind_slot(slot_id, self._any_id(self.streams))
        self._tick()
        if self.plane.slot_stats(slot_id) is not None:
            self.slots[index] = slot_id

    def bind_slot(self) -> None:
        self.plane.bind_slot(self._any_id(self.slots), self._any_id(self.streams))
        self._tick()

    def remove_slot(self) -> None:
        self.plane.remove_slot(self._any_id(self.slots))
        self._tick()

    def request_key_frame(self) -> None:
        self.plane.request_key_frame(self._any_id(self.streams))
        self._tick()

    def many_commands(self) -> None:
        """Fill the ring, and more, before anything is carried out."""
        for _ in range(self.rng.randrange(200)):
            self.plane.bind_slot(self._any_id(self.slots), self._any_id(self.streams))
        self._tick()

    def send_datagram(self) -> None:
        self.plane.send_datagram(self._transport_id(), b"\x17" + self.rng.randbytes(30))
        self._tick()

    # Datagrams.

    def check(self) -> None:
        if (peer := self._peer()) is not None:
            address = peer.address
            if self.rng.random() < 0.3:
                address = (peer.address[0], self.rng.randrange(1024, 1064))
                self.by_address.setdefault(address, peer)
            self._receive([(peer.check(valid=self.rng.random() < 0.9), address)])

    def media(self) -> None:
        """Send a burst of one peer, its streams mixed."""
        peer = self._peer()
        if peer is None or not peer.epochs:
            return
        epoch = peer.epochs[-1]
        burst = []
        for _ in range(self.rng.choice((1, 3, 10, 40, 150))):
            ssrc = self.rng.choice(peer.ssrcs)
            index = epoch.indices.get(ssrc, self.rng.randrange(0x8000))
            index += self.rng.choices(
                (1, 2, 40, 300, 2000, 30_000, -5, -300), (60, 8, 2, 1, 1, 1, 3, 1)
            )[0]
            if index < 0:
                continue
            data = epoch.sender.seal(self._rtp(peer, ssrc, index), index >> 16)
            epoch.indices[ssrc] = max(index, epoch.indices.get(ssrc, 0))
            burst.append((data, peer.address))
            if self.rng.random() < 0.05:
                epoch.sent = [*epoch.sent[-20:], data]
        self._receive(burst)

    def _rtp(self, peer: ChaosPeer, ssrc: int, index: int) -> bytes:
        rng = self.rng
        payload = rng.randbytes(rng.choice((0, 1, 3, 200, 1000, 1000, 1000, 1100, 1400)))
        kind = rng.randrange(10)
        if kind < 2:
            payload = b"\x10\x00" + payload  # VP8, a key frame
        elif kind < 5:
            number = struct.pack("!H", 0x8000 | index & 0x7FFF)
            # With picture id and TL0PICIDX; a key frame now and then.
            payload = b"\x90\xe0" + number + bytes((index & 255, 0, index % 5 > 0)) + payload
        elif kind < 7:
            number = struct.pack("!H", index - rng.randrange(20) & 0xFFFF)
            payload = number + b"\x10\x01" + payload  # RTX, perhaps
        return RtpPacket(
            payload_type=rng.choice((peer.types[1 % len(peer.types)], rng.choice(peer.types))),
            sequence_number=index & 0xFFFF,
            rtp_timestamp=rng.choice((self.now_us * 9 // 100, rng.getrandbits(32))) & 0xFFFFFFFF,
            ssrc=ssrc,
            payload=payload,
            marker=rng.random() < 0.3,
            csrcs=(1,) * rng.choice((0, 0, 0, 15)),
            extensions=tuple(
                (rng.randrange(1, 15), rng.randbytes(rng.choice((1, 2, 3, 16, 40))))
                for _ in range(rng.choice((0, 1, 4, 9)))
            ),
            padding=rng.choice((0, 0, 0, 1, 255)),
        ).serialize()

    def control(self) -> None:
        """Send RTCP: now and then sense, mostly not."""
        peer = self._peer()
        if peer is None or not peer.epochs:
            return
        rng = self.rng
        compound = b""
        for _ in range(rng.randrange(1, 6)):
            ssrc = rng.choice(list(peer.seen) or list(SSRCS))
            numbers = peer.seen.get(ssrc, [0])
            nacks = struct.pack(
                "!HH", (rng.choice(numbers) + rng.randrange(-3, 20)) & 0xFFFF, rng.getrandbits(16)
            ) * rng.randrange(1, 4)
            head = struct.pack("!II", rng.getrandbits(32), ssrc)
            compound += rng.choice(
                (
                    self._rtcp(205, 1, head + nacks),
                    self._rtcp(206, 1, head),
                    self._rtcp(206, 4, head + struct.pack("!II", ssrc, 0)),
                    self._rtcp(206, 15, head + b"REMB" + rng.randbytes(8)),
                    self._rtcp(205, 15, head + rng.randbytes(20)),
                    self._rtcp(200, 1, struct.pack("!I", rng.choice(SSRCS)) + rng.randbytes(44)),
                    self._rtcp(201, 1, head[:4] + struct.pack("!I", ssrc) + rng.randbytes(20)),
                    self._rtcp(203, rng.randrange(32), struct.pack("!I", rng.choice(SSRCS))),
                    self._rtcp(rng.randrange(192, 224), rng.randrange(32), rng.randbytes(8)),
                )
            )
        epoch = peer.epochs[-1]
        data = epoch.sender.seal_rtcp(compound, epoch.rtcp_index)
        epoch.rtcp_index += 1
        self._receive([(data, peer.address)])

    @staticmethod
    def _rtcp(packet_type: int, count: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body

    def replay(self) -> None:
        peer = self._peer()
        if peer is not None and peer.epochs and peer.epochs[-1].sent:
            self._receive([(self.rng.choice(peer.epochs[-1].sent), peer.address)])

    def garbage(self) -> None:
        rng = self.rng
        sources: list[Addr] = [("203.0.113.1", 9), *(peer.address for peer in self.peers.values())]
        datagrams = []
        for _ in range(rng.randrange(1, 20)):
            first = rng.choice((0, 1, 22, 128, 144, 176, rng.randrange(256)))
            data = bytes([first]) + rng.randbytes(rng.choice((0, 11, 40, 200, 1499)))
            datagrams.append((data, rng.choice(sources)))
        self._receive(datagrams)

    def stranger(self) -> None:
        """Send something valid, or nearly, from where nobody is validated."""
        peer = self._peer()
        if peer is None:
            return
        data = bytearray(self.rng.choice((peer.check(valid=False), b"\x16\xfe\xfd" + bytes(60))))
        for _ in range(self.rng.randrange(3)):
            data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        self.plane.receive_datagrams([(bytes(data), ("203.0.113.2", 9))], self.now_us)
        answer = [item for item in self.plane.datagrams_to_send() if item[1][0] == "203.0.113.2"]
        self.sent_datagrams += len(answer)
        if sum(len(item) for item, _ in answer) > len(data):
            raise Broken("a stranger got more than it sent")

    # Time.

    def wait(self) -> None:
        """Let time pass, by timers or over them."""
        until = self.now_us + self.rng.choice((100, 5_000, 50_000, SECOND, 3 * SECOND))
        while self.rng.random() < 0.95:
            due = self.plane.next_timer()
            if not 0 <= due <= until:
                break
            self.now_us = max(self.now_us, due)
            self._tick()
        self.now_us = until
        self._tick()
        for peer in self.peers.values():
            if self.rng.random() < 0.8:
                self._receive([(peer.check(), peer.address)])

    def wait_long(self) -> None:
        """Let consent expire for all but the canary."""
        for _ in range(self.rng.choice((1, 8))):
            self.now_us += 5 * SECOND
            self._sing()
            self._tick()

    # What must hold.

    def _receive(self, datagrams: list[tuple[bytes, Addr]]) -> None:
        self.plane.receive_datagrams(datagrams, self.now_us)
        self._collect()

    def _collect(self) -> None:
        for data, destination in self.plane.datagrams_to_send():
            self.sent_datagrams += 1
            self.sent_rtp += data[0] >> 6 == 2 and not 192 <= data[1] <= 223
            peer = self.by_address.get(destination)
            if peer is not None:
                peer.take(data)
            elif destination[0] != "203.0.113.1" or data[0] > 3:
                raise Broken(f"{len(data)} bytes to {destination}, where nobody is")

    def _count(self) -> None:
        counters = self.plane.counters()
        for name, value in counters.items():
            may_fall = name in ("transports", "streams", "slots", "events_waiting")
            if value < self.before[name] and not may_fall:
                raise Broken(f"{name} went back from {self.before[name]} to {value}")
        self.before = counters
        sent = counters["rtp_out"] + counters["rtx_out"] + counters["resent_plain"]
        if (sent, counters["datagrams_out"]) != (self.sent_rtp, self.sent_datagrams):
            raise Broken(f"counted {sent} RTP of {counters['datagrams_out']} datagrams")
        self.streams = {
            index: number
            for index, number in self.streams.items()
            if self.plane.stream_stats(number) is not None
        }
        self.slots = {
            index: number
            for index, number in self.slots.items()
            if self.plane.slot_stats(number) is not None
        }
        live = (len(self.peers) + 2, len(self.streams) + 1, len(self.slots) + 1)
        if live != (counters["transports"], counters["streams"], counters["slots"]):
            raise Broken(f"{live} should live")

    ACTIONS: tuple[Callable[["Chaos"], None], ...] = (
        add_transport,
        remove_transport,
        restart_transport,
        renew_keys,
        configure,
        add_stream,
        set_stream_rtx,
        remove_stream,
        add_slot,
        bind_slot,
        remove_slot,
        request_key_frame,
        many_commands,
        send_datagram,
        check,
        media,
        control,
        replay,
        garbage,
        stranger,
        wait,
        wait_long,
    )
    WEIGHTS: tuple[int, ...] = (
        6,
        1,
        1,
        2,
        1,
        6,
        1,
        2,
        10,
        4,
        6,
        1,
        1,
        1,
        6,
        40,
        15,
        2,
        3,
        2,
        15,
        1,
    )


def run(seed: int, steps: int, kind: type[Chaos] = Chaos) -> Chaos:
    """Run so many steps and clean up."""
    chaos = kind(seed)
    try:
        for _ in range(steps):
            chaos.step()
        chaos.finish()
    except Broken as error:
        raise Broken(f"seed {seed}, step {chaos.steps}: {error}") from error
    return chaos
