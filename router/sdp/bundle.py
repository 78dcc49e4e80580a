"""Which sections of a description share the one transport, and what that transport is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import NegotiationError

from .attributes import Fingerprint, Setup, TransportAttributes
from .negotiated import RemoteTransport, TransportChange

if TYPE_CHECKING:
    from .description import MediaDescription, SessionDescription

MAX_MID_LENGTH = 16
"""Longest mid, in characters: what a one-byte header extension carries (RFC 8285 section 4.2)."""

HASH_LENGTHS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""
Hash functions of fingerprints that are accepted, with the bytes of their hashes; RFC 8122 section 5
makes the rest obsolete.
"""


def bundled_mids(description: SessionDescription) -> tuple[str, ...]:
    """
    Return the mids of the sections that share the first transport, the tagged one first.

    Without a BUNDLE group only the first section that is in use counts: this server has one
    transport for a peer.

    :raises NegotiationError: if a mid occurs twice.
    """
    live = {media.mid for media in description.media if media.mid and not media.is_rejected}
    mids = [media.mid for media in description.media if media.mid]
    if len(set(mids)) != len(mids):
        raise NegotiationError("two m-sections have the same mid")
    if bundle := tuple(dict.fromkeys(mid for mid in description.bundle if mid in live)):
        return bundle
    first = next((media for media in description.media if not media.is_rejected), None)
    if first is None:
        return ()
    if not first.mid:
        raise NegotiationError("the first m-section in use has no a=mid and is in no BUNDLE group")
    return (first.mid,)


def read_remote_transport(
    description: SessionDescription, bundle: tuple[str, ...]
) -> tuple[TransportAttributes, tuple[str, ...]]:
    """
    Return the ICE and DTLS attributes of the bundle and the candidates that it prints.

    :param bundle: From :func:`bundled_mids`, not empty.
    :raises NegotiationError: if what a connection needs is missing.
    """
    if description.ice_lite:
        raise NegotiationError("both sides are ICE-lite: neither would check a candidate")
    by_mid = {media.mid: media for media in description.media if not media.is_rejected}
    sections = [by_mid[mid] for mid in bundle]
    transport = _first_transport(description, sections)
    if not transport.ice_ufrag or not transport.ice_pwd:
        raise NegotiationError("the bundle has no a=ice-ufrag and a=ice-pwd")
    if not transport.fingerprints:
        raise NegotiationError("the bundle has no a=fingerprint: DTLS is required")
    if not any(map(_can_be_checked, transport.fingerprints)):
        raise NegotiationError("no a=fingerprint uses SHA-256, SHA-384 or SHA-512")
    if transport.setup is Setup.HOLDCONN:
        raise NegotiationError("a=setup:holdconn is not supported")
    candidates = next((media.candidates for media in sections if media.candidates), ())
    return transport, candidates


def _can_be_checked(fingerprint: Fingerprint) -> bool:
    length = HASH_LENGTHS.get(fingerprint.algorithm)
    return length is not None and len(fingerprint.value) == 3 * length - 1


def _first_transport(
    description: SessionDescription, sections: list[MediaDescription]
) -> TransportAttributes:
    # The tagged section has them (RFC 9143 section 7.2); some peers print them elsewhere as well.
    found = [media.transport.over(description.transport) for media in sections]
    complete = (item for item in found if item.ice_ufrag and item.fingerprints)
    return next(complete, found[0])


def resolve_transport(
    transport: TransportAttributes,
    candidates: tuple[str, ...],
    *,
    previous: RemoteTransport | None,
    is_offer: bool,
    dtls_client: bool,
) -> RemoteTransport:
    """
    Settle the DTLS roles (RFC 8842 section 5).

    :param previous: The transport known before; an association that goes on keeps its roles.
    :param dtls_client: Whether we can be the DTLS client.
    :raises NegotiationError: if the peer insists on a role that leaves us none.
    """
    fingerprints = tuple(str(fingerprint) for fingerprint in transport.fingerprints)
    if previous is not None and previous.fingerprints == fingerprints:
        setup = previous.setup
    elif transport.setup is Setup.PASSIVE:
        if not dtls_client:
            raise NegotiationError("a=setup:passive: this server is always the DTLS server")
        setup = Setup.PASSIVE.value
    elif not is_offer and transport.setup is Setup.ACTPASS:
        raise NegotiationError("an answer must not say a=setup:actpass")
    else:
        setup = Setup.ACTIVE.value
    return RemoteTransport(
        ufrag=transport.ice_ufrag,
        pwd=transport.ice_pwd,
        fingerprints=fingerprints,
        setup=setup,
        ice_options=transport.ice_options,
        candidates=candidates,
    )


def compare_transports(
    previous: RemoteTransport | None, current: RemoteTransport
) -> TransportChange:
    """Return what changed; nothing did when there was no transport before."""
    if previous is None:
        return TransportChange()
    return TransportChange(
        ice_restart=(previous.ufrag, previous.pwd) != (current.ufrag, current.pwd),
        fingerprint_changed=previous.fingerprints != current.fingerprints,
    )
