"""What the shop's rules do to an order: boosts change scores, then burials and pins places."""

from collections.abc import Sequence

from services.gateway.answers import AppliedRule, Hit
from services.gateway.candidates import Rule


def boosted(hits: Sequence[Hit], boosts: Sequence[tuple[str, float, frozenset[str]]]) -> list[Hit]:
    """Return the hits by their scores, multiplied by the factors that concern them.

    A boost is the id of its rule, the factor, and the ids of its products. What
    the query names by an identifier stays in front.
    """
    by_product: dict[str, list[AppliedRule]] = {}
    for rule_id, factor, product_ids in boosts:
        for product_id in product_ids:
            by_product.setdefault(product_id, []).append(AppliedRule(rule_id, factor=factor))
    changed = []
    for product_id, explanation in hits:
        applied = by_product.get(product_id, ())
        score = explanation.score
        for rule in applied:
            score *= rule.factor
        changed.append(
            (product_id, explanation._replace(score=score, rules=(*explanation.rules, *applied)))
            if applied
            else (product_id, explanation)
        )
    changed.sort(key=lambda hit: (not hit[1].is_exact_identifier, -hit[1].score))
    return changed


def placed(hits: Sequence[Hit], rules: Sequence[Rule]) -> list[Hit]:
    """Return the hits with pinned products at their places, and buried ones at the end.

    Of two rules for one product the first counts, and of two products for one
    place the second comes after the first. What is no hit is not brought in.
    """
    explanations = dict(hits)
    pinned: dict[str, AppliedRule] = {}
    buried: dict[str, AppliedRule] = {}
    for rule in rules:
        for product_id in rule.pins.keys() & explanations.keys():
            applied = AppliedRule(rule.id, pinned_position=rule.pins[product_id])
            pinned.setdefault(product_id, applied)
        for product_id in rule.buried:
            buried.setdefault(product_id, AppliedRule(rule.id, is_buried=True))

    def explained(product_id: str, rule: AppliedRule) -> Hit:
        explanation = explanations[product_id]
        return product_id, explanation._replace(rules=(*explanation.rules, rule))

    moved = pinned.keys() | buried.keys()
    order = [hit for hit in hits if hit[0] not in moved]
    order += [
        explained(product_id, buried[product_id])
        for product_id, _ in hits
        if product_id in buried and product_id not in pinned
    ]
    last = 0
    in_turn = sorted(
        pinned.items(), key=lambda pin: (pin[1].pinned_position, pin[1].rule_id, pin[0])
    )
    for product_id, pin in in_turn:
        last = max(pin.pinned_position, last + 1)
        order.insert(last - 1, explained(product_id, pin))
    return order
