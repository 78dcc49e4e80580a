"""What a handler is given."""

from dataclasses import dataclass

from signaling.rest.message import Request
from signaling.rest.parameters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request to a known resource."""

    request: Request
    base_url: str
    """What every link begins with."""
    names: tuple[str, ...]
    """The decoded path segments that stand where the route has a placeholder."""
    resource: str
    """The path for messages, decoded and without the version."""
    given: Parameters
    """The query's parameters of a GET, the body's of a POST."""
    body: bytes
    """The body of a POST to a resource that takes no form; empty otherwise."""

    def filters(self, *names: str) -> dict[str, str | tuple[str, ...] | None]:
        """Return some filters of a list as they were given, for the links of its pages."""
        return {name: self.given.raw(name) for name in names}
