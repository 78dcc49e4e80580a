"""The consent checker by itself (RFC 7675 section 5.1)."""

import random
from itertools import pairwise

import pytest

from router.ice.consent import CONSENT_INTERVAL, CONSENT_LIFETIME, ConsentChecker


class Requests:
    """Makes requests of which only the transaction id matters."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        return bytes(8) + self.count.to_bytes(12, "big")


def checker(seed: int = 1) -> ConsentChecker:
    return ConsentChecker(make_request=Requests(), rng=random.Random(seed), given_at=0.0, now=0.0)


def run(consent: ConsentChecker, *, until: float, answer: bool) -> list[float]:
    """Run with answers that come at once, or with none; return when checks were sent."""
    sent_at = []
    now = 0.0
    while (timer := consent.next_timer()) is not None and timer <= until:
        now = timer
        consent.handle_timer(now)
        for data in consent.datagrams_to_send():
            sent_at.append(now)
            assert consent.is_outstanding(data[8:20])
            if answer:
                consent.receive_answer(data[8:20], now)
    return sent_at


def test_answered_checks_are_0_8_to_1_2_intervals_apart() -> None:
    sent_at = run(checker(), until=1000.0, answer=True)
    gaps = [after - before for before, after in pairwise(sent_at)]
    assert min(gaps) >= 0.8 * CONSENT_INTERVAL
    assert max(gaps) <= 1.2 * CONSENT_INTERVAL
    assert max(gaps) - min(gaps) > 0.3 * CONSENT_INTERVAL
    assert sum(gaps) / len(gaps) == pytest.approx(CONSENT_INTERVAL, rel=0.05)


def test_consent_expires_30_s_after_the_last_answer() -> None:
    consent = checker()
    sent_at = run(consent, until=100.0, answer=False)
    assert consent.is_expired
    assert 20 <= len(sent_at) <= 34
    assert sent_at[-1] < CONSENT_LIFETIME
    assert consent.next_timer() is None
    consent.handle_timer(200.0)
    assert consent.datagrams_to_send() == []


def test_consent_does_not_expire_early() -> None:
    consent = checker()
    run(consent, until=CONSENT_LIFETIME - 0.001, answer=False)
    assert not consent.is_expired
    consent.handle_timer(CONSENT_LIFETIME)
    assert consent.is_expired


def test_late_answer_to_an_earlier_check_counts() -> None:
    consent = checker()
    run(consent, until=25.0, answer=False)
    first = bytes(11) + b"\x01"
    assert consent.is_outstanding(first)
    consent.receive_answer(first, 26.0)
    assert not consent.is_outstanding(first)
    assert consent.answered_at == 26.0
    consent.handle_timer(CONSENT_LIFETIME + 1)
    assert not consent.is_expired


def test_checks_are_forgotten_after_a_lifetime() -> None:
    consent = checker()
    now, newest = 0.0, b""
    while now < 600.0:
        now = consent.next_timer() or now
        consent.handle_timer(now)
        for data in consent.datagrams_to_send():
            newest = data[8:20]
        # Only every twentieth check is answered.
        if int.from_bytes(newest, "big") % 20 == 0 and consent.is_outstanding(newest):
            consent.receive_answer(newest, now)
    assert not consent.is_expired
    outstanding = [n for n in range(1000) if consent.is_outstanding(n.to_bytes(12, "big"))]
    assert len(outstanding) <= CONSENT_LIFETIME / 0.8 + 1
