"""What the sections of a description of the peer mean for ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import NegotiationError

from .bundle import MAX_MID_LENGTH
from .config import RTP_STREAM_ID_EXTENSION
from .inbound import read_inbound
from .matching import Accepted, BundleTables, Proposed
from .negotiated import SctpParameters
from .section import (
    DATA_CHANNEL_FORMAT,
    RTP_PROTOCOLS,
    SCTP_PROTOCOLS,
    Section,
    stopped_section,
)

if TYPE_CHECKING:
    from .config import NegotiationConfig
    from .description import MediaDescription, SessionDescription

_DEFAULT_SCTP_PORT = 5000
_DEFAULT_MAX_MESSAGE_SIZE = 65536
"""RFC 8841 section 6: 64K when the attribute is absent."""


class SectionReader:
    """Reads the sections of one description of the peer, in order."""

    def __init__(
        self,
        config: NegotiationConfig,
        tables: BundleTables,
        description: SessionDescription,
        bundle: tuple[str, ...],
    ) -> None:
        self._config = config
        self._tables = tables
        self._bundle = frozenset(bundle)
        self._has_rtcp_mux = any(media.rtcp_mux for media in description.media)
        self._has_data = False
        self._claimed: set[int] = set()
        self._description = description
        self._accepted: dict[tuple[object, ...], tuple[tuple[int, int], Accepted]] = {}

    def read_offered(self, media: MediaDescription, previous: Section | None) -> Section:
        """
        Return our side of an offered section.

        :param previous: What was agreed at this place before, or None for a new section.
        :raises NegotiationError: if a section in use changes its mid or kind.
        """
        if previous is not None and not previous.stopped and not media.is_rejected:
            if media.mid != previous.mid:
                raise NegotiationError("a section in use changes its mid")
            if media.kind != previous.kind:
                raise NegotiationError("a section in use changes its media type")
        if not self._is_usable(media):
            return _stopped(media)
        if media.kind == "application":
            return self._read_data(media)
        accepted = self._accept(media, None, None)
        if not accepted.payload_types:
            return _stopped(media)
        if previous is not None and previous.stopped:
            previous = None
        return self._build(
            media,
            accepted,
            sends=previous is not None and previous.sends and media.direction.receives,
            receives=media.direction.sends,
            remote_receives=media.direction.receives,
            previous=previous,
        )

    def read_answered(
        self, media: MediaDescription, offered: Section, offered_tables: BundleTables
    ) -> Section:
        """
        Return what the answer makes of a section that we offered.

        :raises NegotiationError: if the section is another one than the one offered.
        """
        # A rejected section needs no mid.
        same_mid = media.mid == offered.mid or (media.is_rejected and not media.mid)
        if media.kind != offered.kind or not same_mid:
            raise NegotiationError("an answer lists other sections than its offer")
        if offered.stopped or not self._is_usable(media):
            return stopped_section(offered.kind, offered.protocol, offered.formats, offered.mid)
        if media.kind == "application":
            return self._read_data(media)
        accepted = self._accept(media, offered, offered_tables)
        if not accepted.payload_types:
            return stopped_section(offered.kind, offered.protocol, offered.formats, offered.mid)
        return self._build(
            media,
            accepted,
            sends=offered.sends and media.direction.receives,
            receives=offered.receives and media.direction.sends,
            # An answer cannot say more than our offer let it; what was said before stays true.
            remote_receives=offered.remote_receives or media.direction.receives,
            previous=offered,
        )

    def _accept(
        self, media: MediaDescription, offered: Section | None, offered_tables: BundleTables | None
    ) -> Accepted:
        """
        Choose from what the peer printed; once for all sections that print the same.

        Numbers are only ever added to the tables, so as long as there are as many, another call
        with the same lines finds the same. The description keeps the lines from being replaced.
        """
        key = (
            media.kind,
            id(media.payload_formats),
            id(media.extmaps),
            None if offered is None else id(offered.payload_types),
            None if offered is None else id(offered.extmaps),
        )
        tables = self._tables
        size = (len(tables.payload_types), len(tables.extensions))
        known = self._accepted.get(key)
        if known is not None and known[0] == size:
            return known[1]
        proposed = None
        if offered is not None and offered_tables is not None:
            proposed = Proposed(
                payload_types={
                    number: offered_tables.payload_types[number] for number in offered.payload_types
                },
                extensions={extmap.id: extmap.uri for extmap in offered.extmaps},
            )
        accepted = tables.accept(media, proposed=proposed)
        if size == (len(tables.payload_types), len(tables.extensions)):
            self._accepted[key] = (size, accepted)
        return accepted

    def _is_usable(self, media: MediaDescription) -> bool:
        if media.is_rejected or media.mid not in self._bundle or len(media.mid) > MAX_MID_LENGTH:
            return False
        if media.kind == "application":
            return (
                not self._has_data
                and media.protocol in SCTP_PROTOCOLS
                and DATA_CHANNEL_FORMAT in media.formats
            )
        return (
            media.kind in ("audio", "video")
            and media.protocol in RTP_PROTOCOLS
            # Without multiplexing RTCP would need a second transport. RFC 9143 section 9.3 makes
            # it one choice for the bundle, so one section that says it speaks for all.
            and (media.rtcp_mux or self._has_rtcp_mux)
        )

    def _read_data(self, media: MediaDescription) -> Section:
        self._has_data = True
        size = media.max_message_size
        port = media.sctp_port
        return Section(
            kind=media.kind,
            protocol=media.protocol,
            formats=(DATA_CHANNEL_FORMAT,),
            mid=media.mid,
            sctp=SctpParameters(
                mid=media.mid,
                remote_port=_DEFAULT_SCTP_PORT if port is None else port,
                max_message_size=_DEFAULT_MAX_MESSAGE_SIZE if size is None else size,
            ),
        )

    def _build(
        self,
        media: MediaDescription,
        accepted: Accepted,
        *,
        sends: bool,
        receives: bool,
        remote_receives: bool,
        previous: Section | None,
    ) -> Section:
        uris = {extmap.uri for extmap in accepted.extmaps}
        table = self._tables.payload_types
        inbound = None
        if receives:
            inbound = read_inbound(
                media,
                payload_types=accepted.payload_types,
                rtx=any(table[number].apt is not None for number in accepted.payload_types),
                rid=RTP_STREAM_ID_EXTENSION in uris,
                max_streams=self._config.max_streams,
                claimed=self._claimed,
            )
        return Section(
            kind=media.kind,
            protocol=media.protocol,
            formats=media.formats,
            mid=media.mid,
            sends=sends,
            receives=receives,
            remote_receives=remote_receives,
            payload_types=accepted.payload_types,
            feedback=accepted.feedback,
            payload_formats=accepted.payload_formats,
            extmaps=accepted.extmaps,
            rtcp_rsize=media.rtcp_rsize,
            outbound=None if previous is None else previous.outbound,
            inbound=inbound,
        )


def _stopped(media: MediaDescription) -> Section:
    return stopped_section(media.kind, media.protocol, media.formats, media.mid)
