"""What strangers, and a hostile peer, can and cannot do to an agent."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.ice import (
    IceAgent,
    IceCredentials,
    IceState,
    SelectedPairChanged,
    generate_credentials,
    host_candidate,
)
from router.net import Address
from router.stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    ErrorCode,
    Message,
    MessageClass,
    parse_message,
)

from .peers import A4, B4, SERVER4, Network, connect, connect_to_lite, drain_events

ATTACKER = Address("198.51.100.66", 666)
PEER = generate_credentials(random.Random(5))


def check(agent: IceAgent, *, key: str | None = None, transaction_id: bytes = bytes(12)) -> bytes:
    """Return a nominating check, signed with the agent's password or another."""
    credentials = agent.local_credentials
    message = (
        Message(message_class=MessageClass.REQUEST, transaction_id=transaction_id)
        .with_attribute(USERNAME, f"{credentials.username_fragment}:{PEER.username_fragment}")
        .with_attribute(PRIORITY, 0x6E7F00FF)
        .with_attribute(ICE_CONTROLLING, 2**64 - 1)
        .with_attribute(USE_CANDIDATE, True)
    )
    return message.serialize(key=(key or credentials.password).encode())


def test_forged_checks_change_nothing() -> None:
    network = Network()
    agent = network.agent(A4, is_controlling=False)
    agent.set_remote_credentials(PEER, 0.0)
    forged = check(agent, key="not the agent's password at all")
    for data in (forged, forged[:-1], forged[:40], forged + b"\0\0\0\0", b"", b"\0", bytes(20)):
        agent.receive_datagram(data, source=ATTACKER, destination=A4, now=0.0)
    assert agent.datagrams_dropped == 7
    answers = agent.datagrams_to_send()
    # Only the one that is well-formed is answered, by 401, with fewer bytes.
    assert [(local, remote) for _, local, remote in answers] == [(A4, ATTACKER)]
    assert len(answers[0][0]) < len(forged)
    error = parse_message(answers[0][0]).get(ERROR_CODE)
    assert error is not None
    assert error.code == 401
    network.run_for(10.0)
    assert network.link.pushed == 0


def test_every_truncation_and_bit_flip_of_a_check_is_refused() -> None:
    network = Network()
    agent = network.agent(A4, is_controlling=False)
    agent.set_remote_credentials(PEER, 0.0)
    good = check(agent)
    for size in range(len(good)):
        agent.receive_datagram(good[:size], source=ATTACKER, destination=A4, now=0.0)
    # Not FINGERPRINT at the end: without it, or as an optional attribute that nobody knows, the
    # message is as authentic as before.
    for bit in range((len(good) - 8) * 8):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        agent.receive_datagram(bytes(damaged), source=ATTACKER, destination=A4, now=0.0)
    for data, _, _ in agent.datagrams_to_send():
        assert parse_message(data).message_class is MessageClass.ERROR_RESPONSE
    assert agent.next_timer() == pytest.approx(39.5)


def test_forged_responses_do_not_validate_a_pair() -> None:
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    agent.handle_timer(0.0)
    [(request, _, _)] = agent.datagrams_to_send()
    for message_class in (MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE):
        response = (
            Message(message_class=message_class, transaction_id=request[8:20])
            .with_attribute(XOR_MAPPED_ADDRESS, A4)
            .with_attribute(ERROR_CODE, ErrorCode(487))
        )
        for key in (None, b"a guess of the server's password"):
            agent.receive_datagram(
                response.serialize(key=key), source=SERVER4, destination=A4, now=0.01
            )
    assert agent.datagrams_dropped == 4
    assert agent.is_controlling
    # The true answer to the retransmission still counts.
    network.run_until_connected(agent, within=1.0)


def test_authentic_error_fails_the_pair() -> None:
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    agent.handle_timer(0.0)
    [(request, _, _)] = agent.datagrams_to_send()
    response = Message(
        message_class=MessageClass.ERROR_RESPONSE, transaction_id=request[8:20]
    ).with_attribute(ERROR_CODE, ErrorCode(500))
    key = server.endpoint.local_credentials.password.encode()
    agent.receive_datagram(response.serialize(key=key), source=SERVER4, destination=A4, now=0.01)
    assert agent.state is IceState.FAILED


def test_authentic_response_from_another_address_fails_the_pair() -> None:
    # RFC 8445 section 7.2.5.2.1: addresses must be symmetric.
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    agent.handle_timer(0.0)
    [(request, local, _)] = agent.datagrams_to_send()
    server.receive_datagram(request, source=local, destination=SERVER4, now=0.0)
    [(response, _, _)] = server.datagrams_to_send()
    agent.receive_datagram(response, source=ATTACKER, destination=A4, now=0.01)
    network.run_for(1.0)
    assert agent.selected_path is None
    assert agent.state is IceState.FAILED


def test_consent_is_not_kept_by_forged_answers() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    network.detach(B4)
    now, lost_at = network.now, network.now
    while a.state is not IceState.FAILED:
        for data, local, remote in a.datagrams_to_send():
            forged = Message(
                message_class=MessageClass.SUCCESS_RESPONSE, transaction_id=data[8:20]
            ).with_attribute(XOR_MAPPED_ADDRESS, A4)
            a.receive_datagram(forged.serialize(), source=remote, destination=local, now=now)
        timer = a.next_timer()
        assert timer is not None
        now = timer
        a.handle_timer(now)
    assert now - lost_at <= 30.0


def test_datagram_to_an_unknown_local_address_is_dropped() -> None:
    network = Network()
    agent = network.agent(A4, is_controlling=False)
    agent.set_remote_credentials(PEER, 0.0)
    agent.receive_datagram(check(agent), source=B4, destination=SERVER4, now=0.0)
    assert agent.datagrams_dropped == 1
    assert agent.datagrams_to_send() == []


def test_a_peer_that_checks_from_everywhere_fills_nothing() -> None:
    network = Network()
    agent = network.agent(A4, is_controlling=False)
    for phase in range(2):
        for index in range(500):
            source = Address(f"198.51.{phase}.{index % 250}", 1024 + index)
            data = check(agent, transaction_id=index.to_bytes(12, "big"))
            agent.receive_datagram(data, source=source, destination=A4, now=0.0)
        if phase == 0:
            assert len(agent._generation.early_checks) == 32
            agent.set_remote_credentials(PEER, 0.0)
    assert len(agent._generation.checklist) == 100
    agent.datagrams_to_send()
    network.run_for(10.0)
    # Pacing bounds what such a peer makes the agent send to others.
    assert network.link.pushed <= 10 / 0.05 * 3


def test_lite_server_that_claims_a_role_conflict_makes_no_loop() -> None:
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    password = server.endpoint.local_credentials.password.encode()
    agent.handle_timer(0.0)
    [(request, _, _)] = agent.datagrams_to_send()
    response = Message(
        message_class=MessageClass.ERROR_RESPONSE, transaction_id=request[8:20]
    ).with_attribute(ERROR_CODE, ErrorCode(487))
    agent.receive_datagram(
        response.serialize(key=password), source=SERVER4, destination=A4, now=0.01
    )
    assert agent.is_controlling
    assert agent.state is IceState.FAILED


ADDRESSES = [A4, B4, SERVER4, ATTACKER]
steps = st.one_of(
    st.tuples(st.just("time"), st.floats(0.0, 40.0)),
    st.tuples(
        st.just("request"),
        st.sampled_from(ADDRESSES),
        st.booleans(),  # USE-CANDIDATE
        st.sampled_from([None, ICE_CONTROLLING, ICE_CONTROLLED]),
        st.sampled_from([0, 2**64 - 1]),
    ),
    st.tuples(
        st.just("response"),
        st.integers(0, 5),  # which of the requests seen last
        st.sampled_from([None, None, None, 400, 487, 500]),
        st.booleans(),  # from where it was sent to
    ),
    st.tuples(st.just("candidate"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("restart"), st.booleans()),
)


@settings(max_examples=150)
@given(st.booleans(), st.booleans(), st.lists(steps, min_size=5, max_size=40))
def test_an_authentic_peer_cannot_break_the_agent(
    is_controlling: bool, is_lite: bool, script: list[tuple[object, ...]]
) -> None:
    """Whatever a peer that knows the credentials does, in any order: no exception, no spinning."""
    rng = random.Random(1)
    agent = IceAgent(is_controlling=is_controlling, rng=rng)
    agent.add_local_address(A4, 0.0)
    remote: IceCredentials = PEER
    agent.set_remote_credentials(remote, 0.0, is_lite=is_lite)
    now = 0.0
    requests: list[tuple[bytes, Address, IceCredentials]] = []
    for step in script:
        match step:
            case ("time", float(seconds)):
                until = now + seconds
                for _ in range(20_000):
                    timer = agent.next_timer()
                    if timer is None or timer > until:
                        break
                    now = max(now, timer)
                    agent.handle_timer(now)
                else:
                    pytest.fail("the agent spins")
                now = until
            case ("request", Address() as source, bool(nominates), role, int(tie_breaker)):
                local = agent.local_credentials
                message = Message(
                    message_class=MessageClass.REQUEST, transaction_id=rng.randbytes(12)
                ).with_attribute(USERNAME, f"{local.username_fragment}:{remote.username_fragment}")
                if nominates:
                    message = message.with_attribute(USE_CANDIDATE, True)
                if role is not None:
                    message = message.with_attribute(role, tie_breaker)  # type: ignore[arg-type]
                agent.receive_datagram(
                    message.serialize(key=local.password.encode()),
                    source=source,
                    destination=A4,
                    now=now,
                )
            case ("response", int(index), error_code, bool(is_symmetric)) if requests:
                data, to, credentials = requests[-1 - index % len(requests)]
                is_error = isinstance(error_code, int)
                message = Message(
                    message_class=MessageClass.ERROR_RESPONSE
                    if is_error
                    else MessageClass.SUCCESS_RESPONSE,
                    transaction_id=data[8:20],
                )
                if isinstance(error_code, int):
                    message = message.with_attribute(ERROR_CODE, ErrorCode(error_code))
                else:
                    message = message.with_attribute(XOR_MAPPED_ADDRESS, A4)
                agent.receive_datagram(
                    message.serialize(key=credentials.password.encode()),
                    source=to if is_symmetric else ATTACKER,
                    destination=A4,
                    now=now,
                )
            case ("candidate", Address() as address):
                agent.add_remote_candidate(host_candidate(address), now)
            case ("restart", bool(is_answered)):
                agent.restart(now)
                if is_answered:
                    remote = generate_credentials(rng)
                    agent.set_remote_credentials(remote, now, is_lite=is_lite)
        for data, _, to in agent.datagrams_to_send():
            if parse_message(data).message_class is MessageClass.REQUEST:
                requests = [*requests[-5:], (data, to, remote)]
        path = agent.selected_path
        for event in drain_events(agent):
            if isinstance(event, SelectedPairChanged):
                selected = (event.local, event.remote)
        if path is not None:
            assert path == selected
        assert (agent.state is IceState.CONNECTED) <= (path is not None)
        assert len(agent._generation.checklist) <= 100
