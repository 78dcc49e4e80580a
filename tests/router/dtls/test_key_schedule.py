"""The PRF against a published vector; the rest is checked against OpenSSL elsewhere."""

import json
from pathlib import Path

from router.dtls.key_schedule import prf

VECTORS = Path(__file__).parents[2] / "vectors" / "dtls"


def test_prf_gives_the_published_output() -> None:
    vector = json.loads((VECTORS / "prf_sha256.json").read_text())
    output = bytes.fromhex(vector["output"])
    secret, seed = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["seed"])
    assert prf(secret, vector["label"].encode(), seed, len(output)) == output


def test_shorter_output_is_a_prefix() -> None:
    whole = prf(b"secret", b"label", b"seed", 100)
    for length in (0, 1, 32, 33, 64, 99):
        assert prf(b"secret", b"label", b"seed", length) == whole[:length]
