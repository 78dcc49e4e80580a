"""SRTP of a client by libsrtp: independent of the server's own kernels."""

from pylibsrtp import Error, Policy, Session

from router.dtls import HandshakeCompleted
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80

_PROFILES = {
    AEAD_AES_128_GCM.id: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES128_CM_HMAC_SHA1_80.id: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
REPLAY_WINDOW = 1024
"""Packets; late retransmissions without RTX keep their old number."""


class SrtpTransport:
    """Protects and opens the packets of one connection."""

    def __init__(self, event: HandshakeCompleted) -> None:
        assert event.srtp_profile is not None
        self.profile = event.srtp_profile
        self.local_keys = (event.local_key, event.local_salt)
        """Master key and salt of what is sent, for generators that seal by themselves."""
        self.remote_keys = (event.remote_key, event.remote_salt)
        """Master key and salt of what is received."""
        self.failures = 0
        """Packets that did not authenticate, or came twice."""
        self._send = self._session(event.local_key + event.local_salt, Policy.SSRC_ANY_OUTBOUND)
        self._receive = self._session(event.remote_key + event.remote_salt, Policy.SSRC_ANY_INBOUND)

    def protect(self, packet: bytes) -> bytes:
        """Return the SRTP packet."""
        protected: bytes = self._send.protect(packet)
        return protected

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Return the SRTCP packet."""
        protected: bytes = self._send.protect_rtcp(packet)
        return protected

    def unprotect(self, packet: bytes) -> bytes | None:
        """Return the RTP packet, or None (counted) when it is not authentic or a replay."""
        try:
            opened: bytes = self._receive.unprotect(packet)
        except Error:
            self.failures += 1
            return None
        return opened

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the RTCP packet, or None (counted) when it is not authentic or a replay."""
        try:
            opened: bytes = self._receive.unprotect_rtcp(packet)
        except Error:
            self.failures += 1
            return None
        return opened

    def _session(self, key: bytes, direction: int) -> Session:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[self.profile.id])
        policy.window_size = REPLAY_WINDOW
        # A retransmission without RTX is the same packet once more.
        policy.allow_repeat_tx = True
        return Session(policy=policy)
