"""Webhooks as one part that is started and closed."""

import random
from collections.abc import Mapping

from aiohttp.abc import AbstractResolver

from signaling.service import LiveRoom, RoomService
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import RecordingRecord

from .config import WebhookConfig
from .deliverer import Deliverer
from .event_log import EventLog, EventWriter
from .guard import AddressGuard
from .sender import CallbackSender
from .store import WebhookStore
from .takeover import take_over


class Webhooks:
    """
    Keeps the events of all rooms and tells them to status callbacks.

    :param service: Not started yet: what a former run left is taken over first.
    :param resolver: Asks the DNS; the system's own when None.
    """

    def __init__(
        self,
        *,
        config: WebhookConfig,
        service: RoomService,
        store: WebhookStore,
        rng: random.Random,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._service = service
        self._store = store
        guard = AddressGuard(allow=config.allow, allow_loopback=config.allow_loopback)
        self._deliverer = Deliverer(
            config=config,
            store=store,
            sender=CallbackSender(guard, resolver=resolver),
            flush=service.flush,
            clock=service.clock,
            rng=rng,
        )
        self._writer = EventWriter(account_sid=config.account_sid, rng=rng)
        self._log = EventLog(
            writer=self._writer,
            clock=service.clock,
            record=service.record,
            recorded=self._deliverer.notice,
        )

    def notice(self, event: EventRecord) -> None:
        """Deliver an event that others keep: of a composition."""
        self._deliverer.notice(event)

    def recording_failed(self, live: LiveRoom, recording: RecordingRecord) -> None:
        """Tell of a recording that could not begin."""
        self._log.recording_failed(live, recording)

    @property
    def results(self) -> Mapping[str, int]:
        """Return how many attempts were ``delivered``, ``retry`` and ``dead``."""
        return self._deliverer.results

    @property
    def waiting_queues(self) -> int:
        """Return the number of queues with callbacks that wait or are under way."""
        return self._deliverer.waiting_queues

    async def start(self) -> None:
        """
        Tell what a former run left untold, then observe the rooms; before the service starts.

        :raises StorageError: if the store fails.
        """
        at = self._service.clock.utc_now()
        for room_sid, number in (await take_over(self._store, self._writer, at)).items():
            self._log.resume(room_sid, number)
        self._service.observers.append(self._log.observe)
        await self._deliverer.start()

    async def close(self) -> None:
        """Stop at once; what was not delivered stays in the store."""
        await self._deliverer.close()
