"""Profiles and key derivation: RFC 3711 vectors, and pylibsrtp as the oracle."""

import struct

import pylibsrtp
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from router.srtp import (
    AEAD_AES_128_GCM,
    AEAD_AES_256_GCM,
    AES128_CM_HMAC_SHA1_80,
    PROFILES,
    SrtpProfile,
    derive_key,
    derive_session_keys,
    split_keying_material,
)

# RFC 3711 appendix B.3.
MASTER_KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
MASTER_SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
CIPHER_KEY = bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
CIPHER_SALT = bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")
AUTHENTICATION_KEY = bytes.fromhex(
    "CEBE321F6FF7716B6FD4AB49AF256A15"
    "6D38BAA48F0A0ACF3C34E2359E6CDBCE"
    "E049646C43D9327AD175578EF7227098"
    "6371C10C9A369AC2F94A8C5FBCDDDC25"
    "6D6E919A48B610EF17C2041E47403576"
    "6B68642C59BBFC2F34DB60DBDFB2"
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [(0x00, CIPHER_KEY), (0x01, AUTHENTICATION_KEY), (0x02, CIPHER_SALT)],
)
def test_derivation_gives_the_keys_of_rfc_3711_b_3(label: int, expected: bytes) -> None:
    assert derive_key(MASTER_KEY, MASTER_SALT, label, len(expected)) == expected


def test_session_keys_have_the_lengths_of_the_profile() -> None:
    keys = derive_session_keys(AES128_CM_HMAC_SHA1_80, MASTER_KEY, MASTER_SALT)
    assert keys.rtp_key == CIPHER_KEY
    assert keys.rtp_salt == CIPHER_SALT
    assert keys.rtp_authentication_key == AUTHENTICATION_KEY[:20]
    assert len(keys.rtcp_authentication_key) == 20
    assert len({keys.rtp_key, keys.rtcp_key, keys.rtp_salt, keys.rtcp_salt}) == 4


def test_session_keys_do_not_show_themselves() -> None:
    keys = derive_session_keys(AES128_CM_HMAC_SHA1_80, MASTER_KEY, MASTER_SALT)
    assert repr(keys) == "SessionKeys()"


@pytest.mark.parametrize(
    ("profile", "libsrtp_profile"),
    [
        (AEAD_AES_128_GCM, pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
        (AEAD_AES_256_GCM, pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    ],
)
def test_aead_keys_open_what_libsrtp_sealed(profile: SrtpProfile, libsrtp_profile: int) -> None:
    master_key = bytes(range(profile.key_length))
    master_salt = bytes(range(0xA0, 0xA0 + profile.salt_length))
    policy = pylibsrtp.Policy(
        key=master_key + master_salt,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=libsrtp_profile,
    )
    header = struct.pack("!BBHII", 0x80, 96, 4711, 123456, 0xCAFEBABE)
    sealed = pylibsrtp.Session(policy=policy).protect(header + b"payload")
    keys = derive_session_keys(profile, master_key, master_salt)
    # RFC 7714 section 8.1: zero, SSRC, ROC and sequence number, under the salt.
    nonce = struct.pack("!HIIH", 0, 0xCAFEBABE, 0, 4711)
    iv = bytes(a ^ b for a, b in zip(nonce, keys.rtp_salt, strict=True))
    assert AESGCM(keys.rtp_key).decrypt(iv, sealed[12:], header) == b"payload"
    assert len(sealed) == 12 + len(b"payload") + profile.rtp_tag_length


@given(profile=st.sampled_from(list(PROFILES.values())), data=st.data())
def test_keying_material_is_cut_into_keys_and_then_salts(
    profile: SrtpProfile, data: st.DataObject
) -> None:
    length = profile.keying_material_length
    block = data.draw(st.binary(min_size=length, max_size=length))
    material = split_keying_material(profile, block)
    assert {len(material.client_key), len(material.server_key)} == {profile.key_length}
    assert {len(material.client_salt), len(material.server_salt)} == {profile.salt_length}
    assert block == (
        material.client_key + material.server_key + material.client_salt + material.server_salt
    )


def test_every_profile_is_found_by_its_number() -> None:
    assert {number: profile.id for number, profile in PROFILES.items()} == {
        0x0001: 0x0001,
        0x0002: 0x0002,
        0x0007: 0x0007,
        0x0008: 0x0008,
    }
    assert [profile.is_aead for profile in PROFILES.values()] == [False, False, True, True]
