"""Rules, synonyms and their log: protobuf to domain, and back."""

from google.protobuf import timestamp_pb2

from services.catalog.tuning.entries import Stored, TuningChange
from services.catalog.tuning.rules import Boost, Pin, Rule
from services.catalog.tuning.synonyms import Synonyms
from services.common.errors import InvalidArgument
from vitrina.catalog.v1 import tuning_pb2


def rule_of(message: tuning_pb2.Rule) -> Rule:
    """Return the rule that a caller sent, checked. Output-only fields are left out."""
    try:
        return Rule.parse(
            id_text=message.id,
            queries=message.queries,
            match=message.match,
            pins=[Pin(pin.product_id, pin.position) for pin in message.pins],
            buried_ids=message.bury_product_ids,
            boosts=[Boost(boost.filter, boost.factor) for boost in message.boosts],
            active=message.active if message.HasField("active") else True,
            description=message.description,
        )
    except InvalidArgument as error:
        raise error.within("rule") from error


def synonyms_of(message: tuning_pb2.Synonyms) -> Synonyms:
    """Return the synonyms that a caller sent, checked. Output-only fields are left out."""
    try:
        return Synonyms.parse(
            id_text=message.id, phrases=message.phrases, one_way_from=message.one_way_from
        )
    except InvalidArgument as error:
        raise error.within("synonyms") from error


def rule_message(stored: Stored[Rule]) -> tuning_pb2.Rule:
    """Return a rule as the contract has it."""
    rule = stored.entry
    return tuning_pb2.Rule(
        id=rule.id,
        queries=rule.queries,
        match=tuning_pb2.QueryMatch.Value(f"QUERY_MATCH_{rule.match.name}"),
        pins=[
            tuning_pb2.Pin(product_id=pin.product_id, position=pin.position) for pin in rule.pins
        ],
        bury_product_ids=rule.buried_ids,
        boosts=[
            tuning_pb2.Boost(filter=boost.filter, factor=boost.factor) for boost in rule.boosts
        ],
        active=rule.active,
        description=rule.description,
        update_time=_timestamp(stored.update_time_us),
        revision=stored.revision,
    )


def synonyms_message(stored: Stored[Synonyms]) -> tuning_pb2.Synonyms:
    """Return synonyms as the contract has them."""
    return tuning_pb2.Synonyms(
        id=stored.entry.id,
        phrases=stored.entry.phrases,
        one_way_from=stored.entry.one_way_from,
        update_time=_timestamp(stored.update_time_us),
        revision=stored.revision,
    )


def tuning_change_message(change: TuningChange) -> tuning_pb2.TuningChange:
    """Return a line of the log as the contract has it."""
    message = tuning_pb2.TuningChange(
        revision=change.revision, time=_timestamp(change.time_us), author=change.author
    )
    for when, stored in (("before", change.before), ("after", change.after)):
        if stored is None:
            continue
        if isinstance(stored.entry, Rule):
            getattr(message, f"rule_{when}").CopyFrom(rule_message(stored))
        else:
            getattr(message, f"synonyms_{when}").CopyFrom(synonyms_message(stored))
    return message


def _timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    seconds, rest = divmod(microseconds, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000)
