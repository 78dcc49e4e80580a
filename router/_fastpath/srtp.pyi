"""
SRTP and SRTCP (RFC 3711, RFC 7714) for tests, tools and the load generator.

The data plane uses the same code through ``srtp.pxd``.
"""

from collections.abc import Sequence
from typing import final

PROFILE_AES128_CM_HMAC_SHA1_80: int
PROFILE_AEAD_AES_128_GCM: int

@final
class SrtpSession:
    """
    The keys of one direction.

    Keeps no state of packets: the caller tracks rollover counters, indexes and replay.

    :param profile: 7 (AEAD_AES_128_GCM) or 1 (AES128_CM_HMAC_SHA1_80).
    :param key: Master key, 16 bytes.
    :param salt: Master salt, 12 bytes for profile 7 and 14 for profile 1.
    :raises ValueError: for another profile or length.
    """

    def __new__(cls, profile: int, key: bytes, salt: bytes) -> SrtpSession: ...
    @classmethod
    def from_session_keys(
        cls, profile: int, key: bytes, salt: bytes, authentication_key: bytes = b""
    ) -> SrtpSession:
        """Use keys as they are, for RTP and RTCP, as the vectors of RFC 7714 do."""
    @property
    def tag_length(self) -> int:
        """Bytes that :meth:`seal` adds."""
    def seal(self, packet: bytes, roc: int = 0) -> bytes:
        """
        Return the protected RTP packet.

        :raises ValueError: when it is not RTP, or has more than 4,048 bytes of payload.
        """
    def open(self, packet: bytes, roc: int = 0, *other_rocs: int) -> bytes | None:
        """
        Return the RTP packet, or None when it does not authenticate.

        :param other_rocs: Tried after ``roc``, in the same buffer.

        :raises ValueError: when it cannot be a protected RTP packet.
        """
    def seal_rtcp(self, packet: bytes, index: int) -> bytes:
        """Return the protected RTCP compound packet. :raises ValueError:"""
    def open_rtcp(self, packet: bytes) -> tuple[bytes, int] | None:
        """
        Return the RTCP packet and its index, or None when it does not authenticate.

        :raises ValueError: when it cannot be a protected RTCP packet, or is not encrypted.
        """

def seal_batch(
    jobs: Sequence[tuple[SrtpSession, bytes, int]], *, in_place: bool = False
) -> list[bytes]:
    """
    Protect RTP packets in one call, as the data plane does.

    :param jobs: Session, packet and ROC; jobs of one session should stand together.
    :param in_place: Encrypt the payload where it stands rather than from another buffer.
    """

def set_kernels(*, gcm: str | None = None, ctr: str | None = None, sha1: str | None = None) -> None:
    """
    Choose kernels by name; None is the fastest. Not while a data plane thread runs.

    :raises ValueError: when one is not available here.
    """

def kernels() -> dict[str, str]:
    """Return the kernels in use, by operation: ``gcm``, ``ctr``, ``sha1``."""

def available_kernels() -> dict[str, tuple[str, ...]]:
    """Return the kernels that run here and passed their vectors, fastest first."""
