"""Rules and synonyms in words, part by part."""

from collections.abc import Sequence

from services.cli.output import times
from vitrina.catalog.v1 import tuning_pb2

# {what: texts of it}, for example {"pins": ["AUD-0012 at 1"]}.
Parts = dict[str, list[str]]

# Of a list; the rest is counted.
_SHOWN = 5


def rule_parts(rule: tuning_pb2.Rule) -> Parts:
    """Return what a rule says; nothing for a rule that is not there."""
    if not rule.id:
        return {}
    is_inside = rule.match == tuning_pb2.QUERY_MATCH_CONTAINS
    queries = [f'"{query}"' + " inside" * is_inside for query in rule.queries]
    pins = sorted(rule.pins, key=lambda pin: pin.position)
    is_inactive = rule.HasField("active") and not rule.active
    parts = {
        "for": queries or ["every query"],
        "pins": [f"{pin.product_id} at {pin.position}" for pin in pins],
        "buries": list(rule.bury_product_ids),
        "boosts": [f"{boost.filter} {times(boost.factor)}" for boost in rule.boosts],
        "active": ["no"] if is_inactive else [],
        "description": [rule.description] if rule.description else [],
    }
    return {what: texts for what, texts in parts.items() if texts}


def synonyms_parts(synonyms: tuning_pb2.Synonyms) -> Parts:
    """Return what synonyms say; nothing for synonyms that are not there."""
    return {"phrases": [synonyms_text(synonyms)]} if synonyms.id else {}


def synonyms_text(synonyms: tuning_pb2.Synonyms) -> str:
    """Return "tele ↔ tv", or "portátil → laptop, notebook" of those that go one way."""
    if synonyms.one_way_from:
        return f"{synonyms.one_way_from} → {', '.join(synonyms.phrases)}"
    return " ↔ ".join(synonyms.phrases)


def listed(texts: Sequence[str]) -> str:
    """Return "a, b", and of a long list how many more there are."""
    rest = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
