"""Numbers that wrap, made into numbers that do not (RFC 3550 A.1)."""


class SequenceUnwrapper:
    """Extends numbers of ``bits`` bits."""

    __slots__ = ("_half", "_last", "_modulus")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = 1 << (bits - 1)
        self._last: int | None = None

    def unwrap(self, number: int) -> int:
        """Return the extended number nearest to the highest one seen."""
        if self._last is None:
            # Room for packets that were overtaken by the first one.
            self._last = self._modulus + number
            return self._last
        delta = (number - self._last) % self._modulus
        if delta >= self._half:
            delta -= self._modulus
        extended = self._last + delta
        self._last = max(self._last, extended)
        return extended
