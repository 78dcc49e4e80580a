"""The virtual link that other tests rely on."""

import pytest

from tests.support.virtual_network import Link, run_virtual


class Ticker:
    """Sends its count every 10 ms, ``total`` times, and notes what comes in."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.count = 0
        self.received: list[tuple[float, int]] = []
        self._due_at = 0.0
        self._datagrams: list[bytes] = []

    def receive_datagram(self, data: bytes, now: float) -> None:
        self.received.append((now, int.from_bytes(data, "big")))

    def handle_timer(self, now: float) -> None:
        if self.count < self.total and now >= self._due_at:
            self._datagrams.append(self.count.to_bytes(2, "big"))
            self.count += 1
            self._due_at += 0.01

    def next_timer(self) -> float | None:
        return self._due_at if self.count < self.total else None

    def datagrams_to_send(self) -> list[bytes]:
        datagrams, self._datagrams = self._datagrams, []
        return datagrams


def numbers(ticker: Ticker) -> list[int]:
    return [number for _, number in ticker.received]


def test_perfect_link_delivers_all_in_order_after_its_delay() -> None:
    a, b = Ticker(100), Ticker(0)
    ended_at = run_virtual(a, b, Link(seed=1, delay=0.02), until=10.0)
    assert numbers(b) == list(range(100))
    assert [now for now, _ in b.received] == pytest.approx([0.02 + 0.01 * n for n in range(100)])
    assert ended_at == pytest.approx(1.01)


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_lossy_link_loses_about_its_share(loss: float) -> None:
    a, b, link = Ticker(2000), Ticker(0), Link(seed=1, loss=loss)
    run_virtual(a, b, link, until=100.0)
    assert link.dropped / link.pushed == pytest.approx(loss, abs=0.03)
    assert link.delivered == link.pushed - link.dropped == len(b.received)


def test_jitter_alone_keeps_the_order() -> None:
    a, b = Ticker(500), Ticker(0)
    run_virtual(a, b, Link(seed=1, jitter=0.1), until=100.0)
    assert numbers(b) == list(range(500))


def test_reordering_and_duplication_happen_when_asked_for() -> None:
    a, b, link = Ticker(500), Ticker(0), Link(seed=1, reorder=0.02, duplicate=0.05)
    run_virtual(a, b, link, until=100.0)
    assert numbers(b) != sorted(numbers(b))
    assert set(numbers(b)) == set(range(500))
    assert 505 < len(b.received) < 550


def test_datagrams_over_the_mtu_are_lost() -> None:
    link = Link(seed=1, mtu=1)
    run_virtual(Ticker(10), Ticker(0), link, until=1.0)
    assert link.dropped == link.pushed == 10


def test_same_seed_gives_the_same_run_and_another_does_not() -> None:
    def run(seed: int) -> list[tuple[float, int]]:
        a, b = Ticker(200), Ticker(0)
        run_virtual(a, b, Link(seed=seed, loss=0.1, jitter=0.02, reorder=0.1), until=100.0)
        return b.received

    assert run(1) == run(1) != run(2)


def test_run_stops_when_told_and_carries_on() -> None:
    a, b, link = Ticker(100), Ticker(0), Link(seed=1)
    now = run_virtual(a, b, link, until=10.0, stop=lambda: len(b.received) == 5)
    assert len(b.received) == 5
    assert run_virtual(a, b, link, until=0.5, now=now) <= 0.5
    run_virtual(a, b, link, until=10.0, now=0.5)
    assert numbers(b) == list(range(100))


def test_spinning_core_is_reported() -> None:
    class Spinner(Ticker):
        def next_timer(self) -> float | None:
            return 1.0

    with pytest.raises(AssertionError, match="stays due"):
        run_virtual(Spinner(0), Ticker(0), Link(seed=1), until=10.0)
