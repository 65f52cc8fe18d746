"""A rule from options, or from a file of JSON."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from services.cli.failures import WRONG_USE, Failure
from services.cli.lines import STDIN
from vitrina.catalog.v1 import tuning_pb2


class QueryMatch(StrEnum):
    """Which queries are like those of a rule."""

    EXACT = "exact"
    CONTAINS = "contains"

    @property
    def in_requests(self) -> tuning_pb2.QueryMatch.ValueType:
        """The same, as requests hold it."""
        return tuning_pb2.QueryMatch.Value(f"QUERY_MATCH_{self.name}")


def pin_of(text: str) -> tuning_pb2.Pin:
    """Read `ID=POSITION`; the id may hold "=" too."""
    product_id, _, position = text.rpartition("=")
    try:
        return tuning_pb2.Pin(product_id=product_id.strip(), position=_positive(position))
    except ValueError:
        raise _wrong(f"--pin {text}: must be ID=POSITION, for example AUD-0012=1") from None


def _positive(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**31:
        raise ValueError
    return number


def boost_of(text: str) -> tuning_pb2.Boost:
    """Read `FILTER=FACTOR`; the factor stands behind the last "="."""
    filter_text, _, factor = text.rpartition("=")
    try:
        return tuning_pb2.Boost(filter=filter_text.strip(), factor=float(factor))
    except ValueError:
        raise _wrong(
            f"--boost {text}: must be FILTER=FACTOR, for example 'brand = \"Acme\"=1.5'"
        ) from None


def rule_of_options(
    rule_id: str,
    *,
    queries: Sequence[str],
    match: QueryMatch,
    pins: Sequence[str],
    buried: Sequence[str],
    boosts: Sequence[str],
    is_inactive: bool,
    description: str,
) -> tuning_pb2.Rule:
    """Return the rule. The limits of its texts and numbers are left to the catalog."""
    return tuning_pb2.Rule(
        id=rule_id,
        queries=queries,
        match=match.in_requests,
        pins=[pin_of(text) for text in pins],
        bury_product_ids=buried,
        boosts=[boost_of(text) for text in boosts],
        active=False if is_inactive else None,
        description=description,
    )


def rule_of_file(rule_id: str, path: Path) -> tuning_pb2.Rule:
    """Read a rule as `vitrina rules list --json` gives it; "-" is standard input.

    `match` may be short: "contains". Raises Failure also if the file has another id.
    """
    try:
        data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise _wrong(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    rule = tuning_pb2.Rule()
    try:
        tree: Any = json.loads(data)
        if not isinstance(tree, dict):
            raise _wrong(f"{path}: must be a JSON object")
        if tree.get("match") in tuple(QueryMatch):
            tree["match"] = QueryMatch(tree["match"]).in_requests
        json_format.ParseDict(tree, rule)
    except (UnicodeDecodeError, RecursionError):
        raise _wrong(f"{path}: is no JSON in UTF-8") from None
    except (ValueError, json_format.ParseError) as error:
        raise _wrong(f"{path}: no rule: {error}") from None
    if rule.id not in ("", rule_id):
        raise _wrong(f"{path}: is rule {rule.id!r}, not {rule_id!r}")
    rule.id = rule_id
    return rule


def _wrong(message: str) -> Failure:
    return Failure(message, exit_code=WRONG_USE)
