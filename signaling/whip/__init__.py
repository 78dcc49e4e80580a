"""
WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep).

Deviations: a trickle PATCH without ``If-Match`` is accepted, since candidates of the client change
nothing for an ICE-lite server; RFC 9725 section 4.3.1 lets a server answer it with 428.
"""

from .endpoint import WhipEndpoint

__all__ = ["WhipEndpoint"]
