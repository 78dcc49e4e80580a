"""What the webhooks need to be told."""

import ipaddress
from dataclasses import dataclass, field
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """The settings of callbacks."""

    account_sid: str
    auth_token: str = field(repr=False)
    """Key of the signatures; with an empty one callbacks go out unsigned."""
    allow: tuple[Network, ...] = ()
    """Networks that may be called though they are not public."""
    allow_loopback: bool = False
    """Whether this machine may be called."""
    concurrency: int = 256
    """Callbacks under way at a time, 1 or more."""
    concurrency_per_receiver: int = 8
    """Callbacks under way at a time to one host and port, 1 or more."""
