"""
What a server that is ICE-lite needs besides answering checks (RFC 8445 section 2.5).

The server's addresses are the same for all its peers, it is always the controlled side, and it
sends no checks; the answers are the data plane's, as
:func:`router.stun.respond_to_binding_request` specifies them.
"""

import random
from collections.abc import Sequence

from ..net import Address
from .candidate import Candidate, host_candidate
from .credentials import IceCredentials, generate_credentials


def lite_candidates(addresses: Sequence[Address]) -> tuple[Candidate, ...]:
    """
    Return the host candidates for the addresses that a server announces.

    :param addresses: IPv4 and IPv6, the preferred first. They need not be addresses of this
        machine: behind a one-to-one NAT they are the public ones.
    """
    return tuple(
        host_candidate(address, local_preference=max(0xFFFF - index, 0))
        for index, address in enumerate(addresses)
    )


class IceLiteEndpoint:
    """
    The lite side of one ICE session, as far as signaling sees it.

    :param addresses: As for :func:`lite_candidates`.
    """

    def __init__(self, *, addresses: Sequence[Address], rng: random.Random) -> None:
        self._rng = rng
        self.candidates = lite_candidates(addresses)
        self.local_credentials = generate_credentials(rng)
        """To be put into the description and given to the data plane."""
        self.previous_credentials: IceCredentials | None = None
        """Those before the last restart: checks with them are answered until the peer has moved."""
        self.remote_credentials: IceCredentials | None = None

    def candidate_lines(self) -> list[str]:
        """Return the values of the ``a=candidate`` attributes, with ``candidate:``."""
        return [candidate.serialize() for candidate in self.candidates]

    def set_remote_credentials(self, credentials: IceCredentials) -> bool:
        """
        Take the credentials of the peer's description; return whether it has restarted ICE.

        A restart changes the username fragment or the password (RFC 8839 section 4.4.1.1.1), and is
        answered with new local credentials.
        """
        is_restart = self.remote_credentials not in (None, credentials)
        self.remote_credentials = credentials
        if is_restart:
            self.restart()
        return is_restart

    def restart(self) -> None:
        """Replace the local credentials."""
        self.previous_credentials = self.local_credentials
        self.local_credentials = generate_credentials(self._rng)
