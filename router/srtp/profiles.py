"""
The SRTP protection profiles, their key lengths and the key derivation of RFC 3711.

One table describes a profile to DTLS (which exports the master keys), to the data plane (which
protects packets) and to the tests (which check both).
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# RFC 3711 section 4.3.2: the labels of the session keys.
LABEL_RTP_ENCRYPTION = 0x00
LABEL_RTP_AUTHENTICATION = 0x01
LABEL_RTP_SALT = 0x02
LABEL_RTCP_ENCRYPTION = 0x03
LABEL_RTCP_AUTHENTICATION = 0x04
LABEL_RTCP_SALT = 0x05

_SALT_FIELD_LENGTH = 14
_LABEL_OFFSET = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpProfile:
    """One row of the IANA registry "DTLS-SRTP Protection Profiles". All lengths are in bytes."""

    id: int
    """The number that use_srtp carries (RFC 5764 section 4.1.2, RFC 7714 section 14.2)."""
    name: str
    """The registry's name."""
    key_length: int
    """Master key and session encryption key."""
    salt_length: int
    """Master salt and session salt."""
    authentication_key_length: int
    """Session authentication key; 0 for an AEAD."""
    rtp_tag_length: int
    """What protection appends to an RTP packet."""
    rtcp_tag_length: int
    """What protection appends to an RTCP packet, without the index word."""

    @property
    def is_aead(self) -> bool:
        """Whether the cipher authenticates by itself."""
        return self.authentication_key_length == 0

    @property
    def keying_material_length(self) -> int:
        """How many bytes DTLS exports: a key and a salt for each direction."""
        return 2 * (self.key_length + self.salt_length)


AES128_CM_HMAC_SHA1_80 = SrtpProfile(
    id=0x0001,
    name="SRTP_AES128_CM_HMAC_SHA1_80",
    key_length=16,
    salt_length=14,
    authentication_key_length=20,
    rtp_tag_length=10,
    rtcp_tag_length=10,
)
AES128_CM_HMAC_SHA1_32 = SrtpProfile(
    id=0x0002,
    name="SRTP_AES128_CM_HMAC_SHA1_32",
    key_length=16,
    salt_length=14,
    authentication_key_length=20,
    rtp_tag_length=4,
    # RFC 5764 section 4.1.2: the short tag is for RTP only.
    rtcp_tag_length=10,
)
AEAD_AES_128_GCM = SrtpProfile(
    id=0x0007,
    name="SRTP_AEAD_AES_128_GCM",
    key_length=16,
    salt_length=12,
    authentication_key_length=0,
    rtp_tag_length=16,
    rtcp_tag_length=16,
)
AEAD_AES_256_GCM = SrtpProfile(
    id=0x0008,
    name="SRTP_AEAD_AES_256_GCM",
    key_length=32,
    salt_length=12,
    authentication_key_length=0,
    rtp_tag_length=16,
    rtcp_tag_length=16,
)

PROFILES = {
    profile.id: profile
    for profile in (
        AES128_CM_HMAC_SHA1_80,
        AES128_CM_HMAC_SHA1_32,
        AEAD_AES_128_GCM,
        AEAD_AES_256_GCM,
    )
}
"""Every profile that is known, by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeyingMaterial:
    """The master keys and salts that one DTLS handshake exported (RFC 5764 section 4.2)."""

    client_key: bytes = field(repr=False)
    """Protects what the DTLS client sends."""
    server_key: bytes = field(repr=False)
    """Protects what the DTLS server sends."""
    client_salt: bytes = field(repr=False)
    server_salt: bytes = field(repr=False)


def split_keying_material(profile: SrtpProfile, block: bytes) -> SrtpKeyingMaterial:
    """
    Cut the exported block into its four parts, in the order of RFC 5764 section 4.2.

    :param block: Exactly ``profile.keying_material_length`` bytes.
    """
    assert len(block) == profile.keying_material_length
    key, salt = profile.key_length, profile.salt_length
    return SrtpKeyingMaterial(
        client_key=block[:key],
        server_key=block[key : 2 * key],
        client_salt=block[2 * key : 2 * key + salt],
        server_salt=block[2 * key + salt :],
    )


def derive_key(
    master_key: bytes, master_salt: bytes, label: int, length: int, *, index: int = 0
) -> bytes:
    """
    Return ``length`` bytes of the key with a label: AES-CM as a PRF (RFC 3711 4.3.1, 4.3.3).

    :param master_key: 16 or 32 bytes (RFC 6188 for the longer).
    :param master_salt: 14 bytes, or 12 for an AEAD, which RFC 7714 section 11 pads on the right.
    :param index: Packet index divided by the key derivation rate, at most 48 bits; 0 when the rate
        is 0, as DTLS-SRTP has it.
    """
    assert len(master_salt) in (12, 14)
    key_id = (label << 48 | index).to_bytes(_LABEL_OFFSET, "big")
    x = bytearray(master_salt.ljust(_SALT_FIELD_LENGTH, b"\0"))
    for position, byte in enumerate(key_id):
        x[_SALT_FIELD_LENGTH - _LABEL_OFFSET + position] ^= byte
    # RFC 3711 section 4.1.1: the counter starts in the last two bytes of the block.
    counter = bytes(x) + b"\0\0"
    encryptor = Cipher(algorithms.AES(master_key), modes.CTR(counter)).encryptor()
    return encryptor.update(bytes(length))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """What one direction protects packets with."""

    rtp_key: bytes = field(repr=False)
    rtp_salt: bytes = field(repr=False)
    rtp_authentication_key: bytes = field(repr=False)
    """Empty for an AEAD."""
    rtcp_key: bytes = field(repr=False)
    rtcp_salt: bytes = field(repr=False)
    rtcp_authentication_key: bytes = field(repr=False)
    """Empty for an AEAD."""


def derive_session_keys(profile: SrtpProfile, master_key: bytes, master_salt: bytes) -> SessionKeys:
    """Return the six session keys of one direction, with a key derivation rate of 0."""
    assert len(master_key) == profile.key_length
    assert len(master_salt) == profile.salt_length

    def derive(label: int, length: int) -> bytes:
        return derive_key(master_key, master_salt, label, length)

    return SessionKeys(
        rtp_key=derive(LABEL_RTP_ENCRYPTION, profile.key_length),
        rtp_salt=derive(LABEL_RTP_SALT, profile.salt_length),
        rtp_authentication_key=derive(LABEL_RTP_AUTHENTICATION, profile.authentication_key_length),
        rtcp_key=derive(LABEL_RTCP_ENCRYPTION, profile.key_length),
        rtcp_salt=derive(LABEL_RTCP_SALT, profile.salt_length),
        rtcp_authentication_key=derive(
            LABEL_RTCP_AUTHENTICATION, profile.authentication_key_length
        ),
    )
