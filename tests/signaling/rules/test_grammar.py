"""What rules may look like, and everything that is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.node_events import MediaKind
from signaling.rules import (
    INCLUDE_ALL,
    RECORDING_RULES,
    SUBSCRIBE_RULES,
    Grammar,
    Rule,
    RuleType,
    parse_rules,
    serialize_rules,
)

GRAMMARS = [SUBSCRIBE_RULES, RECORDING_RULES]
ONE: dict[str, Any] = {"type": "include", "track": "camera"}


@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "include everything",
        "null",
        "{}",
        '{"type":"include","all":true}',
        "[]",
        '["include"]',
        "[[]]",
        "[null]",
        '[{"all":true}]',
        '[{"type":null,"all":true}]',
        '[{"type":"maybe","all":true}]',
        '[{"type":"Include","all":true}]',
        '[{"type":["include"],"all":true}]',
        '[{"type":"include"}]',
        '[{"type":"include","kind":null,"publisher":null}]',
        '[{"type":"include","all":false}]',
        '[{"type":"include","all":1}]',
        '[{"type":"include","all":"TRUE"}]',
        '[{"type":"include","all":true,"kind":"audio"}]',
        '[{"type":"include","all":true,"track":"x"}]',
        '[{"type":"include","kind":"wideo"}]',
        '[{"type":"include","kind":{}}]',
        '[{"type":"include","colour":"red"}]',
        '[{"type":"include","all":true,"colour":"red"}]',
        '[{"type":"include","publisher":""}]',
        '[{"type":"include","publisher":7}]',
        '[{"type":"include","track":""}]',
        '[{"type":"include","track":["x"]}]',
        '[{"type":"include","track":"\\ud800"}]',
        '[{"type":"include","kind":"audio","kind":"video"}]',
        '[{"type":"include","kind":"audio","kind":"audio"}]',
        '[{"type":"include","all":true,"all":null}]',
        '[{"type":"include","priority":"high"}]',
        '[{"type":"include","track":NaN}]',
        '[{"type":"include","track":Infinity}]',
        '[{"type":"include","all":true},{"type":"include","kind":"x"}]',
        json.dumps([ONE] * 21),
        "[" * 100_000,
        "[" + "9" * 5_000 + "]",
    ],
)
def test_what_is_no_list_of_rules_is_refused(text: str, grammar: Grammar) -> None:
    with pytest.raises(WireFormatError):
        parse_rules(text, grammar)


def test_members_that_are_null_count_as_absent() -> None:
    text = (
        '[{"type":"include","all":true,"publisher":null,"track":null,"kind":null,"priority":null}]'
    )
    assert parse_rules(text, SUBSCRIBE_RULES) == INCLUDE_ALL
    assert parse_rules(text, RECORDING_RULES) == INCLUDE_ALL


def test_all_may_be_a_text() -> None:
    text = '[{"type":"include","all":"true"}]'
    assert parse_rules(text, RECORDING_RULES) == INCLUDE_ALL
    assert serialize_rules(INCLUDE_ALL) == '[{"type":"include","all":true}]'


def test_data_can_be_subscribed_to_but_not_recorded() -> None:
    text = '[{"type":"exclude","kind":"data"}]'
    assert parse_rules(text, SUBSCRIBE_RULES) == (Rule(type=RuleType.EXCLUDE, kind=MediaKind.DATA),)
    with pytest.raises(WireFormatError):
        parse_rules(text, RECORDING_RULES)


@pytest.mark.parametrize("priority", ["low", "standard", "high"])
def test_priority_is_kept_in_subscribe_rules_only(priority: str) -> None:
    text = f'[{{"type":"include","all":true,"priority":"{priority}"}}]'
    [rule] = parse_rules(text, SUBSCRIBE_RULES)
    assert rule.priority == priority
    with pytest.raises(WireFormatError):
        parse_rules(text, RECORDING_RULES)
    with pytest.raises(WireFormatError):
        parse_rules(text.replace(priority, "urgent"), SUBSCRIBE_RULES)


def test_twenty_rules_are_allowed_and_keep_their_order() -> None:
    entries = [
        {"type": "include" if n % 2 else "exclude", "track": f"t{n}", "kind": "audio"}
        for n in range(20)
    ]
    rules = parse_rules(json.dumps(entries), RECORDING_RULES)
    assert json.loads(serialize_rules(rules)) == entries


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=130)
values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(0, 2), st.sampled_from(["", "true", "x"]), st.just([])
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["include", "exclude", "other", None]),
        "all": st.sampled_from([True, "true", False, "false", 1, None]),
        "publisher": names | values,
        "track": names | values,
        "kind": st.sampled_from(["audio", "video", "data", "text", "", None, 3]),
        "priority": st.sampled_from(["low", "standard", "high", "", None, 3]),
        "other": values,
    },
)


def is_allowed(entry: dict[str, Any], grammar: Grammar) -> bool:
    """Return what the published grammar says, clause by clause."""
    entry = {name: value for name, value in entry.items() if value is not None}
    if entry.get("type") not in ("include", "exclude"):
        return False
    if "other" in entry or ("priority" in entry and not grammar.has_priority):
        return False
    if "priority" in entry and entry["priority"] not in ("low", "standard", "high"):
        return False
    filters = [name for name in ("all", "publisher", "track", "kind") if name in entry]
    if "all" in filters:
        return filters == ["all"] and (entry["all"] is True or entry["all"] == "true")
    kinds = ("audio", "video", "data") if grammar is SUBSCRIBE_RULES else ("audio", "video")
    if "kind" in entry and entry["kind"] not in kinds:
        return False
    texts = [entry[name] for name in ("publisher", "track") if name in entry]
    return bool(filters) and all(isinstance(text, str) and text for text in texts)


@given(entry=entries, grammar=st.sampled_from(GRAMMARS))
def test_a_rule_is_taken_exactly_when_the_grammar_allows_it(
    entry: dict[str, Any], grammar: Grammar
) -> None:
    try:
        rules = parse_rules(json.dumps([entry]), grammar)
    except WireFormatError:
        assert not is_allowed(entry, grammar)
    else:
        assert is_allowed(entry, grammar)
        assert parse_rules(serialize_rules(rules), grammar) == rules


@given(text=st.text() | st.recursive(values, lambda v: st.lists(v)).map(json.dumps))
def test_any_text_parses_or_is_refused(text: str) -> None:
    for grammar in GRAMMARS:
        try:
            parse_rules(text, grammar)
        except WireFormatError:
            continue
