"""The offer/answer state machine of one bundled peer connection of a forwarding server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from .codecs import PayloadType
    from .config import LocalTransport, NegotiationConfig
    from .negotiated import (
        AnswerOutcome,
        Feedback,
        InboundMedia,
        OfferOutcome,
        RemoteTransport,
        SctpParameters,
        Slot,
    )


class Negotiator:
    """Negotiates one peer connection; see the package for the rules that it keeps."""

    remote_transport: RemoteTransport | None
    inbound: tuple[InboundMedia, ...]
    slots: tuple[Slot, ...]
    payload_types: Mapping[int, PayloadType]
    extensions: Mapping[int, str]
    feedback: Mapping[int, Feedback]
    sctp: SctpParameters | None

    def __init__(self, *, config: NegotiationConfig, rng: random.Random) -> None: ...

    def set_local_transport(self, transport: LocalTransport) -> None: ...

    def receive_offer(self, sdp: str) -> OfferOutcome:
        raise NotImplementedError

    def create_answer(self) -> str:
        raise NotImplementedError

    def create_offer(self) -> str:
        raise NotImplementedError

    def receive_answer(self, sdp: str) -> AnswerOutcome:
        raise NotImplementedError

    def rollback(self) -> None:
        raise NotImplementedError

    def set_wanted(self, *, audio_slots: int, video_slots: int, data_channel: bool) -> None:
        raise NotImplementedError

    @property
    def needs_offer(self) -> bool:
        raise NotImplementedError
