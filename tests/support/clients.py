"""Participants of a running server, made and cleaned up in one place."""

import asyncio
import random
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp

from benchmarks.load import (
    AudioSettings,
    ClientConfig,
    OpusEncoder,
    Peer,
    RspClient,
    VideoSettings,
    Vp8Encoder,
    WhipSession,
    make_certificate,
)
from router.ice import IceConfig
from router.net import Address
from signaling.auth.access_token import mint_access_token
from signaling.ids import AccountSid, ApiKeySid

from .server import Account, Server


def access_token(account: Account, identity: str, room: str | None = None) -> str:
    """Return a token as a customer's back end makes it."""
    return mint_access_token(
        account_sid=AccountSid(account.account_sid),
        key_sid=ApiKeySid(account.api_key_sid),
        secret=account.api_key_secret,
        identity=identity,
        room=room,
        now=datetime.now(UTC),
    )


def basic_authorization(account: Account) -> dict[str, str]:
    """Return the header by which a back end is known to REST."""
    pair = f"{account.api_key_sid}:{account.api_key_secret}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


class Participant(RspClient):
    """A client with a camera, a microphone and a number that it writes into both."""

    number: int = 0
    camera: Vp8Encoder
    microphone: OpusEncoder


class Clients:
    """
    Makes clients of one server.

    :param url: Of HTTP, without a slash at the end.
    """

    def __init__(
        self, http: aiohttp.ClientSession, *, url: str, account: Account, seed: int
    ) -> None:
        self.http = http
        self.url = url
        self.account = account
        self.back_end = basic_authorization(account)
        """Headers of REST requests."""
        self.rng = random.Random(seed)
        self.peers: set[Peer] = set()
        self._certificate = make_certificate(self.rng)
        self._last_number = 0

    def peer(self, *, via: Address | None = None, receives: bool = True) -> Peer:
        """Return a client's connection. :param via: A relay's address."""
        config = ClientConfig(
            certificate=self._certificate,
            via=via,
            receives=receives,
            # The lower bound of RFC 7675, so that tests of moved addresses need not wait.
            ice=IceConfig(consent_interval=1.0),
        )
        peer = Peer(config, rng=random.Random(self.rng.getrandbits(64)))
        self.peers.add(peer)
        return peer

    def participant(
        self,
        identity: str,
        room: str,
        *,
        via: Address | None = None,
        video: VideoSettings | None = None,
        publishes: bool = True,
        heartbeat: float = 5.0,
        token: str | None = None,
        number: int | None = None,
        channels: tuple[str, ...] = (),
    ) -> Participant:
        """
        Return a participant who has yet to join.

        :param number: What the media is stamped with; by default nobody else's.
        """
        participant = Participant(
            self.http,
            self.peer(via=via),
            url=self.url.replace("http", "ws", 1) + "/signaling",
            token=token or access_token(self.account, identity, room),
            room=room,
            rng=random.Random(self.rng.getrandbits(64)),
            heartbeat=heartbeat,
            channels=channels,
        )
        self._last_number += 1
        participant.number = self._last_number if number is None else number
        if publishes:
            participant.microphone = OpusEncoder(participant.number, AudioSettings(), self.rng)
            participant.camera = Vp8Encoder(participant.number, video or VideoSettings(), self.rng)
            participant.publish(participant.microphone)
            participant.publish(participant.camera)
        return participant

    def whip(self, peer: Peer, identity: str, room: str, *, protocol: str = "whip") -> WhipSession:
        """Return a WHIP or WHEP session that has yet to start."""
        return WhipSession(
            self.http,
            peer,
            endpoint=f"{self.url}/{protocol}/{room}",
            token=access_token(self.account, identity, room),
        )


@asynccontextmanager
async def clients_of(server: Server, *, seed: int = 1) -> AsyncIterator[Clients]:
    """Make clients of a server process for the length of a ``with`` block."""
    async with aiohttp.ClientSession() as http:
        clients = Clients(http, url=server.url, account=server.account, seed=seed)
        try:
            yield clients
        finally:
            for peer in clients.peers:
                peer.close()


@dataclass(frozen=True, slots=True)
class Arrived:
    """What one participant has received of another's camera and microphone."""

    video_frames: int
    audio_frames: int
    missing_frames: int
    """Video frames that never became complete; up to two may still be under way."""
    problems: tuple[str, ...]
    """Breaks in numbering, unknown packets and packets that do not authenticate."""


def arrived(receiver: Participant, sender: Participant) -> Arrived:
    """Return what has arrived so far."""
    counts = {True: 0, False: 0}
    missing = 0
    media = receiver.peer.core.media
    problems = [f"{n} unknown packets" for n in (media.unknown_packets,) if n]
    problems += [f"{n} malformed packets" for n in (media.malformed,) if n]
    srtp = receiver.peer.core.srtp
    if srtp is not None and srtp.failures:
        problems.append(f"{srtp.failures} packets that do not authenticate")
    for stream in media.inbound.values():
        if stream.counters.discontinuities:
            problems.append(f"{stream.counters.discontinuities}: {stream.last_problem}")
        frames = stream.publishers.get(sender.number)
        if frames is None:
            continue
        counts[stream.is_video] += frames.complete
        if stream.is_video:
            missing += frames.expected - frames.complete
            if not frames.began_with_key_frame:
                problems.append("the first frame is not a key frame")
    return Arrived(counts[True], counts[False], missing, tuple(problems))


async def until_media_arrives(
    receiver: Participant, sender: Participant, *, seconds: float = 10.0
) -> None:
    """Wait for the first frames of both kinds, counted from now."""
    before = arrived(receiver, sender)

    def has_come() -> bool:
        now = arrived(receiver, sender)
        return now.video_frames > before.video_frames and now.audio_frames > before.audio_frames

    await receiver.peer.wait_until(has_come, seconds=seconds)


async def assert_media_flows(
    receiver: Participant,
    sender: Participant,
    *,
    seconds: float = 1.5,
    missing: int = 2,
    share: float = 0.8,
) -> None:
    """
    Assert that frames keep coming at the sender's rate, whole and in one unbroken numbering.

    :param missing: How many more frames may be incomplete at the end.
    :param share: Part of the frames that must have come in this time.
    """
    await until_media_arrives(receiver, sender)
    before = arrived(receiver, sender)
    await asyncio.sleep(seconds)
    now = arrived(receiver, sender)
    assert now.problems == (), now.problems
    video_rate = sender.camera.settings.frames_per_second
    audio_rate = 1 / sender.microphone.settings.frame_interval
    assert now.video_frames - before.video_frames >= share * video_rate * seconds
    assert now.audio_frames - before.audio_frames >= share * audio_rate * seconds
    assert now.missing_frames <= before.missing_frames + missing


async def join_all(*participants: Participant) -> None:
    """Let all join, and be connected and subscribed to each other."""
    await asyncio.gather(*(participant.join() for participant in participants))
    published = sum(len(participant.tracks) for participant in participants)
    for participant in participants:
        await participant.peer.wait_connected()
        await participant.wait_subscribed(published - len(participant.tracks))


async def meet(
    clients: Clients, room: str, *, via: Address | None = None, heartbeat: float = 5.0
) -> tuple[Participant, Participant]:
    """Return two participants, Alice and Bob, who see and hear each other."""
    alice = clients.participant("alice", room, via=via, heartbeat=heartbeat)
    bob = clients.participant("bob", room, via=via, heartbeat=heartbeat)
    await join_all(alice, bob)
    await asyncio.gather(until_media_arrives(alice, bob), until_media_arrives(bob, alice))
    return alice, bob


async def assert_both_ways(
    alice: Participant,
    bob: Participant,
    *,
    seconds: float = 1.0,
    missing: int = 2,
    share: float = 0.8,
) -> None:
    """Assert that media flows in both directions."""
    await asyncio.gather(
        *(
            assert_media_flows(*pair, seconds=seconds, missing=missing, share=share)
            for pair in ((alice, bob), (bob, alice))
        )
    )


def failures_in_log(server: Server) -> list[str]:
    """Return the lines of the server's log that tell of a failure."""
    return [
        line
        for line in server.log.splitlines()
        if '"level": "error"' in line or "Traceback" in line or '"exception"' in line
    ]
