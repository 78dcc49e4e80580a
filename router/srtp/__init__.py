"""SRTP profiles and key derivation (RFC 3711, 5764, 7714); packets are the data plane's work."""

from .profiles import (
    AEAD_AES_128_GCM,
    AEAD_AES_256_GCM,
    AES128_CM_HMAC_SHA1_32,
    AES128_CM_HMAC_SHA1_80,
    PROFILES,
    SessionKeys,
    SrtpKeyingMaterial,
    SrtpProfile,
    derive_key,
    derive_session_keys,
    split_keying_material,
)

__all__ = [
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
    "AES128_CM_HMAC_SHA1_32",
    "AES128_CM_HMAC_SHA1_80",
    "PROFILES",
    "SessionKeys",
    "SrtpKeyingMaterial",
    "SrtpProfile",
    "derive_key",
    "derive_session_keys",
    "split_keying_material",
]
