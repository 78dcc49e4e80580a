"""How often something may happen, for each of many keys. No clock: the time comes in."""

from collections import OrderedDict

KEYS_MAX = 65_536


class RateLimiter:
    """
    A bucket of tokens for each key (the generic cell rate algorithm: one number a key).

    The table is bounded. When it is full, the key that was used longest ago makes way, and begins
    afresh should it come back.

    :param rate: Tokens a second, more than 0; 0 sets no limit.
    :param burst: Tokens of a full bucket, 1 or more.
    :param keys_max: Size of the table.
    """

    def __init__(self, *, rate: float, burst: float, keys_max: int = KEYS_MAX) -> None:
        self._interval = 1.0 / rate if rate > 0 else 0.0
        self._depth = (max(1.0, burst) - 1.0) * self._interval
        self._keys_max = keys_max
        # When each key's bucket will be full again, in the order of use.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keys that are remembered."""
        return len(self._full_at)

    def wait(self, key: str, now: float) -> float:
        """Return in how many seconds the key has a token; 0.0 when it has one now."""
        full_at = self._full_at.get(key)
        return 0.0 if full_at is None else max(0.0, full_at - now - self._depth)

    def spend(self, key: str, now: float) -> None:
        """Take a token, whether there is one or not; a bucket owes one burst at most."""
        if not self._interval:
            return
        full_at = max(now, self._full_at.get(key, now)) + self._interval
        # Whoever goes on regardless waits no longer for it than until its bucket is full.
        most = now + 2 * (self._depth + self._interval)
        self._full_at[key] = min(full_at, most)
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys_max:
            self._full_at.popitem(last=False)

    def take(self, key: str, now: float) -> float:
        """Take a token if there is one; return 0.0, or in how many seconds there will be one."""
        wait = self.wait(key, now)
        if wait <= 0.0:
            self.spend(key, now)
        return wait
