"""
mediasoup: its worker, driven by the Node library that belongs to it.

The worker speaks a protocol of its own version over pipes, so ``mediasoup.mjs`` has the library
speak it, and takes requests from here; descriptions are made from mediasoup's parameters here.
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from benchmarks.load import Peer
from benchmarks.peers import ServerFailed
from benchmarks.processes import DIES_WITH_US
from router.ice import Candidate, CandidateType
from router.sdp.attributes import (
    Direction,
    ExtMap,
    Fingerprint,
    Group,
    Msid,
    PayloadFormat,
    Setup,
    Ssrc,
    SsrcGroup,
    TransportAttributes,
)
from router.sdp.config import MID_EXTENSION, TRANSPORT_WIDE_CC_EXTENSION
from router.sdp.description import (
    MediaDescription,
    SessionDescription,
    parse_session_description,
)

NAME = "mediasoup"
WORKER_VARIABLE = "MEDIASOUP_WORKER_BIN"
SCRIPT = Path(__file__).with_suffix(".mjs")
ANSWER_TIMEOUT = 60.0
CLOSE_TIMEOUT = 5.0
CODEC = "VP8"
FEEDBACK = ("ccm fir", "nack", "nack pli", "transport-cc")
EXTENSIONS = (MID_EXTENSION, TRANSPORT_WIDE_CC_EXTENSION)
_LONGEST_LINE = 1 << 24

Parameters = dict[str, Any]
"""What mediasoup's library takes or returns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--mediasoup-worker",
        default=os.environ.get(WORKER_VARIABLE, ""),
        metavar="PATH",
        help=f"worker to run (or {WORKER_VARIABLE}); without one, figures are published ones",
    )
    parser.add_argument(
        "--mediasoup-package",
        type=Path,
        metavar="PATH",
        help="the Node library of that worker's version; default: the node_modules/mediasoup "
        "that the worker is in",
    )


@asynccontextmanager
async def running(
    arguments: argparse.Namespace, *, host: str, publishers: int
) -> AsyncIterator["Mediasoup"]:
    """
    Run a worker with one router.

    :raises ServerFailed: when something is not there, or does not start.
    """
    worker = _find_worker(arguments.mediasoup_worker)
    library = _find_library(arguments.mediasoup_package, worker)
    node = shutil.which("node")
    if node is None:
        raise ServerFailed(
            "node is not there: mediasoup's library needs it (apt-get install nodejs)"
        )
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(*DIES_WITH_US, node, str(SCRIPT)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=_LONGEST_LINE,
            env=os.environ | {WORKER_VARIABLE: str(worker), "DEBUG": "mediasoup:ERROR*"},
        )
        session = _Session(process, log)
        try:
            yield Mediasoup(session, await session.ask("start", library=str(library), host=host))
        except ServerFailed:
            session.check()
            raise
        finally:
            await session.close()


class Mediasoup:
    """A worker that is ready."""

    def __init__(self, session: "_Session", started: Parameters) -> None:
        self.pid: int = started["pid"]
        ring = "with" if started["usesRing"] else "without"
        self.version = f"{started['version']} ({ring} io_uring)"
        self.notes = (
            "Of mediasoup the worker alone counts: Node, which drives it, is left out, in its "
            "favour.",
        )
        self._session = session

    async def publish(self, peer: Peer) -> None:
        """Let a peer, which has one section to send, publish it."""
        offer = parse_session_description(peer.create_offer())
        parameters = sent_parameters(offer.media[0])
        transport = await self._session.ask(
            "publish",
            rtpParameters=parameters,
            dtlsParameters=dtls_parameters(offer, Setup.ACTIVE),
        )
        peer.receive_answer(answer_to_sender(transport, parameters))

    async def subscribe(self, peer: Peer) -> None:
        """Let a peer receive all that is published."""
        transport = await self._session.ask("subscribe")
        answer = parse_session_description(
            peer.receive_offer(offer_to_receiver(transport, transport["consumers"]))
        )
        await self._session.ask(
            "connect",
            transportId=transport["transportId"],
            dtlsParameters=dtls_parameters(answer),
        )


# Descriptions.


def sent_parameters(media: MediaDescription) -> Parameters:
    """Return what a client says, in its offer, that it sends: VP8 with RTX."""
    chosen = next((one for one in media.payload_formats if one.name == CODEC), None)
    if chosen is None:
        raise ServerFailed(f"{CODEC} is not offered")
    repair = f"apt={chosen.payload_type}"
    formats = [chosen, *(one for one in media.payload_formats if one.parameters == repair)]
    ssrc, *rtx = (one.ssrc for one in media.ssrcs)
    encoding: Parameters = {"ssrc": ssrc}
    if rtx:
        encoding["rtx"] = {"ssrc": rtx[0]}
    return {
        "mid": media.mid,
        "codecs": [
            {
                "mimeType": f"{media.kind}/{one.name}",
                "payloadType": one.payload_type,
                "clockRate": one.clock_rate,
                "parameters": {"apt": chosen.payload_type} if one is not chosen else {},
                "rtcpFeedback": [
                    dict(zip(("type", "parameter"), line.split(), strict=False))
                    for line in one.feedback
                    if line in FEEDBACK
                ],
            }
            for one in formats
        ],
        "headerExtensions": [
            {"uri": one.uri, "id": one.id} for one in media.extmaps if one.uri in EXTENSIONS
        ],
        "encodings": [encoding],
        "rtcp": {"cname": media.ssrcs[0].cname, "reducedSize": True},
    }


def dtls_parameters(description: SessionDescription, setup: Setup | None = None) -> Parameters:
    """
    Return the DTLS parameters of a client.

    :param setup: Its role, where the description leaves that to us.
    """
    transport = description.media[0].transport.over(description.transport)
    role = "client" if (setup or transport.setup) is Setup.ACTIVE else "server"
    fingerprints = [{"algorithm": f.algorithm, "value": f.value} for f in transport.fingerprints]
    return {"role": role, "fingerprints": fingerprints}


def answer_to_sender(transport: Parameters, parameters: Parameters) -> str:
    """Return the answer to a client that is to send this."""
    section = _section(transport, parameters, Direction.RECVONLY, Setup.PASSIVE)
    return _description([section])


def offer_to_receiver(transport: Parameters, consumers: Sequence[Parameters]) -> str:
    """Return the offer of what a client is to receive, a section for each."""
    return _description(
        [_section(transport, one, Direction.SENDONLY, Setup.ACTPASS) for one in consumers]
    )


def _description(sections: Sequence[MediaDescription]) -> str:
    return SessionDescription(
        groups=(Group(semantics="BUNDLE", members=tuple(one.mid for one in sections)),),
        ice_lite=True,
        media=tuple(sections),
    ).serialize()


def _section(
    transport: Parameters, parameters: Parameters, direction: Direction, setup: Setup
) -> MediaDescription:
    section = MediaDescription(
        kind="video",
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=tuple(str(one["payloadType"]) for one in parameters["codecs"]),
        mid=parameters["mid"],
        direction=direction,
        transport=_transport(transport, setup),
        candidates=tuple(map(_candidate, transport["iceCandidates"])),
        end_of_candidates=True,
        rtcp_mux=True,
        rtcp_rsize=True,
        payload_formats=tuple(map(_format, parameters["codecs"])),
        extmaps=tuple(
            ExtMap(id=one["id"], uri=one["uri"]) for one in parameters["headerExtensions"]
        ),
    )
    return _sending(section, parameters) if direction.sends else section


def _sending(section: MediaDescription, parameters: Parameters) -> MediaDescription:
    encoding, cname = parameters["encodings"][0], parameters["rtcp"]["cname"]
    ssrcs = [encoding["ssrc"]]
    if "rtx" in encoding:
        ssrcs.append(encoding["rtx"]["ssrc"])
    return replace(
        section,
        msids=(Msid(stream_id="-", track_id=f"track-{section.mid}"),),
        ssrcs=tuple(Ssrc(ssrc=one, cname=cname) for one in ssrcs),
        ssrc_groups=(SsrcGroup(semantics="FID", ssrcs=tuple(ssrcs)),) if ssrcs[1:] else (),
    )


def _transport(transport: Parameters, setup: Setup) -> TransportAttributes:
    ice = transport["iceParameters"]
    return TransportAttributes(
        ice_ufrag=ice["usernameFragment"],
        ice_pwd=ice["password"],
        fingerprints=tuple(
            Fingerprint(algorithm=one["algorithm"], value=one["value"])
            for one in transport["dtlsParameters"]["fingerprints"]
            if one["algorithm"] == "sha-256"
        ),
        setup=setup,
    )


def _candidate(found: Parameters) -> str:
    return Candidate(
        foundation=found["foundation"],
        transport=found["protocol"],
        priority=found["priority"],
        host=found["ip"],
        port=found["port"],
        type=CandidateType(found["type"]),
    ).serialize()


def _format(codec: Parameters) -> PayloadFormat:
    return PayloadFormat(
        payload_type=codec["payloadType"],
        name=codec["mimeType"].partition("/")[2],
        clock_rate=codec["clockRate"],
        parameters=";".join(f"{key}={value}" for key, value in codec["parameters"].items()),
        feedback=tuple(
            " ".join(filter(None, (one["type"], one.get("parameter"))))
            for one in codec["rtcpFeedback"]
        ),
    )


# The library.


class _Session:
    """Requests to the script and their answers."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._log = process, log
        self._requests, self._answers = process.stdin, process.stdout
        self._waiting: dict[int, asyncio.Future[Parameters]] = {}
        self._count = 0
        self._has_ended = False
        self._reading = asyncio.create_task(self._read())

    async def ask(self, method: str, **arguments: Any) -> Parameters:
        """Return the result. :raises ServerFailed: when it refuses, or is gone."""
        self.check()
        self._count += 1
        number = self._count
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "method": method, **arguments}
        self._requests.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                found = await answer
        except TimeoutError:
            raise ServerFailed(f"mediasoup does not answer: {method}") from None
        finally:
            del self._waiting[number]
        if "error" in found:
            raise ServerFailed(f"mediasoup, {method}: {found['error']}")
        result: Parameters = found["result"]
        return result

    def check(self) -> None:
        """:raises ServerFailed: when the worker or the script is gone; it tells why."""
        if self._has_ended:
            raise self._gone()

    async def close(self) -> None:
        """End the worker, then the script."""
        self._requests.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        async for line in self._answers:
            found = json.loads(line)
            waiting = self._waiting.get(found["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(found)
        self._has_ended = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._gone())

    def _gone(self) -> ServerFailed:
        self._log.seek(0)
        said = self._log.read().decode(errors="replace")[-3000:]
        return ServerFailed(f"mediasoup does not run:\n{said}")


def _find_worker(name: str) -> Path:
    binary = shutil.which(name)
    if binary is None:
        raise ServerFailed(f"{name} is no program: {WORKER_VARIABLE} must name mediasoup's worker")
    return Path(binary).absolute()


def _find_library(given: Path | None, worker: Path) -> Path:
    """Return the folder of the library; a worker may be a link into another one."""
    around = [*worker.parents, *worker.resolve().parents]
    inside = (path for path in around if path.parts[-2:] == ("node_modules", "mediasoup"))
    folder = given or next(inside, None)
    if folder is None:
        raise ServerFailed(f"{worker} is in no node_modules/mediasoup: give --mediasoup-package")
    if not (folder / "package.json").is_file():
        raise ServerFailed(f"{folder} is no Node package")
    return folder.absolute()
