"""Builds and reads the chunks of the four-way handshake (RFC 9260 section 5)."""

import random

from ..errors import RemoteProtocolError
from .chunks.chunk_type import ChunkType
from .chunks.control import serialize_chunk
from .chunks.error import CauseCode, serialize_causes
from .chunks.init import EDMID_DTLS, InitChunk, InitParameter
from .chunks.parameters import Parameter, serialize_parameters
from .config import SctpConfig
from .cookie import StateCookie, open_cookie
from .peer_parameters import PeerParameters, peer_parameters_from
from .serial_number import TSN_MASK

_COOKIE_KEY_BYTES = 32
#: What an INIT may make us repeat back to it.
_MAX_REPORTED_BYTES = 512
#: A cookie must fit a packet together with both headers.
_PACKET_OVERHEAD_BYTES = 16


def new_tag(rng: random.Random) -> int:
    """Return a verification tag: any 32 bits but zero (section 5.3.1)."""
    return rng.randrange(1, TSN_MASK + 1)


class Handshake:
    """
    The chunks INIT, INIT ACK and COOKIE ECHO of one endpoint; holds no state of the exchange.

    ``local_tag`` and ``initial_tsn`` are the same in our INIT and in the INIT ACKs sent before an
    association exists, as section 5.2.1 demands when both sides send INIT.
    """

    def __init__(self, *, config: SctpConfig, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        self._cookie_key = rng.randbytes(_COOKIE_KEY_BYTES)
        self.local_tag = new_tag(rng)
        self.initial_tsn = rng.getrandbits(32)

    def make_init(self) -> bytes:
        """Return our INIT chunk, the same at each call."""
        init = self._make_init_chunk(self.local_tag, self.initial_tsn, ())
        return init.serialize(ChunkType.INIT)

    def make_init_ack(self, init: InitChunk, now: float) -> bytes:
        """
        Return the INIT ACK for an INIT that came before an association existed, or crossed ours.

        :raises RemoteProtocolError: if the INIT has a forbidden value.
        """
        return self._make_init_ack(init, now, self.local_tag, self.initial_tsn, (0, 0))

    def make_restart_init_ack(self, init: InitChunk, now: float, *, peer_tag: int) -> bytes:
        """
        Return the INIT ACK for an INIT in an association (section 5.2.2), which stays as it is.

        :raises RemoteProtocolError: if the INIT has a forbidden value.
        """
        tie_tags = (self.local_tag, peer_tag)
        tag = new_tag(self._rng)
        return self._make_init_ack(init, now, tag, self._rng.getrandbits(32), tie_tags)

    def adopt(self, cookie: StateCookie) -> None:
        """Take over the tag and TSN that the cookie's INIT ACK announced."""
        self.local_tag = cookie.local_tag
        self.initial_tsn = cookie.local_initial_tsn

    def open_cookie(self, data: bytes) -> StateCookie:
        """
        Return the cookie of a COOKIE ECHO.

        :raises AuthenticationFailed: if this endpoint did not make it.
        """
        return open_cookie(data, self._cookie_key)

    def read_init_ack(self, init_ack: InitChunk) -> tuple[PeerParameters, list[bytes]]:
        """
        Return the peer's parameters, and the chunks to answer with: COOKIE ECHO and maybe ERROR.

        :raises RemoteProtocolError: if the cookie is missing or too large, or a value forbidden.
        """
        peer = peer_parameters_from(init_ack)
        cookie = init_ack.parameter(InitParameter.STATE_COOKIE)
        if cookie is None:
            raise RemoteProtocolError(
                "INIT ACK without a state cookie", cause=CauseCode.MISSING_MANDATORY_PARAMETER
            )
        if len(cookie) > self._config.mtu - _PACKET_OVERHEAD_BYTES:
            raise RemoteProtocolError(
                f"state cookie of {len(cookie)} bytes", cause=CauseCode.PROTOCOL_VIOLATION
            )
        answer = [serialize_chunk(ChunkType.COOKIE_ECHO, cookie)]
        unrecognized = _bounded(init_ack.unrecognized_parameters())
        if unrecognized:
            cause = (CauseCode.UNRECOGNIZED_PARAMETERS, serialize_parameters(unrecognized))
            answer.append(serialize_chunk(ChunkType.ERROR, serialize_causes([cause])))
        return peer, answer

    def _make_init_ack(
        self, init: InitChunk, now: float, tag: int, initial_tsn: int, tie_tags: tuple[int, int]
    ) -> bytes:
        cookie = StateCookie(
            created_at=now,
            local_tag=tag,
            local_initial_tsn=initial_tsn,
            local_tie_tag=tie_tags[0],
            peer_tie_tag=tie_tags[1],
            peer=peer_parameters_from(init),
        )
        parameters = [
            Parameter(InitParameter.STATE_COOKIE, cookie.seal(self._cookie_key)),
            *(
                Parameter(InitParameter.UNRECOGNIZED_PARAMETER, serialize_parameters([parameter]))
                for parameter in _bounded(init.unrecognized_parameters())
            ),
        ]
        init_ack = self._make_init_chunk(tag, initial_tsn, parameters)
        return init_ack.serialize(ChunkType.INIT_ACK)

    def _make_init_chunk(
        self, tag: int, initial_tsn: int, parameters: "list[Parameter] | tuple[()]"
    ) -> InitChunk:
        extensions = bytes((ChunkType.RE_CONFIG, ChunkType.FORWARD_TSN))
        own = [
            Parameter(InitParameter.FORWARD_TSN_SUPPORTED, b""),
            Parameter(InitParameter.SUPPORTED_EXTENSIONS, extensions),
        ]
        if self._config.zero_checksum:
            own.append(Parameter(InitParameter.ZERO_CHECKSUM_ACCEPTABLE, EDMID_DTLS))
        return InitChunk(
            initiate_tag=tag,
            a_rwnd=self._config.receive_buffer_bytes,
            outbound_streams=self._config.outbound_streams,
            inbound_streams=self._config.inbound_streams,
            initial_tsn=initial_tsn,
            parameters=(*own, *parameters),
        )


def _bounded(parameters: list[Parameter]) -> list[Parameter]:
    """Return the leading parameters that together stay below what is reported back."""
    kept: list[Parameter] = []
    size = 0
    for parameter in parameters:
        size += 8 + len(parameter.value)
        if size > _MAX_REPORTED_BYTES:
            break
        kept.append(parameter)
    return kept
