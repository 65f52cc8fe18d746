"""Candidates into a result: counted by their values, ordered as the caller and the shop want."""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

from services.common import filters
from services.common.errors import VitrinaError
from services.common.facets import FacetSpec
from services.common.telemetry import get_logger
from services.gateway.answers import Degradation, Explanation, Facet, Hit, Timings
from services.gateway.budget import ARRANGE_SHARE, Budget, timed
from services.gateway.candidates import Arranged, Candidates, Rule
from services.gateway.diversity import diversified
from services.gateway.placement import boosted, placed
from services.gateway.ports import Catalog
from services.gateway.queries import Filter, Query
from services.gateway.retrieval import Found, Retrieval
from services.gateway.ways import Ways

log = get_logger()

# Further down nobody looks for variety, and each costs a vector.
DIVERSIFIED = 100
# Of all rules for one query: more is more than the catalog tells of at once.
MAX_BOOST_FILTERS = 100
MAX_PINS = 1_000


@dataclass(frozen=True)
class Assembled:
    """A whole result in its order, and its counts."""

    hits: Sequence[Hit]
    facets: tuple[Facet, ...]
    rule_ids: tuple[str, ...]
    degraded: frozenset[Degradation]


class _Beside(NamedTuple):
    """What was counted as if a part of the filter were not there."""

    facets: Sequence[Facet]
    degraded: Set[Degradation]


class Assembly:
    """Asks the catalog about candidates only where something depends on it."""

    def __init__(self, retrieval: Retrieval, catalog: Catalog, ways: Ways) -> None:
        self._retrieval = retrieval
        self._catalog = catalog
        self._ways = ways

    async def assembled(
        self, found: Found, query: Query, budget: Budget, timings: Timings
    ) -> Assembled:
        """Return the result that pages are cut from."""
        candidates, degraded = found.candidates, set(found.degraded)
        rules = [] if query.without_rules or query.order_by else candidates.rules
        hits = candidates.hits
        if not (rules or query.diversity or query.facets or query.order_by):
            return Assembled(hits, (), (), found.degraded)
        if rules or query.diversity:
            hits = [
                (product_id, explanation._replace(score_rank=rank))
                for rank, (product_id, explanation) in enumerate(hits, start=1)
            ]
        beside = _beside_own_filters(query)
        own = [spec for spec in query.facets if spec not in beside]
        (hits, facets), others = await asyncio.gather(
            self._arranged(hits, candidates, query, own, rules, budget, timings),
            self._counted_beside(beside, query, budget, timings),
        )
        counted = dict(zip((*own, *beside), (*facets, *others.facets), strict=True))
        degraded |= others.degraded
        if query.diversity and candidates.space:
            try:
                hits = await self._diversified(hits, candidates.space, query, budget, timings)
            except VitrinaError as error:
                log.info("not diversified", reason=error.reason, problem=error.message)
                degraded.add(Degradation.NOT_DIVERSE)
        if rules:
            hits = placed(hits, rules)
        return Assembled(
            hits,
            tuple(counted[spec] for spec in query.facets),
            tuple(rule.id for rule in rules),
            frozenset(degraded),
        )

    async def _arranged(
        self,
        hits: Sequence[Hit],
        candidates: Candidates,
        query: Query,
        specs: Sequence[FacetSpec],
        rules: Sequence[Rule],
        budget: Budget,
        timings: Timings,
    ) -> tuple[Sequence[Hit], Sequence[Facet]]:
        """Return the hits in the order asked for, boosted, with pinned ones among them."""
        explanations = dict(hits)
        pinned = dict.fromkeys(
            id_ for rule in rules for id_ in sorted(rule.pins) if id_ not in explanations
        )
        boosts = [(rule.id, boost) for rule in rules for boost in rule.boosts]
        conditions = list(dict.fromkeys(boost.filter_text for _, boost in boosts))
        if not (specs or pinned or boosts or query.order_by):
            return hits, []
        conditions = conditions[:MAX_BOOST_FILTERS]
        with timed(timings, "arrange"):
            arranged = await self._catalog.arrange(
                [*explanations, *list(pinned)[:MAX_PINS]],
                filter_text=query.filter.text,
                order_by=query.order_by,
                facet_texts=[spec.text for spec in specs],
                conditions=conditions,
                timeout_seconds=budget.share(ARRANGE_SHARE),
            )
        hits = [
            (product_id, explanations.get(product_id, Explanation(0.0)))
            for product_id in arranged.ids
        ]
        accepted = dict(zip(conditions, arranged.accepted, strict=True))
        factors = [
            (rule_id, boost.factor, accepted[boost.filter_text])
            for rule_id, boost in boosts
            if boost.filter_text in accepted
        ]
        facets = _counted(arranged, candidates)
        return boosted(hits, factors) if factors else hits, facets

    async def _counted_beside(
        self, beside: Mapping[FacetSpec, Filter], query: Query, budget: Budget, timings: Timings
    ) -> "_Beside":
        """Count by fields as if the filter said nothing about them.

        One after the other: each is a search, and one caller gets no more than one at a time.
        """
        facets: list[Facet] = []
        degraded: set[Degradation] = set()
        for spec, left in beside.items():
            found = await self._retrieval.find(replace(query, filter=left), budget, timings)
            with timed(timings, "arrange"):
                arranged = await self._catalog.arrange(
                    [product_id for product_id, _ in found.candidates.hits],
                    filter_text=left.text,
                    facet_texts=[spec.text],
                    timeout_seconds=budget.share(ARRANGE_SHARE),
                )
            facets += _counted(arranged, found.candidates)
            degraded |= found.degraded
        return _Beside(facets, degraded)

    async def _diversified(
        self, hits: Sequence[Hit], space: str, query: Query, budget: Budget, timings: Timings
    ) -> list[Hit]:
        """Return the best in another order; what the query names by an identifier stays."""
        named = [hit for hit in hits if hit[1].is_exact_identifier]
        others = hits[len(named) :]
        moved, rest = others[:DIVERSIFIED], others[DIVERSIFIED:]
        if not moved:
            return list(hits)
        ids = [product_id for product_id, _ in moved]
        vectors = await self._ways.vectors(space, ids, budget, timings)
        scores = [explanation.score for _, explanation in moved]
        order = diversified(scores, vectors, query.diversity)
        return [*named, *(moved[place] for place in order), *rest]


def _beside_own_filters(query: Query) -> dict[FacetSpec, Filter]:
    """Return the facets that ignore what the filter says about their field, and what is left."""
    beside = {}
    for spec in query.facets:
        if spec.ignores_own_filter:
            left = Filter.of(filters.without_field(query.filter.node, spec.field))
            if left != query.filter:
                beside[spec] = left
    return beside


def _counted(arranged: Arranged, candidates: Candidates) -> list[Facet]:
    return [replace(facet, is_exact=candidates.is_complete) for facet in arranged.facets]
