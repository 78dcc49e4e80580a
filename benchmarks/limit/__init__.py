"""
The physical limit: a C program that does nothing but the fan-out, as fast as this machine can.

It is built with gcc on first use, into ``build/limit``, and needs AVX-512 with VAES.
"""

import atexit
import contextlib
import functools
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.hmac import HMAC

from router._fastpath import cpu

FOLDER = Path(__file__).parent
FIRST_SSRC = 1000
"""SSRC of the first publisher; the others count up."""
INBOUND_TRANSPORT_CC_ID, OUTBOUND_TRANSPORT_CC_ID = 5, 6
"""Of the header extension element, as publishers send it and as subscribers get it."""
_NEEDED = {"vaes", "vpclmulqdq", "avx512f", "avx512bw", "avx512vl"}
_FIXED_HEADER = 12


def is_supported() -> bool:
    """Tell whether the program can be built and run here."""
    return shutil.which("gcc") is not None and set(cpu.features()) >= _NEEDED


@functools.cache
def build() -> Path:
    """Return the program, built anew when its source is newer; elsewhere when that is not ours."""
    program = FOLDER.parents[1] / "build" / "limit" / "limit"
    sources = sorted(FOLDER.glob("*.[ch]"))
    if program.exists() and all(s.stat().st_mtime <= program.stat().st_mtime for s in sources):
        return program
    with contextlib.suppress(PermissionError):
        program.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(program.parent, os.W_OK):
        directory = tempfile.mkdtemp(prefix="parlour-limit-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        program = Path(directory) / "limit"
    command = ["gcc", "-O3", "-march=native", "-o", str(program), str(FOLDER / "limit.c")]
    subprocess.run(command, check=True)
    return program


def publisher_key(index: int) -> tuple[bytes, bytes]:
    """Return SRTP session key (16 bytes) and salt (12 bytes) of a publisher: GCM in all runs."""
    return _secret(1, index, 12)


def open_first_subscribers(packet: bytes, suite: str) -> bytes:
    """
    Return an RTP packet of the first subscriber without protection; rollovers never count.

    Opened by OpenSSL, which shares nothing with the program (RFC 3711 section 4.1.1, RFC 7714).

    :raises cryptography.exceptions.InvalidTag: when it is not authentic.
    """
    header_length = _FIXED_HEADER + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        header_length += 4 + 4 * int.from_bytes(
            packet[header_length + 2 : header_length + 4], "big"
        )
    header = packet[:header_length]
    number, ssrc = struct.unpack_from("!H4xI", packet, 2)
    if suite == "gcm":
        key, salt = _secret(2, 0, 12)
        iv = _xor(salt, struct.pack("!HIIH", 0, ssrc, 0, number))
        return header + AESGCM(key).decrypt(iv, packet[header_length:], header)
    key, salt = _secret(2, 0, 14)
    body, tag = packet[:-10], packet[-10:]
    mac = HMAC(bytes(20), SHA1())
    mac.update(body + bytes(4))
    if not bytes_eq(mac.finalize()[:10], tag):
        raise InvalidTag
    iv = _xor(salt + bytes(2), struct.pack("!IIIHH", 0, ssrc, 0, number, 0))
    decryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor()
    return header + decryptor.update(body[header_length:]) + decryptor.finalize()


def _secret(kind: int, index: int, salt_length: int) -> tuple[bytes, bytes]:
    key = bytes((kind * 101 + index * 7 + j * 13 + (index >> 5)) & 0xFF for j in range(16))
    return key, bytes((kind * 31 + index * 3 + j * 29) & 0xFF for j in range(salt_length))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
