"""Descriptions made from mediasoup's parameters, and what is said when it cannot run."""

import argparse
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import ClientConfig, Peer, VideoSettings, Vp8Encoder, make_certificate
from benchmarks.load.description import ClientDescriptions
from benchmarks.peers import ServerFailed, mediasoup
from router.ice import parse_candidate
from router.sdp.attributes import Setup
from router.sdp.config import MID_EXTENSION, TRANSPORT_WIDE_CC_EXTENSION
from router.sdp.description import parse_session_description

HASH = ":".join(["5A"] * 32)
CREDENTIALS = {"ufrag": "cliU", "pwd": "clientpasswordclientpw"}
TRANSPORT: mediasoup.Parameters = {
    "transportId": "t",
    "iceParameters": {
        "usernameFragment": "srvU",
        "password": "serverpasswordserverpw",
        "iceLite": True,
    },
    "iceCandidates": [
        {
            "foundation": "udpcandidate",
            "priority": 1076302079,
            "ip": "127.0.0.1",
            "address": "127.0.0.1",
            "protocol": "udp",
            "port": 40001,
            "type": "host",
        }
    ],
    "dtlsParameters": {
        "role": "auto",
        "fingerprints": [
            {"algorithm": "sha-1", "value": "5A"},
            {"algorithm": "sha-256", "value": HASH},
        ],
    },
}


def consumer(mid: str, ssrc: int) -> mediasoup.Parameters:
    return {
        "mid": mid,
        "codecs": [
            {
                "mimeType": "video/VP8",
                "payloadType": 101,
                "clockRate": 90000,
                "parameters": {},
                "rtcpFeedback": [
                    {"type": "transport-cc", "parameter": ""},
                    {"type": "nack", "parameter": ""},
                    {"type": "nack", "parameter": "pli"},
                ],
            },
            {
                "mimeType": "video/rtx",
                "payloadType": 102,
                "clockRate": 90000,
                "parameters": {"apt": 101},
                "rtcpFeedback": [],
            },
        ],
        "headerExtensions": [
            {"uri": MID_EXTENSION, "id": 1, "encrypt": False, "parameters": {}},
            {"uri": TRANSPORT_WIDE_CC_EXTENSION, "id": 5, "encrypt": False, "parameters": {}},
        ],
        "encodings": [{"ssrc": ssrc, "rtx": {"ssrc": ssrc + 1}}],
        "rtcp": {"cname": "c", "reducedSize": True, "mux": True},
    }


def client(*, receives: bool = True) -> ClientDescriptions:
    return ClientDescriptions(
        fingerprint=f"sha-256 {HASH}",
        cname="c",
        session_id=1,
        video_codecs=("VP8",),
        receives=receives,
    )


def test_a_publisher_and_mediasoup_agree_on_what_is_sent() -> None:
    publisher = client(receives=False)
    section = publisher.section_to_send("video")
    section.track_id, section.ssrc, section.rtx_ssrc = "cam", 7, 8
    offer = parse_session_description(publisher.create_offer(**CREDENTIALS))
    sent = mediasoup.sent_parameters(offer.media[0])
    assert sent["encodings"] == [{"ssrc": 7, "rtx": {"ssrc": 8}}]
    vp8, rtx = sent["codecs"]
    assert (vp8["mimeType"], vp8["payloadType"]) == ("video/VP8", 96)
    assert {"type": "nack", "parameter": "pli"} in vp8["rtcpFeedback"]
    assert {"type": "transport-cc"} in vp8["rtcpFeedback"]
    assert not any(one["type"] == "goog-remb" for one in vp8["rtcpFeedback"])
    assert (rtx["mimeType"], rtx["payloadType"], rtx["parameters"]) == (
        "video/rtx",
        97,
        {"apt": 96},
    )
    assert mediasoup.dtls_parameters(offer, Setup.ACTIVE) == {
        "role": "client",
        "fingerprints": [{"algorithm": "sha-256", "value": HASH}],
    }

    server = publisher.receive_answer(mediasoup.answer_to_sender(TRANSPORT, sent))
    assert (section.payload_type, section.rtx_payload_type) == (96, 97)
    assert section.current.sends
    assert section.extensions == {one["uri"]: one["id"] for one in sent["headerExtensions"]}
    assert set(section.extensions) == {MID_EXTENSION, TRANSPORT_WIDE_CC_EXTENSION}
    assert (server.ufrag, server.pwd) == ("srvU", "serverpasswordserverpw")
    assert server.is_lite
    assert not server.is_dtls_client
    assert server.fingerprints == (f"sha-256 {HASH}",)
    candidate = parse_candidate(server.candidates[0])
    assert (candidate.host, candidate.port) == ("127.0.0.1", 40001)


def test_a_subscriber_finds_each_consumer_in_the_offer() -> None:
    subscriber = client()
    subscriber.receive_offer(
        mediasoup.offer_to_receiver(TRANSPORT, [consumer("0", 100), consumer("1", 200)])
    )
    first, second = subscriber.sections
    assert (first.mid, first.remote_ssrcs) == ("0", (100, 101))
    assert (second.mid, second.remote_ssrcs) == ("1", (200, 201))
    assert first.extensions == {MID_EXTENSION: 1, TRANSPORT_WIDE_CC_EXTENSION: 5}
    assert subscriber.payload_types[101] == ("VP8", 90000, "")
    assert subscriber.payload_types[102] == ("rtx", 90000, "apt=101")
    assert first.current.receives
    answer = parse_session_description(subscriber.create_answer(**CREDENTIALS))
    assert mediasoup.dtls_parameters(answer)["role"] == "client"


LIBRARY = """
const { EventEmitter } = require('node:events');
exports.version = '3.0.0';
exports.createWorker = async () => {
  const worker = new EventEmitter();
  const transport = {
    ...TRANSPORT,
    id: 't',
    connect: async () => {},
    produce: async () => ({ id: 'p' }),
    consume: async ({ producerId, mid }) => ({ rtpParameters: { ...CONSUMER, mid } }),
  };
  const router = { rtpCapabilities: {}, createWebRtcTransport: async () => transport };
  return Object.assign(worker, {
    pid: 1,
    close() {},
    createRouter: async () => router,
    dump: async () => ({}),
  });
};
"""
"""As much of the library as the script uses."""
REFUSES = "exports.createWorker = async () => { throw new Error('code 1'); };"
DIES = "createWebRtcTransport: async () => worker.emit('died', new Error('signal 11'))"


@asynccontextmanager
async def running(folder: Path, source: str) -> AsyncIterator[mediasoup.Mediasoup]:
    package = folder / "node_modules" / "mediasoup"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"main": "index.js"}')
    given = {"TRANSPORT": TRANSPORT, "CONSUMER": consumer("0", 100)}
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in given.items())
    (package / "index.js").write_text(constants + source)
    worker = package / "worker"
    worker.symlink_to(sys.executable)
    async with mediasoup.running(options(worker), host="127.0.0.1", publishers=1) as server:
        yield server


def options(worker: Path, **others: Any) -> argparse.Namespace:
    given = {"mediasoup_worker": str(worker), "mediasoup_package": None} | others
    return argparse.Namespace(**given)


def peer(*, receives: bool) -> Peer:
    rng = random.Random(1)
    config = ClientConfig(
        certificate=make_certificate(rng), video_codecs=("VP8",), receives=receives
    )
    return Peer(config, rng=rng)


async def publish(server: mediasoup.Mediasoup) -> None:
    publisher = peer(receives=False)
    try:
        publisher.core.publish(Vp8Encoder(0, VideoSettings(), random.Random(1)), "cam", 0.0)
        await server.publish(publisher)
    finally:
        publisher.close(silently=True)


async def test_subscribers_are_offered_what_was_published(tmp_path: Path) -> None:
    async with running(tmp_path, LIBRARY) as server:
        assert server.version.startswith("3.0.0")
        for _ in range(2):
            await publish(server)
        subscriber = peer(receives=True)
        try:
            await server.subscribe(subscriber)
        finally:
            subscriber.close(silently=True)
    assert [one.mid for one in subscriber.core.descriptions.sections] == ["0", "1"]


async def test_a_worker_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="the worker does not start: code 1"):
        async with running(tmp_path, REFUSES):
            pass


async def test_a_worker_that_dies_is_told(tmp_path: Path) -> None:
    dying = LIBRARY.replace("createWebRtcTransport: async () => transport", DIES)
    with pytest.raises(ServerFailed, match="the worker died: signal 11"):
        async with running(tmp_path, dying) as server:
            await publish(server)


@pytest.mark.parametrize(
    ("worker", "package", "complaint"),
    [
        ("/nowhere/mediasoup-worker", None, "/nowhere/mediasoup-worker is no program"),
        (sys.executable, None, "give --mediasoup-package"),
        (sys.executable, Path("/nowhere"), "/nowhere is no Node package"),
    ],
)
async def test_what_is_missing_is_named(worker: str, package: Path | None, complaint: str) -> None:
    arguments = options(Path(worker), mediasoup_package=package)
    with pytest.raises(ServerFailed, match=complaint):
        async with mediasoup.running(arguments, host="127.0.0.1", publishers=1):
            pass


async def test_node_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package.json").write_text("{}")
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    arguments = options(Path(sys.executable), mediasoup_package=tmp_path)
    with pytest.raises(ServerFailed, match="node is not there"):
        async with mediasoup.running(arguments, host="127.0.0.1", publishers=1):
            pass
