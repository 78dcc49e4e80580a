"""
ICE credentials in descriptions and trickle fragments (RFC 8840), for the PATCH of WHIP and WHEP.

A restart comes as a fragment with new credentials. It is carried out as the client's first offer
with those credentials in it, and answered with ours and our candidates.
"""

from dataclasses import dataclass, replace

from router.sdp.attributes import TransportAttributes
from router.sdp.description import (
    MediaDescription,
    SessionDescription,
    parse_fragment,
    parse_session_description,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceCredentials:
    """What identifies one ICE session of an agent."""

    username_fragment: str
    password: str


def parse_credentials(fragment: str) -> IceCredentials | None:
    """
    Return the credentials that a fragment names, or None when it names none.

    :raises WireFormatError: if it is no fragment.
    """
    return _credentials_of(parse_fragment(fragment))


def offered_credentials(sdp: str) -> IceCredentials | None:
    """
    Return the credentials in an offer.

    :raises WireFormatError: if it is no description.
    """
    return _credentials_of(parse_session_description(sdp))


def with_credentials(sdp: str, credentials: IceCredentials) -> str:
    """
    Return an offer with other ICE credentials and without candidates.

    :raises WireFormatError: if it is no description.
    """
    description = parse_session_description(sdp)
    new = TransportAttributes(ice_ufrag=credentials.username_fragment, ice_pwd=credentials.password)
    return replace(
        description,
        transport=new.over(description.transport),
        media=tuple(
            replace(
                media,
                transport=new.over(media.transport),
                candidates=(),
                end_of_candidates=False,
            )
            for media in description.media
        ),
    ).serialize()


def answer_fragment(answer: str) -> str:
    """
    Return the credentials and candidates of an answer as a fragment.

    :raises WireFormatError: if it is no description.
    """
    description = parse_session_description(answer)
    tagged = next(
        (media for media in description.media if media.mid in description.bundle[:1]), None
    )
    if tagged is None:
        tagged = description.media[0]
    transport = tagged.transport.over(description.transport)
    return SessionDescription(
        groups=description.groups,
        ice_lite=description.ice_lite,
        transport=TransportAttributes(ice_ufrag=transport.ice_ufrag, ice_pwd=transport.ice_pwd),
        media=(
            MediaDescription(
                kind=tagged.kind,
                port=tagged.port,
                protocol=tagged.protocol,
                formats=tagged.formats[:1],
                mid=tagged.mid,
                candidates=tagged.candidates,
                end_of_candidates=tagged.end_of_candidates,
            ),
        ),
    ).serialize_fragment()


def _credentials_of(description: SessionDescription) -> IceCredentials | None:
    found = [media.transport.over(description.transport) for media in description.media]
    found.append(description.transport)
    for transport in found:
        if transport.ice_ufrag and transport.ice_pwd:
            return IceCredentials(username_fragment=transport.ice_ufrag, password=transport.ice_pwd)
    return None
