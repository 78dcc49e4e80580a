"""What of an offered or answered section this server accepts, under the numbers of the bundle."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .attributes import Direction, ExtMap, PayloadFormat
from .codecs import (
    RTCP_CONFLICTS,
    Codec,
    PayloadType,
    answered_parameters,
    codec_of,
    free_payload_type,
    parse_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .config import NegotiationConfig
    from .description import MediaDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The formats and extensions of one section that both sides take."""

    payload_types: tuple[int, ...] = ()
    """Preferred first, each followed by its RTX; empty when nothing fits."""
    feedback: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """rtcp-fb values by payload type."""
    payload_formats: tuple[PayloadFormat, ...] = ()
    """The payload types as we print them."""
    extmaps: tuple[ExtMap, ...] = ()
    """Header extensions as we print them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What one section of our own offer named; its answer can only choose from it."""

    payload_types: Mapping[int, PayloadType]
    """By number."""
    extensions: Mapping[int, str]
    """URIs by id."""


@dataclass(slots=True)
class Profile:
    """What is known of a peer for one kind; sections that we add are made of it."""

    payload_types: list[int] = field(default_factory=list)
    """Media payload types (no RTX), first seen first."""
    feedback: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """rtcp-fb values by payload type, as first negotiated."""
    extensions: list[int] = field(default_factory=list)
    """Extension ids."""

    def copy(self) -> Profile:
        """Return a copy that can be changed alone."""
        return Profile(list(self.payload_types), dict(self.feedback), list(self.extensions))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Numbers:
    """What the numbers of a bundle mean. Bundles share it, and so change a copy."""

    payload_types: dict[int, PayloadType]
    extensions: dict[int, str]
    profiles: dict[str, Profile]

    def copy(self) -> _Numbers:
        return _Numbers(
            payload_types=dict(self.payload_types),
            extensions=dict(self.extensions),
            profiles={kind: profile.copy() for kind, profile in self.profiles.items()},
        )

    @property
    def size(self) -> tuple[int, ...]:
        """Grows with each change: nothing is ever taken out or replaced."""
        profiles = self.profiles.values()
        return (
            len(self.payload_types),
            len(self.extensions),
            *(len(profile.payload_types) for profile in profiles),
            *(len(profile.extensions) for profile in profiles),
        )


_NO_NUMBERS = _Numbers(
    payload_types={}, extensions={}, profiles={"audio": Profile(), "video": Profile()}
)

_KEPT = 128
"""Sections of offers of which is kept what was accepted."""

_KEPT_LENGTH = 8192
"""Most characters in what such a section says; browsers print half as many."""

_kept: OrderedDict[tuple[object, ...], tuple[tuple[object, ...], Accepted, _Numbers]] = (
    OrderedDict()
)
"""
What was accepted, and the numbers after it, by the identities of all that it follows from.

The offers of one release of a client begin alike, in lines that the parser keeps. An entry holds
what its identities are of.
"""


class BundleTables:
    """
    The payload type and extension numbers of one bundle.

    A number keeps its meaning for the life of the session: renumbering makes browsers fail. All
    sections share the table, as RFC 9143 section 9.1 demands.
    """

    def __init__(self, config: NegotiationConfig) -> None:
        self._config = config
        self._numbers = _NO_NUMBERS

    @property
    def payload_types(self) -> Mapping[int, PayloadType]:
        """All payload types so far, by number; stays as it is when there are more."""
        return self._numbers.payload_types

    @property
    def extensions(self) -> Mapping[int, str]:
        """URIs of all extensions so far, by id; stays as it is when there are more."""
        return self._numbers.extensions

    def copy(self) -> BundleTables:
        """Return a copy that can be changed alone."""
        tables = BundleTables(self._config)
        tables._numbers = self._numbers
        return tables

    def accept(self, media: MediaDescription, *, proposed: Proposed | None = None) -> Accepted:
        """
        Choose from what the peer printed and remember the numbers.

        :param media: An ``audio`` or ``video`` section.
        :param proposed: For an answer, what we offered in the section: nothing else is taken.
        """
        if proposed is not None:
            return self._accept(media, proposed)
        config, kind = self._config, media.kind
        sources = (
            self._numbers,
            media.payload_formats,
            media.extmaps,
            config.codecs(kind),
            config.extensions(kind),
            config.feedback(kind),
        )
        key = (kind, config.max_extension_id, *map(id, sources))
        known = _kept.get(key)
        if known is not None:
            _kept.move_to_end(key)
            _, accepted, self._numbers = known
            return accepted
        accepted = self._accept(media, None)
        if _length(media) <= _KEPT_LENGTH:
            _kept[key] = (sources, accepted, self._numbers)
            if len(_kept) > _KEPT:
                _kept.popitem(last=False)
        return accepted

    def _accept(self, media: MediaDescription, proposed: Proposed | None) -> Accepted:
        before = self._numbers
        numbers = self._numbers = before.copy()
        formats = [
            payload_format
            for payload_format in media.payload_formats
            if payload_format.payload_type not in RTCP_CONFLICTS
            and (proposed is None or payload_format.payload_type in proposed.payload_types)
        ]
        known: Mapping[int, PayloadType] = numbers.payload_types
        if proposed is not None:
            known = {**proposed.payload_types, **known}
        chosen = self._choose_media(media.kind, formats, known)
        if all(payload_type.codec.name == "telephone-event" for payload_type, _ in chosen):
            self._numbers = before
            return Accepted()
        rtx = self._choose_rtx(media.kind, formats, {item.number for item, _ in chosen}, known)
        order: list[int] = []
        feedback: dict[int, tuple[str, ...]] = {}
        for payload_type, offered_feedback in chosen:
            order.append(payload_type.number)
            feedback[payload_type.number] = tuple(
                value for value in self._config.feedback(media.kind) if value in offered_feedback
            )
            if payload_type.number in rtx:
                order.append(rtx[payload_type.number].number)
        for payload_type in (*(item for item, _ in chosen), *rtx.values()):
            numbers.payload_types.setdefault(payload_type.number, payload_type)
        accepted = Accepted(
            payload_types=tuple(order),
            feedback=feedback,
            payload_formats=self._printed(order, feedback),
            extmaps=self._accept_extensions(media, proposed),
        )
        self._remember(media.kind, accepted)
        if numbers.size == before.size:
            # Another section like it is to find what is kept.
            self._numbers = before
        return accepted

    def _printed(
        self, numbers: Sequence[int], feedback: Mapping[int, tuple[str, ...]]
    ) -> tuple[PayloadFormat, ...]:
        table = self._numbers.payload_types
        return tuple(
            PayloadFormat(
                payload_type=number,
                name=table[number].codec.name,
                clock_rate=table[number].codec.clock_rate,
                channels=table[number].codec.channels,
                parameters=table[number].parameters,
                feedback=feedback.get(number, ()),
            )
            for number in numbers
        )

    def _choose_media(
        self, kind: str, formats: list[PayloadFormat], table: Mapping[int, PayloadType]
    ) -> list[tuple[PayloadType, tuple[str, ...]]]:
        """Return the accepted media formats with the feedback offered for each, best first."""
        preferences = self._config.codecs(kind)
        ranked: list[tuple[int, bool, int, PayloadType, tuple[str, ...]]] = []
        for position, offered in enumerate(formats):
            codec = codec_of(kind, offered)
            rank = next((i for i, entry in enumerate(preferences) if entry.matches(codec)), None)
            known = table.get(offered.payload_type)
            if rank is None or (known is not None and known.codec != codec):
                continue
            payload_type = known or PayloadType(
                number=offered.payload_type,
                codec=codec,
                parameters=answered_parameters(offered),
            )
            ranked.append((rank, known is None, position, payload_type, offered.feedback))
        ranked.sort(key=lambda entry: entry[:3])
        # A codec that is offered under two numbers is taken once, under the one already in use.
        best: dict[Codec, tuple[PayloadType, tuple[str, ...]]] = {}
        for _, _, _, payload_type, feedback in ranked:
            best.setdefault(payload_type.codec, (payload_type, feedback))
        return list(best.values())

    def _choose_rtx(
        self,
        kind: str,
        formats: list[PayloadFormat],
        media: set[int],
        table: Mapping[int, PayloadType],
    ) -> dict[int, PayloadType]:
        """Return the RTX payload type for each media payload type that has a usable one."""
        found: dict[int, PayloadType] = {}
        for offered in formats:
            if offered.name.lower() != "rtx":
                continue
            apt_text = parse_parameters(offered.parameters).get("apt", "")
            apt = int(apt_text) if apt_text.isascii() and apt_text.isdecimal() else -1
            payload_type = PayloadType(
                number=offered.payload_type,
                codec=Codec(kind=kind, name="rtx", clock_rate=offered.clock_rate),
                parameters=f"apt={apt}",
                apt=apt,
            )
            known = table.get(offered.payload_type, payload_type)
            if apt in media and apt not in found and known == payload_type:
                found[apt] = payload_type
        return found

    def _accept_extensions(
        self, media: MediaDescription, proposed: Proposed | None
    ) -> tuple[ExtMap, ...]:
        wanted = self._config.extensions(media.kind)
        extensions = self._numbers.extensions
        ids = {uri: identifier for identifier, uri in extensions.items()}
        accepted: dict[str, ExtMap] = {}
        for extmap in media.extmaps:
            if (
                extmap.uri not in wanted
                or extmap.uri in accepted
                or (proposed is not None and proposed.extensions.get(extmap.id) != extmap.uri)
                or extmap.id > self._config.max_extension_id
                or extensions.get(extmap.id, extmap.uri) != extmap.uri
                or ids.get(extmap.uri, extmap.id) != extmap.id
            ):
                continue
            direction = extmap.direction
            accepted[extmap.uri] = ExtMap(
                id=extmap.id,
                uri=extmap.uri,
                direction=direction if direction is None else direction.reversed,
            )
            extensions[extmap.id] = extmap.uri
            ids[extmap.uri] = extmap.id
        return tuple(accepted.values())

    def _remember(self, kind: str, accepted: Accepted) -> None:
        profile = self._numbers.profiles[kind]
        known = {self.payload_types[number].codec for number in profile.payload_types}
        for number in accepted.payload_types:
            payload_type = self.payload_types[number]
            if payload_type.apt is None and payload_type.codec not in known:
                known.add(payload_type.codec)
                profile.payload_types.append(number)
                profile.feedback[number] = accepted.feedback[number]
        for extmap in accepted.extmaps:
            usable = extmap.direction in (None, Direction.SENDRECV, Direction.SENDONLY)
            if usable and extmap.id not in profile.extensions:
                profile.extensions.append(extmap.id)

    def propose(self, kind: str) -> Accepted:
        """
        Return what a section that we add should offer.

        The peer's own numbers when it ever named codecs of this kind; else our preferences under
        free numbers, which are entered here (call it on a copy that the answer replaces).
        """
        self._numbers = self._numbers.copy()
        profile = self._numbers.profiles[kind]
        if not profile.payload_types:
            return self._propose_preferences(kind)
        preferences = self._config.codecs(kind)
        ranks = {
            number: next(
                (i for i, entry in enumerate(preferences) if entry.matches(payload_type.codec)),
                len(preferences),
            )
            for number in profile.payload_types
            if (payload_type := self.payload_types[number])
        }
        rtx = {
            payload_type.apt: payload_type.number
            for payload_type in self.payload_types.values()
            if payload_type.apt is not None
        }
        numbers: list[int] = []
        for number in sorted(profile.payload_types, key=ranks.__getitem__):
            numbers.append(number)
            if number in rtx:
                numbers.append(rtx[number])
        return Accepted(
            payload_types=tuple(numbers),
            feedback=dict(profile.feedback),
            payload_formats=self._printed(numbers, profile.feedback),
            extmaps=tuple(
                ExtMap(id=identifier, uri=self.extensions[identifier])
                for identifier in profile.extensions
            ),
        )

    def _propose_preferences(self, kind: str) -> Accepted:
        table = self._numbers.payload_types
        numbers: list[int] = []
        feedback: dict[int, tuple[str, ...]] = {}
        for entry in self._config.codecs(kind):
            number = free_payload_type(entry.payload_type, table)
            if number is None:
                break
            table[number] = PayloadType(
                number=number, codec=entry.codec(kind), parameters=entry.parameters
            )
            numbers.append(number)
            if entry.name != "telephone-event":
                feedback[number] = self._config.feedback(kind)
            if entry.rtx_payload_type is None:
                continue
            rtx = free_payload_type(entry.rtx_payload_type, table)
            if rtx is not None:
                table[rtx] = PayloadType(
                    number=rtx,
                    codec=Codec(kind=kind, name="rtx", clock_rate=entry.clock_rate),
                    parameters=f"apt={number}",
                    apt=number,
                )
                numbers.append(rtx)
        return Accepted(
            payload_types=tuple(numbers),
            feedback=feedback,
            payload_formats=self._printed(numbers, feedback),
            extmaps=self._propose_extensions(kind),
        )

    def _propose_extensions(self, kind: str) -> tuple[ExtMap, ...]:
        extensions = self._numbers.extensions
        ids = {uri: identifier for identifier, uri in extensions.items()}
        proposed: list[ExtMap] = []
        free = (n for n in range(1, self._config.max_extension_id + 1) if n not in ids.values())
        for uri in self._config.extensions(kind):
            identifier = ids.get(uri) or next(free, None)
            if identifier is None:
                break
            extensions[identifier] = uri
            proposed.append(ExtMap(id=identifier, uri=uri))
        return tuple(proposed)


def _length(media: MediaDescription) -> int:
    """Return how many characters the formats and extensions of a section have, or nearly."""
    formats = sum(
        len(entry.name) + len(entry.parameters) + sum(map(len, entry.feedback))
        for entry in media.payload_formats
    )
    return formats + sum(len(extmap.uri) for extmap in media.extmaps)
