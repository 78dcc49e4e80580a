"""The JSON in which rules are written: an array of 1 to 20 objects."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from router.errors import WireFormatError
from router.node_events import MediaKind

from .engine import Rule, RuleType

T = TypeVar("T")

RULES_MAX = 20
"""In one list."""
PRIORITIES = frozenset({"low", "standard", "high"})

_FILTERS = frozenset({"all", "publisher", "track", "kind"})
_KINDS = {kind.value: kind for kind in MediaKind}
_TYPES = {rule_type.value: rule_type for rule_type in RuleType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """In what the two sorts of rules differ."""

    kinds: frozenset[MediaKind]
    """The kinds that a filter may name."""
    has_priority: bool
    """Whether a rule may carry a ``priority``; it is no filter."""


SUBSCRIBE_RULES = Grammar(kinds=frozenset(MediaKind), has_priority=True)
RECORDING_RULES = Grammar(kinds=frozenset({MediaKind.AUDIO, MediaKind.VIDEO}), has_priority=False)


def parse_rules(text: str, grammar: Grammar) -> tuple[Rule, ...]:
    """
    Return the rules that a text holds.

    Members that are null count as absent: the helper libraries may send them back.

    :raises WireFormatError: if it is anything but a list of rules of the grammar.
    """
    try:
        entries = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise WireFormatError(f"rules are not JSON: {error}") from None
    if not isinstance(entries, list):
        raise WireFormatError("rules are not an array")
    if not 1 <= len(entries) <= RULES_MAX:
        raise WireFormatError(f"{len(entries)} rules; 1 to {RULES_MAX} were allowed")
    return tuple(_parse_rule(entry, grammar) for entry in entries)


def serialize_rules(rules: Iterable[Rule]) -> str:
    """Return the text of some rules, without members that have no value."""
    return json.dumps([members_of(rule) for rule in rules], separators=(",", ":"))


def members_of(rule: Rule) -> dict[str, object]:
    """Return a rule's members that have a value, as JSON shows them."""
    members: dict[str, object] = {"type": rule.type.value}
    if rule.all:
        members["all"] = True
    if rule.publisher is not None:
        members["publisher"] = rule.publisher
    if rule.track is not None:
        members["track"] = rule.track
    if rule.kind is not None:
        members["kind"] = rule.kind.value
    if rule.priority is not None:
        members["priority"] = rule.priority
    return members


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise WireFormatError("a member appears twice")
    return members


def _refuse_constant(name: str) -> None:
    raise WireFormatError(f"{name} is not JSON")


def _parse_rule(entry: object, grammar: Grammar) -> Rule:
    if not isinstance(entry, dict):
        raise WireFormatError("a rule is no object")
    members = {name: value for name, value in entry.items() if value is not None}
    allowed = _FILTERS | ({"priority"} if grammar.has_priority else set())
    rule_type = _word(members.pop("type", None), _TYPES)
    filters = members.keys() & _FILTERS
    if members.keys() - allowed or not filters:
        raise WireFormatError("a rule has no filter, or one that is unknown")
    # The JavaScript SDK's own tests send the text "true".
    everything = members.get("all") is True or members.get("all") == "true"
    if "all" in members and (filters != {"all"} or not everything):
        raise WireFormatError("all is not true, or stands beside another filter")
    kind = _word(members["kind"], _KINDS) if "kind" in members else None
    if kind is not None and kind not in grammar.kinds:
        raise WireFormatError("rules of this sort cannot name the kind")
    priority = members.get("priority")
    if priority is not None and not (isinstance(priority, str) and priority in PRIORITIES):
        raise WireFormatError("a priority is unknown")
    return Rule(
        type=rule_type,
        all=everything,
        publisher=_name(members, "publisher"),
        track=_name(members, "track"),
        kind=kind,
        priority=priority,
    )


def _word(value: object, table: Mapping[str, T]) -> T:
    if not isinstance(value, str) or value not in table:
        raise WireFormatError("a word is missing or unknown")
    return table[value]


def _name(members: dict[str, Any], which: str) -> str | None:
    value = members.get(which)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise WireFormatError(f"{which} is not a text, or empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WireFormatError(f"{which} has half a surrogate pair") from None
    return value
