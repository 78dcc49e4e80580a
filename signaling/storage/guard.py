"""Bounds every call to a store in time, and keeps callers away from one that is down."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from time import monotonic
from typing import Any, Protocol, TypeVar

import structlog

from signaling.errors import OutcomeUnknown, StoreUnavailable

PROBE_INTERVAL = 0.5
"""Seconds between two looks at a store that is down."""
PATIENCE = 3
"""How many times the timeout a call may wait behind others, while the store answers those."""

T = TypeVar("T")
ClassT = TypeVar("ClassT", bound=type)

_log = structlog.get_logger(__name__)


class StoreGuard:
    """
    Stands before a store. A call that fails because of the store itself, or takes too long, shows
    that it is down; from then on calls fail at once, until a probe finds it well again.

    Calls queue for few connections, so a long queue alone is no sign: what counts is how long the
    store has answered nobody.

    :param timeout: Seconds without an answer to any call, after which the store counts as down;
        a single call may take :data:`PATIENCE` times as long.
    :param probe: Asks the store something, on a connection that can write.
    :param abandon: Ends the calls that are under way, as far as that is possible.
    """

    def __init__(
        self,
        *,
        timeout: float,
        probe: Callable[[], Awaitable[None]],
        abandon: Callable[[], None],
    ) -> None:
        self._timeout = timeout
        self._probe = probe
        self._abandon = abandon
        self._reason: str | None = None
        self._prober: asyncio.Task[None] | None = None
        self._answered_at = -math.inf
        # What nobody waits for any more still has to end.
        self._calls: set[asyncio.Task[Any]] = set()

    @property
    def is_up(self) -> bool:
        """Return whether calls go through."""
        return self._reason is None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do some work within the time; a caller who gives up earlier does not stop it.

        :raises StoreUnavailable: if the store is down: nothing was done.
        :raises OutcomeUnknown: if it fails, or does not answer in time.
        """
        if self._reason is not None:
            work.close()
            raise StoreUnavailable(self._reason)
        call = self._begin(work)
        if not await self._ends(call):
            self._goes_down(f"no answer within {self._timeout:g} s")
            # If it still waits for its turn, it must not come after those that are newer.
            call.cancel()
            raise OutcomeUnknown(f"the database did not answer within {self._timeout:g} s")
        try:
            result = call.result()
            self._answered_at = monotonic()
            return result
        except OutcomeUnknown as error:
            self._goes_down(str(error))
            raise
        except asyncio.CancelledError:
            raise OutcomeUnknown("the database was given up") from None

    async def close(self) -> None:
        """Stop probing, and wait a moment for calls that are under way."""
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.wait({self._prober})
        if self._calls:
            _, late = await asyncio.wait(set(self._calls), timeout=min(1.0, self._timeout))
            if late:
                self._abandon()

    async def _ends(self, call: asyncio.Task[Any]) -> bool:
        """Wait for a call as long as there is hope; return whether it has ended."""
        began_at = monotonic()
        while not call.done():
            hope_until = min(
                max(began_at, self._answered_at) + self._timeout,
                began_at + PATIENCE * self._timeout,
            )
            if (remaining := hope_until - monotonic()) <= 0:
                return False
            await asyncio.wait({call}, timeout=remaining)
        return True

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        call = asyncio.create_task(work)
        self._calls.add(call)
        call.add_done_callback(self._ended)
        return call

    def _ended(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            # Looked at, in case that nobody waits for it any more.
            call.exception()

    def _goes_down(self, reason: str) -> None:
        if self._reason is not None:
            return
        self._reason = f"the store is down: {reason}"
        _log.error("the store is down", reason=reason)
        self._abandon()
        self._prober = asyncio.create_task(self._probe_until_up(), name="store prober")

    async def _probe_until_up(self) -> None:
        logged = ""
        while True:
            await asyncio.sleep(PROBE_INTERVAL)
            call = self._begin(_as_coroutine(self._probe()))
            done, _ = await asyncio.wait({call}, timeout=self._timeout)
            if not done:
                self._abandon()
                call.cancel()
                continue
            if call.cancelled():
                continue
            error = call.exception()
            if error is None:
                break
            if str(error) != logged:
                # It may be more than away: another server may have taken it over.
                logged = str(error)
                _log.warning("the store is still down", reason=logged)
        self._reason = self._prober = None
        _log.info("the store is up again")


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


class Guarded(Protocol):
    """A store with a guard."""

    _guard: StoreGuard


def guarded(cls: ClassT) -> ClassT:
    """Let every public coroutine method of a class go through the guard of its instance."""
    for name, method in inspect.getmembers(cls, inspect.iscoroutinefunction):
        if not name.startswith("_") and name not in ("open", "close"):
            setattr(cls, name, _through_guard(method))
    return cls


def _through_guard(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Any]:
    @wraps(method)
    async def call(self: Guarded, *arguments: Any, **named: Any) -> T:
        return await self._guard.run(method(self, *arguments, **named))

    return call
