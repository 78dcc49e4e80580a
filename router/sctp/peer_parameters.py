"""What an INIT or INIT ACK says about the peer."""

import struct
from dataclasses import dataclass

from ..errors import RemoteProtocolError
from .chunks.chunk_type import ChunkType
from .chunks.error import CauseCode
from .chunks.init import EDMID_DTLS, InitChunk, InitParameter

_FIELDS = struct.Struct("!IIHHI3?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerParameters:
    """The peer's side of the association."""

    initiate_tag: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    forward_tsn: bool
    """RFC 3758 is understood."""
    reconfig: bool
    """RFC 6525 is understood."""
    zero_checksum: bool
    """Packets without a checksum are accepted (RFC 9653)."""

    def serialize(self) -> bytes:
        """Return the form in which the state cookie carries them."""
        return _FIELDS.pack(
            self.initiate_tag,
            self.a_rwnd,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
            self.forward_tsn,
            self.reconfig,
            self.zero_checksum,
        )


PEER_PARAMETERS_BYTES = _FIELDS.size


def parse_peer_parameters(data: bytes) -> PeerParameters:
    """
    Parse what :meth:`PeerParameters.serialize` wrote.

    :param data: Exactly ``PEER_PARAMETERS_BYTES``, authenticated by the cookie's MAC.
    """
    tag, a_rwnd, outbound, inbound, initial_tsn, forward_tsn, reconfig, zero = _FIELDS.unpack(data)
    return PeerParameters(
        initiate_tag=tag,
        a_rwnd=a_rwnd,
        outbound_streams=outbound,
        inbound_streams=inbound,
        initial_tsn=initial_tsn,
        forward_tsn=forward_tsn,
        reconfig=reconfig,
        zero_checksum=zero,
    )


def peer_parameters_from(init: InitChunk) -> PeerParameters:
    """
    Return the parameters in an INIT or INIT ACK.

    :raises RemoteProtocolError: if a mandatory field has a forbidden value (section 3.3.2).
    """
    if not init.initiate_tag or not init.outbound_streams or not init.inbound_streams:
        raise RemoteProtocolError(
            "INIT with a zero tag or without streams", cause=CauseCode.INVALID_MANDATORY_PARAMETER
        )
    extensions = init.parameter(InitParameter.SUPPORTED_EXTENSIONS) or b""
    return PeerParameters(
        initiate_tag=init.initiate_tag,
        a_rwnd=init.a_rwnd,
        outbound_streams=init.outbound_streams,
        inbound_streams=init.inbound_streams,
        initial_tsn=init.initial_tsn,
        forward_tsn=ChunkType.FORWARD_TSN in extensions
        or init.parameter(InitParameter.FORWARD_TSN_SUPPORTED) is not None,
        reconfig=ChunkType.RE_CONFIG in extensions,
        zero_checksum=init.parameter(InitParameter.ZERO_CHECKSUM_ACCEPTABLE) == EDMID_DTLS,
    )
