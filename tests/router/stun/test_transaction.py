"""The retransmission schedule of RFC 8489 section 6.2.1."""

from router.stun import ClientTransaction, Message, MessageClass, TransactionState

REQUEST = Message(message_class=MessageClass.REQUEST, transaction_id=b"t" * 12).serialize()


def run(transaction: ClientTransaction) -> tuple[list[float], float]:
    """Run until it is over; return when it sent and when it ended."""
    now, sent = 0.0, []
    while True:
        for data in transaction.datagrams_to_send():
            assert data == REQUEST
            sent.append(now)
        timer = transaction.next_timer()
        if timer is None:
            return sent, now
        assert timer > now
        now = timer
        transaction.handle_timer(now)


def test_schedule_is_the_one_of_the_rfc() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0)
    assert run(transaction) == ([0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5], 39.5)
    assert transaction.state is TransactionState.TIMED_OUT


def test_schedule_follows_rto_rc_and_rm() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0, rto=0.125, rc=3, rm=4)
    assert run(transaction) == ([0.0, 0.125, 0.375], 0.875)


def test_early_and_repeated_timer_calls_change_nothing() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0)
    transaction.datagrams_to_send()
    for _ in range(3):
        transaction.handle_timer(0.4)
    assert transaction.datagrams_to_send() == []
    for _ in range(3):
        transaction.handle_timer(0.5)
    assert transaction.datagrams_to_send() == [REQUEST]
    assert transaction.next_timer() == 1.5


def test_late_timer_sends_once() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0)
    transaction.datagrams_to_send()
    transaction.handle_timer(4.0)
    assert transaction.datagrams_to_send() == [REQUEST]
    assert transaction.next_timer() == 7.5


def test_answered_transaction_is_over() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0)
    transaction.handle_timer(0.5)
    assert transaction.is_retransmitted
    transaction.set_answered()
    assert transaction.datagrams_to_send() == []
    assert transaction.next_timer() is None
    transaction.handle_timer(100.0)
    assert transaction.state is TransactionState.ANSWERED


def test_cancelled_transaction_still_waits_for_its_answer() -> None:
    transaction = ClientTransaction(REQUEST, now=0.0)
    transaction.datagrams_to_send()
    transaction.cancel()
    sent, ended_at = run(transaction)
    assert sent == []
    assert ended_at == 39.5
    assert transaction.state is TransactionState.TIMED_OUT
