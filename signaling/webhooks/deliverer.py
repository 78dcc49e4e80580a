"""Delivers the events that the store holds as pending; the schedule says which queue is next."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from signaling.errors import StorageError
from signaling.service import Clock
from signaling.storage.event_records import CallbackQueue, EventRecord

from .config import WebhookConfig
from .request import make_request
from .retry import Dead, Decision, Delivered, Failure, Outcome, Retry, decide, is_slow
from .schedule import DeliverySchedule
from .sender import CallbackSender
from .store import WebhookStore
from .target import Overrides, TargetInvalid, parse_target, receiver_of

STORE_RETRY = 2.0
"""Seconds until a store that failed is asked again."""
BATCH_SIZE = 20
"""Events that are read at a time and sent one after the other, before other queues have a turn."""

_log = structlog.get_logger(__name__)


class Deliverer:
    """
    One task that decides, and one for each queue under way.

    :param flush: Waits until all events so far are in the store.
    :param rng: Draws the jitter.
    """

    def __init__(
        self,
        *,
        config: WebhookConfig,
        store: WebhookStore,
        sender: CallbackSender,
        flush: Callable[[], Awaitable[None]],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._config = config
        self._store = store
        self._sender = sender
        self._flush = flush
        self._clock = clock
        self._rng = rng
        self._schedule: DeliverySchedule[CallbackQueue] = DeliverySchedule(
            concurrency=config.concurrency, per_receiver=config.concurrency_per_receiver
        )
        # With events that may not be in the store yet; in order.
        self._fresh: dict[CallbackQueue, None] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._run_task: asyncio.Task[None] | None = None
        self.results: Counter[str] = Counter()
        """Attempts by what followed: ``delivered``, ``retry``, ``dead``."""

    @property
    def waiting_queues(self) -> int:
        """Return the number of queues with callbacks that wait or are under way."""
        return len(self._schedule) + len(self._fresh)

    async def start(self) -> None:
        """
        Take up what a former run left, and begin.

        :raises StorageError: if the store fails.
        """
        now, at = self._clock.monotonic(), self._clock.utc_now()
        for pending in await self._store.pending_queues():
            wait = 0.0
            if pending.next_attempt_at is not None:
                wait = max(0.0, (pending.next_attempt_at - at).total_seconds())
            self._schedule.add(pending.queue, receiver_of(pending.queue.url), now + wait)
        self._run_task = asyncio.create_task(self._run(), name="webhooks")

    async def close(self) -> None:
        """Stop at once; what was under way is sent again by the next run."""
        tasks = {*self._tasks, *({self._run_task} if self._run_task is not None else ())}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._sender.close()

    def notice(self, event: EventRecord) -> None:
        """Take note of an event that will be in the store soon."""
        if event.url is not None:
            self._fresh[CallbackQueue(event.room_sid, event.url)] = None
            self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._take_fresh()
                self._begin_due()
            except Exception:
                _log.exception("webhooks failed in part")
                await asyncio.sleep(STORE_RETRY)
            await self._sleep()

    async def _take_fresh(self) -> None:
        if not self._fresh:
            return
        # What comes during the flush waits for the next round.
        fresh, self._fresh = self._fresh, {}
        try:
            await self._flush()
        except StorageError:
            # Nothing is told that a restart would not know of. Retries of others go on meanwhile.
            self._fresh = fresh | self._fresh
            asyncio.get_running_loop().call_later(STORE_RETRY, self._wake.set)
            return
        now = self._clock.monotonic()
        for queue in fresh:
            self._schedule.add(queue, receiver_of(queue.url), now)

    def _begin_due(self) -> None:
        for queue in self._schedule.take(self._clock.monotonic()):
            name = f"callbacks of {queue.room_sid}"
            task = asyncio.create_task(self._deliver(queue), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _sleep(self) -> None:
        at = self._schedule.next_timer()
        delay = None if at is None else max(0.0, at - self._clock.monotonic())
        # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    async def _deliver(self, queue: CallbackQueue) -> None:
        again: float | None = STORE_RETRY
        slow = False
        try:
            again, slow = await self._deliver_batch(queue)
        except StorageError as error:
            _log.warning("callbacks wait for the store", room_sid=queue.room_sid, error=str(error))
        except Exception:
            _log.exception("callbacks of a room failed in part", room_sid=queue.room_sid)
        finally:
            now = self._clock.monotonic()
            again_at = None if again is None else now + again
            self._schedule.finish(queue, again_at=again_at, slow=slow, now=now)
            self._wake.set()

    async def _deliver_batch(self, queue: CallbackQueue) -> tuple[float | None, bool]:
        """Return in how many seconds the queue goes on, if ever, and whether it was held up."""
        events = await self._store.pending_events(queue, size=BATCH_SIZE)
        for event in events:
            outcome, overrides = await self._attempt(event)
            age = (self._clock.utc_now() - event.created_at).total_seconds()
            attempts = event.attempts + 1
            decision = decide(
                outcome, attempts=attempts, age=age, overrides=overrides, rng=self._rng
            )
            await self._settle(replace(event, attempts=attempts), outcome, decision)
            if isinstance(decision, Retry):
                return decision.delay, is_slow(outcome)
            if is_slow(outcome):
                return 0.0, True
        return (0.0 if len(events) == BATCH_SIZE else None), False

    async def _attempt(self, event: EventRecord) -> tuple[Outcome, Overrides]:
        try:
            target = parse_target(event.url or "")
        except TargetInvalid as error:
            return Outcome(failure=Failure.REFUSED, text=str(error)), Overrides()
        request = make_request(
            target,
            method=event.method,
            parameters=event.parameters,
            event_sid=event.sid,
            auth_token=self._config.auth_token,
        )
        return await self._sender.send(request, target.overrides), target.overrides

    async def _settle(self, event: EventRecord, outcome: Outcome, decision: Decision) -> None:
        at = self._clock.utc_now()
        match decision:
            case Delivered():
                self.results["delivered"] += 1
                event = replace(
                    event,
                    delivery="delivered",
                    settled_at=at,
                    next_attempt_at=None,
                    error=None,
                )
            case Retry():
                self.results["retry"] += 1
                next_at = at + timedelta(seconds=decision.delay)
                event = replace(event, next_attempt_at=next_at, error=outcome.text)
            case Dead():
                self.results["dead"] += 1
                event = replace(
                    event,
                    delivery="dead",
                    settled_at=at,
                    next_attempt_at=None,
                    error=outcome.text,
                )
                _log.warning(
                    "a callback was given up",
                    room_sid=event.room_sid,
                    callback_event=event.name,
                    sequence=event.sequence,
                    attempts=event.attempts,
                    reason=outcome.text,
                )
        while True:
            try:
                await self._store.update_delivery(event)
                return
            except StorageError as error:
                # Not sent again while this run lasts, only because the store is away.
                _log.warning("callbacks wait for the store", error=str(error))
                await asyncio.sleep(STORE_RETRY)
