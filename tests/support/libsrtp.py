"""libsrtp (through pylibsrtp) as the oracle of SRTP tests, and random RTP packets for it."""

import random
from collections.abc import Iterator

from pylibsrtp import Policy, Session

PROFILE_CM = 1
PROFILE_GCM = 7
SALT_LENGTHS = {PROFILE_CM: 14, PROFILE_GCM: 12}
POLICY_PROFILES = {
    PROFILE_CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    PROFILE_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
MAX_PACKET = 1500 - 144
"""libsrtp's own buffer in pylibsrtp, less what it keeps for the trailer."""


def random_keys(profile: int, rng: random.Random) -> tuple[bytes, bytes]:
    return rng.randbytes(16), rng.randbytes(SALT_LENGTHS[profile])


def libsrtp_session(profile: int, key: bytes, salt: bytes, *, inbound: bool) -> Session:
    direction = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(
        policy=Policy(key=key + salt, ssrc_type=direction, srtp_profile=POLICY_PROFILES[profile])
    )


def random_rtp_packets(rng: random.Random, ssrc: int) -> Iterator[tuple[bytes, int]]:
    """
    Yield RTP packets of one SSRC with their rollover counters, for ever.

    Sequence numbers grow by 1..300, so they wrap about every 440 packets; a tenth of the packets
    has CSRCs, a third an extension, a tenth padding.
    """
    index = rng.randrange(30_000)
    noise = rng.randbytes(1 << 16)
    while True:
        index += rng.choice((1, 1, 1, rng.randrange(1, 301)))
        csrcs = rng.randrange(16) if rng.random() < 0.1 else 0
        extension_words = rng.choice((0, 1, 2, 5, 30)) if rng.random() < 0.33 else None
        padded = rng.random() < 0.1
        header = bytearray(12)
        header[0] = 0x80 | csrcs | (0x10 if extension_words is not None else 0)
        header[1] = rng.randrange(256)
        header[2:4] = (index & 0xFFFF).to_bytes(2, "big")
        header[4:8] = rng.randbytes(4)
        header[8:12] = ssrc.to_bytes(4, "big")
        header += noise[: 4 * csrcs]
        if extension_words is not None:
            header += (
                b"\xbe\xde" + extension_words.to_bytes(2, "big") + noise[: 4 * extension_words]
            )
        size = rng.choice((0, 1, 15, 16, 17, 160, 1200, rng.randrange(1300)))
        size = min(size, MAX_PACKET - len(header))
        at = rng.randrange(len(noise) - size)
        payload = noise[at : at + size]
        if padded and size:
            header[0] |= 0x20
            payload = payload[:-1] + b"\x01"
        yield bytes(header) + payload, index >> 16
