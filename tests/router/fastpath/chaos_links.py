"""The random histories of :mod:`chaos` with a second plane that has copies of streams."""

import struct

from router._fastpath import plane as fp

from .chaos import CODECS, STREAMS, Addr, Broken, Chaos, ChaosPeer
from .peers import AV1, OPUS, VP8, by_index

COPIES = 16
FAR_PEERS = 3
FAR_SLOTS = 12


class LinkedChaos(Chaos):
    """One run; the canary is heard on the second plane too, where nothing may be missing either."""

    def _start_canary(self) -> None:
        self.far = fp.DataPlane(
            max_transports=FAR_PEERS,
            max_streams=COPIES + 1,
            max_slots=FAR_PEERS * FAR_SLOTS + 1,
            command_slots=64,
            event_slots=32,
            seed=1,
        )
        formats = (fp.FORMAT_OPUS, fp.FORMAT_VP8, fp.FORMAT_H264, fp.FORMAT_VP9, fp.FORMAT_AV1, 0)
        for codec, payload_format in zip(CODECS, formats, strict=True):
            self.far.define_codec(codec, payload_format, 48000 if codec == OPUS else 90000)
        self.far_peers = [ChaosPeer(0x70000 + n, self.rng) for n in range(FAR_PEERS)]
        self.far_by_address = {peer.address: peer for peer in self.far_peers}
        self.copies: dict[int, tuple[int, int]] = {}
        """By index: the copy's id, and the stream's."""
        for peer in self.far_peers:
            self._add_far_peer(peer)
        assert self.plane.link(self.far)
        self.canary_copy, self.far_slot = 0x10000 + COPIES, 0x10000 + FAR_PEERS * FAR_SLOTS
        self.far.add_copy(self.canary_copy, self.plane, STREAMS + 1, video=True)
        self.far.add_slot(self.far_slot, self.far_peers[0].id, 600, 0, video=True)
        self.far.bind_slot(self.far_slot, self.canary_copy)
        super()._start_canary()
        self.plane.copy_stream(self.stream, self.far, self.canary_copy)
        self._tick()

    def _add_far_peer(self, peer: ChaosPeer) -> None:
        epoch = peer.draw_keys()
        self.far.add_transport(peer.id, peer.ufrag, peer.password)
        self.far.set_keys(
            peer.id,
            epoch.profile,
            epoch.send_key[:16],
            epoch.send_key[16:],
            epoch.receive_key[:16],
            epoch.receive_key[16:],
        )
        self.far.configure_transport(
            peer.id,
            payload_in=bytes(128),
            payload_out=by_index({c: 100 + c for c in CODECS}, 64, absent=fp.PAYLOAD_NONE),
            rtx_out=by_index({VP8: 120, AV1: 121}, 64, absent=fp.PAYLOAD_NONE),
            extensions_in=bytes(256),
            extensions_out=by_index({fp.EXTENSION_TRANSPORT_CC: 3}, 16),
            transport_cc=False,
            remb=False,
            cname=b"far",
        )
        for n in range(FAR_SLOTS):
            self.far.add_slot(
                self._far_slot(peer, n), peer.id, 2000 + 2 * n, 2001 + 2 * n, video=n % 3 > 0
            )
        self.far.handle_timer(self.now_us)

    def _far_slot(self, peer: ChaosPeer, n: int) -> int:
        return 0x10000 + (peer.id & 0xFFFF) * FAR_SLOTS + n

    def _keep_canary(self) -> None:
        self.far.receive_datagrams(
            [(peer.check(orderly=True), peer.address) for peer in self.far_peers], self.now_us
        )
        self._run_far()
        super()._keep_canary()

    def _sing(self) -> None:
        self._run_far()
        super()._sing()
        self._run_far()
        watch = self.far_peers[0].epochs[-1].seals
        received = sum(1 for ssrc, _ in watch.sealed if ssrc == 600)
        if received != self.canary_frames:
            raise Broken(f"{self.canary_frames} canary frames were sent, {received} came far away")

    def _tick(self) -> None:
        super()._tick()
        self._perhaps_run_far()

    def _receive(self, datagrams: list[tuple[bytes, Addr]]) -> None:
        super()._receive(datagrams)
        self._perhaps_run_far()

    def _perhaps_run_far(self) -> None:
        if self.rng.random() < 0.7:
            self._run_far()

    def _run_far(self) -> None:
        while self.far.next_timer() == 0:
            self.far.handle_timer(self.now_us)
        if 0 < self.far.next_timer() <= self.now_us:
            self.far.handle_timer(self.now_us)
        for data, destination in self.far.datagrams_to_send():
            self.far_by_address[destination].take(data)
        self.far.next_events(1000)

    # Steps.

    def step(self) -> None:
        if self.rng.random() < 0.2:
            actions = (self.copy, self.end_copy, self.bind_far, self.control_far)
            self.rng.choices(actions, (8, 2, 6, 10))[0]()
        super().step()

    def copy(self) -> None:
        """Add a copy of a stream, most often one that lives, in the place of another."""
        index = self.rng.randrange(COPIES)
        self._forget_copy(index)
        copy_id, stream_id = self._new_id(index), self._any_id(self.streams)
        if copy_id == 0:
            return
        self.far.add_copy(copy_id, self.plane, stream_id, video=self.rng.random() < 0.7)
        self.copies[index] = (copy_id, stream_id)
        for peer in self.far_peers:
            if self.rng.random() < 0.8:
                self.far.bind_slot(self._far_slot(peer, self.rng.randrange(FAR_SLOTS)), copy_id)
        self.plane.copy_stream(stream_id, self.far, copy_id)
        self._tick()

    def _forget_copy(self, index: int) -> None:
        copy_id, stream_id = self.copies.pop(index, (0, 0))
        if self.rng.random() < 0.8:
            self.plane.copy_stream(stream_id, self.far, 0)  # else it sends to nobody
        self.far.remove_stream(copy_id)

    def end_copy(self) -> None:
        if self.copies:
            self._forget_copy(self.rng.choice(list(self.copies)))
            self._tick()

    def bind_far(self) -> None:
        if self.copies:
            copy_id, _ = self.rng.choice(list(self.copies.values()))
            peer = self.rng.choice(self.far_peers)
            self.far.bind_slot(self._far_slot(peer, self.rng.randrange(FAR_SLOTS)), copy_id)

    def control_far(self) -> None:
        """Ask the second plane for packets and key frames."""
        peer = self.rng.choice(self.far_peers)
        epoch = peer.epochs[-1]
        ssrc = self.rng.choice(list(peer.seen) or [2000])
        number = self.rng.choice(peer.seen.get(ssrc, [0]))
        head = struct.pack("!II", 1, ssrc)
        compound = self.rng.choice(
            (
                self._rtcp(205, 1, head + struct.pack("!HH", number, self.rng.getrandbits(16))),
                self._rtcp(206, 1, head),
            )
        )
        data = epoch.sender.seal_rtcp(compound, epoch.rtcp_index)
        epoch.rtcp_index += 1
        self.far.receive_datagrams([(data, peer.address)], self.now_us)
        self._run_far()

    def finish(self) -> None:
        for index in list(self.copies):
            self._forget_copy(index)
        self.far.remove_stream(self.canary_copy)
        for peer in self.far_peers:
            self.far.remove_transport(peer.id)
        self._run_far()
        super().finish()
        self._run_far()
        counters = self.far.counters()
        left = {name: counters[name] for name in ("transports", "streams", "slots")}
        if any(left.values()) or self.far.next_timer() != -1:
            raise Broken(f"left far away: {left}, timer {self.far.next_timer()}")
