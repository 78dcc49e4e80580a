"""Subscribe rules and recording rules: one grammar, one engine; pure."""

from .engine import EXCLUDE_ALL, INCLUDE_ALL, Candidate, Rule, RuleType, includes
from .grammar import (
    RECORDING_RULES,
    SUBSCRIBE_RULES,
    Grammar,
    members_of,
    parse_rules,
    serialize_rules,
)

__all__ = [
    "EXCLUDE_ALL",
    "INCLUDE_ALL",
    "RECORDING_RULES",
    "SUBSCRIBE_RULES",
    "Candidate",
    "Grammar",
    "Rule",
    "RuleType",
    "includes",
    "members_of",
    "parse_rules",
    "serialize_rules",
]
