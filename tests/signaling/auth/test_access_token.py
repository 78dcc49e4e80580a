import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from twilio.jwt.access_token import AccessToken as LibraryToken
from twilio.jwt.access_token.grants import ChatGrant, VideoGrant

from signaling.auth.access_token import AccessToken, TokenVerifier, mint_access_token
from signaling.errors import TokenError
from signaling.ids import AccountSid, ApiKeySid

ACCOUNT = AccountSid("AC" + "1" * 32)
KEY = ApiKeySid("SK" + "2" * 32)
SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
START = int(NOW.timestamp())
HEADER = {"typ": "JWT", "cty": "twilio-fpa;v=1"}
VERIFIER = TokenVerifier(account_sid=ACCOUNT, keys={KEY: SECRET})


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "jti": f"{KEY}-{START}",
        "iss": KEY,
        "sub": ACCOUNT,
        "iat": START,
        "exp": START + 3600,
        "grants": {"identity": "alice", "video": {"room": "r1"}},
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def sign(
    payload: object,
    *,
    header: dict[str, Any] = HEADER,
    secret: str = SECRET,
    algorithm: str = "HS256",
) -> str:
    return jwt.PyJWS().encode(
        json.dumps(payload).encode(), secret, algorithm=algorithm, headers=header
    )


def code_of(token: object, *, now: datetime = NOW) -> int:
    with pytest.raises(TokenError) as caught:
        VERIFIER.verify(token, now)
    return caught.value.code


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_verifier_reads_a_token_of_the_helper_library() -> None:
    made = LibraryToken(ACCOUNT, KEY, SECRET, identity="alice", ttl=14400, region="ie1")
    made.add_grant(VideoGrant(room="DailyStandup"))
    made.add_grant(ChatGrant(service_sid="IS" + "3" * 32))
    token = VERIFIER.verify(made.to_jwt(), datetime.now(UTC))
    assert (token.identity, token.room, token.key_sid) == ("alice", "DailyStandup", KEY)
    assert token.account_sid == ACCOUNT


def test_helper_library_reads_a_minted_token() -> None:
    text = mint_access_token(
        account_sid=ACCOUNT,
        key_sid=KEY,
        secret=SECRET,
        identity="Zoë 🙂",
        room="r1",
        now=datetime.now(UTC),
    )
    read = LibraryToken.from_jwt(text, SECRET)
    assert read.headers["cty"] == "twilio-fpa;v=1"
    assert read.payload["grants"] == {"identity": "Zoë 🙂", "video": {"room": "r1"}}
    assert read.payload["exp"] - read.payload["iat"] == 3600


@pytest.mark.parametrize("room", ["r1", None])
def test_minted_token_verifies(room: str | None) -> None:
    text = mint_access_token(
        account_sid=ACCOUNT, key_sid=KEY, secret=SECRET, identity="a", room=room, now=NOW
    )
    assert VERIFIER.verify(text, NOW) == AccessToken(
        identity="a",
        room=room,
        key_sid=KEY,
        account_sid=ACCOUNT,
        expires_at=NOW + timedelta(hours=1),
        jti=f"{KEY}-{int(NOW.timestamp())}",
        issued_at=NOW.replace(microsecond=0),
    )


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(hours=24, seconds=1)])
def test_mint_refuses_a_lifetime_out_of_range(lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        mint_access_token(
            account_sid=ACCOUNT,
            key_sid=KEY,
            secret=SECRET,
            identity="a",
            room=None,
            now=NOW,
            lifetime=lifetime,
        )


def test_room_grant_admits_by_name_and_by_sid() -> None:
    token = VERIFIER.verify(sign(claims()), NOW)
    assert token.admits_to(name="r1", sid="RM1")
    assert token.admits_to(name="other", sid="r1")
    assert not token.admits_to(name="R1", sid="RM1")
    anywhere = VERIFIER.verify(sign(claims(grants={"identity": "a", "video": {}})), NOW)
    assert anywhere.admits_to(name="whatever")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_all_hmac_algorithms_are_accepted(algorithm: str) -> None:
    assert VERIFIER.verify(sign(claims(), algorithm=algorithm), NOW).identity == "alice"


@pytest.mark.parametrize(
    "token",
    [
        None,
        17,
        b"a.b.c",
        "",
        "badToken",
        "a.b.c",
        "..",
        f"{encode(b'{}')}.{encode(b'[]')}.{encode(b'x')}",
        f"{encode(b'{}')}.{encode(b'not JSON')}.{encode(b'x')}",
        f"{encode(b'{}')}.{encode(bytes([0xFF, 0xFE]))}.{encode(b'x')}",
        f"{encode(b'{}')}.{encode(b'[' * 9000)}.{encode(b'x')}",
        f"{encode(b'[' * 9000)}.{encode(b'{}')}.{encode(b'x')}",
        "\ud800.a.b",
    ],
)
def test_what_is_no_token_is_20101(token: object) -> None:
    assert code_of(token) == 20101


def test_giant_token_is_refused_unread() -> None:
    assert code_of(sign(claims(padding="x" * 20_000))) == 20101


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "JWT", "cty": "twilio-fpa;v=2"},
        {"typ": "at+jwt", "cty": "twilio-fpa;v=1"},
        {"typ": None, "cty": "twilio-fpa;v=1"},
        {"typ": "JWT", "cty": ["twilio-fpa;v=1"]},
    ],
)
def test_wrong_header_is_20102(header: dict[str, Any]) -> None:
    assert code_of(sign(claims(), header=header)) == 20102


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "RS256", "ES256", "EdDSA", "", None, ["HS256"]]
)
def test_other_algorithms_are_20102(algorithm: object) -> None:
    header = encode(json.dumps(HEADER | {"alg": algorithm}).encode())
    assert code_of(f"{header}.{encode(json.dumps(claims()).encode())}.") == 20102


def test_asymmetric_signature_is_refused() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.PyJWS().encode(
        json.dumps(claims()).encode(), key, algorithm="RS256", headers=HEADER
    )
    assert code_of(token) == 20102


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "SK" + "9" * 32},
        {"iss": ...},
        {"iss": {"a": 1}},
        {"sub": "AC" + "9" * 32},
        {"sub": ...},
        {"sub": [ACCOUNT]},
    ],
)
def test_unknown_issuer_or_subject_is_20103(changes: dict[str, Any]) -> None:
    assert code_of(sign(claims(**changes))) == 20103


def test_wrong_signature_is_20107() -> None:
    assert code_of(sign(claims(), secret="x" * 64)) == 20107
    text = sign(claims())
    signed, _, signature = text.rpartition(".")
    assert code_of(f"{signed}.") == 20107
    assert code_of(f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}") == 20107
    for last in "ABCDEFGH":
        if last != signature[-1]:
            assert code_of(f"{signed}.{signature[:-1]}{last}") == 20107


def test_changed_payload_is_20107() -> None:
    header, _, signature = sign(claims()).split(".")
    other = encode(json.dumps(claims(exp=START + 7200)).encode())
    assert code_of(f"{header}.{other}.{signature}") == 20107


def test_signature_fault_is_told_before_time_and_grant_faults() -> None:
    token = sign(claims(exp=START - 9999, grants=None), secret="x" * 64)
    assert code_of(token) == 20107


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...},
        {"exp": START - 61},
        {"exp": str(START + 3600)},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"exp": -1},
        {"exp": START + 86400 + 61},
        {"iat": ..., "nbf": START, "exp": START + 86400 + 61},
        {"iat": ..., "exp": START + 86400 + 61},
    ],
)
def test_bad_expiry_is_20104(changes: dict[str, Any]) -> None:
    assert code_of(sign(claims(**changes))) == 20104


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": START - 59},
        {"exp": START + 86400},
        {"iat": ..., "nbf": START, "exp": START + 86400},
        {"iat": ..., "exp": START + 86400},
        {"iat": START - 80000, "exp": START + 6400},
        {"nbf": START + 59},
        {"iat": None, "nbf": None},
    ],
)
def test_times_within_the_rules_are_accepted(changes: dict[str, Any]) -> None:
    assert VERIFIER.verify(sign(claims(**changes)), NOW).identity == "alice"


def test_expired_token_can_be_allowed_for_a_running_session() -> None:
    token = sign(claims())
    later = NOW + timedelta(days=3)
    assert code_of(token, now=later) == 20104
    assert VERIFIER.verify(token, later, allow_expired=True).identity == "alice"


@pytest.mark.parametrize("changes", [{"iat": 10**400}, {"iat": "x"}, {"nbf": -(10**400)}])
def test_start_that_is_no_time_is_20101(changes: dict[str, Any]) -> None:
    assert code_of(sign(claims(**changes))) == 20101


@pytest.mark.parametrize("changes", [{"nbf": START + 61}, {"iat": START + 61}])
def test_token_of_the_future_is_20105(changes: dict[str, Any]) -> None:
    assert code_of(sign(claims(**changes))) == 20105


@pytest.mark.parametrize(
    "grants",
    [
        ...,
        None,
        [],
        {},
        {"identity": "alice"},
        {"identity": "alice", "video": None},
        {"identity": "alice", "video": "r1"},
        {"identity": "alice", "video": {"room": 7}},
    ],
)
def test_missing_video_grant_is_20106(grants: object) -> None:
    assert code_of(sign(claims(grants=grants))) == 20106


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (None, 53200),
        ("", 53200),
        (7, 53200),
        ("x" * 129, 53201),
        ("\ud800", 53202),
        ("a\0b", 53202),
    ],
)
def test_bad_identity_has_a_code_of_its_own(identity: object, code: int) -> None:
    assert code_of(sign(claims(grants={"identity": identity, "video": {}}))) == code


def test_identity_of_128_characters_is_accepted() -> None:
    identity = "🙂" * 128
    token = sign(claims(grants={"identity": identity, "video": {}}))
    assert VERIFIER.verify(token, NOW).identity == identity


@given(st.text())
def test_any_text_verifies_or_raises_token_error(text: str) -> None:
    with pytest.raises(TokenError):
        VERIFIER.verify(text, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("iss", "sub", "iat", "nbf", "exp", "grants", "jti"), json_values),
    )
)
def test_any_signed_claims_verify_or_raise_token_error(changes: dict[str, Any]) -> None:
    with contextlib.suppress(TokenError):
        VERIFIER.verify(sign(claims() | changes), NOW)
