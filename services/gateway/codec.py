"""Answers as protobuf: on their way out, and in the cache."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from google.protobuf.message import DecodeError

from services.gateway.answers import (
    Answer,
    AppliedRule,
    Degradation,
    Explanation,
    Facet,
    FacetValue,
    Highlights,
    Hit,
    LeftOut,
    Near,
    Plan,
    Provenance,
    Result,
    Served,
    Strategy,
    Timings,
)
from services.gateway.hits import NUMBERS, Hits, columns_of
from services.gateway.pages import ResultSet
from vitrina.catalog.v1 import facet_pb2
from vitrina.search.v1 import result_set_pb2
from vitrina.search.v1 import search_pb2 as pb


def response_of(answer: Answer) -> pb.SearchResponse:
    """Return what is said of an answer to every caller."""
    response = pb.SearchResponse(
        results=[
            pb.Result(
                product=result.product,  # type: ignore[arg-type]
                score=result.explanation.score,
                explanation=_explanation_message(result.explanation),
                highlights=pb.Highlights(**vars(result.highlights)) if result.highlights else None,
            )
            for result in answer.results
        ],
        info=pb.AnswerInfo(
            revision=answer.revision,
            space=answer.space,
            degraded=sorted(answer.degraded),  # type: ignore[arg-type]
            plan=pb.Plan(**vars(answer.plan)),
            left_out=_left_out_messages(answer.left_out),
        ),
        corrected_query=answer.corrected_query,
        next_page_token=answer.next_page_token,
        total_size=answer.total_size,
        total_size_kind=_count_kind(answer.is_total_exact),
        facets=map(_facet_message, answer.facets),
        rule_ids=answer.rule_ids,
        synonym_ids=answer.synonym_ids,
    )
    response.info.compute_time.FromNanoseconds(int(answer.computed_at * 1e9))
    return response


def served_bytes(served: Served) -> bytes:
    """Return the SearchResponse to one call: the answer, and how this call came by it.

    Messages one after the other are one message, with what either says; so the answer
    goes out as the bytes that it is kept as.
    """
    about = _about_call(served.provenance, served.degraded, served.left_out)
    spent = pb.SearchResponse()
    _write_timings(served.timings, spent.info.timings)
    return served.encoded.body + about + spent.SerializeToString()


@lru_cache(maxsize=64)
def _about_call(
    provenance: Provenance, degraded: frozenset[Degradation], left_out: tuple[LeftOut, ...]
) -> bytes:
    info = pb.AnswerInfo(
        provenance=provenance,  # type: ignore[arg-type]
        degraded=sorted(degraded),  # type: ignore[arg-type]
        left_out=_left_out_messages(left_out),
    )
    return pb.SearchResponse(info=info).SerializeToString()


def near_response(near: Near) -> pb.SimilarResponse:
    """Return the response to one call."""
    response = response_of(near.answer)
    response.info.provenance = pb.PROVENANCE_COMPUTED
    _write_timings(near.timings, response.info.timings)
    return pb.SimilarResponse(results=response.results, info=response.info)


def _write_timings(timings: Timings, message: pb.Timings) -> None:
    for name, ms in vars(timings).items():
        if ms:
            setattr(message, name, round(ms, 3))


class ProtobufCodec:
    """See cache.Codec."""

    def encode(self, answer: Answer) -> bytes:
        """Return the serialised response."""
        return response_of(answer).SerializeToString()

    def decode(self, body: bytes) -> Answer:
        """Return the answer; raise ValueError for bytes that are none."""
        try:
            return _answer(pb.SearchResponse.FromString(body))
        except DecodeError:
            raise ValueError("not a search response") from None

    def encode_set(self, kept: ResultSet) -> bytes:
        """Return the bytes of a whole result."""
        ids, table = columns_of(kept.hits)
        message = result_set_pb2.ResultSet(
            answer=response_of(kept.answer),
            product_ids=ids,
            explanations=table.astype("<f4").tobytes(),
        )
        if kept.answer.rule_ids:
            for position, (_, explanation) in enumerate(kept.hits):
                if explanation.rules:
                    message.rules[position].rules.extend(_rule_messages(explanation.rules))
        return message.SerializeToString()

    def decode_set(self, body: bytes) -> ResultSet:
        """Return the result; raise ValueError for bytes that are none."""
        try:
            message = result_set_pb2.ResultSet.FromString(body)
        except DecodeError:
            raise ValueError("not a result set") from None
        return ResultSet(_answer(message.answer), _hits(message))


def _hits(message: result_set_pb2.ResultSet) -> Sequence[Hit]:
    table = np.frombuffer(message.explanations, dtype="<f4").reshape(-1, NUMBERS)
    if not len(table) == len(message.product_ids) > max(message.rules, default=-1):
        raise ValueError("not a result set")
    hits = Hits(list(message.product_ids), table.astype(np.float64))
    if not message.rules:
        return hits
    explained = list(hits)
    for position, applied in message.rules.items():
        product_id, explanation = explained[position]
        rules = _applied_rules(applied.rules)
        explained[position] = (product_id, explanation._replace(rules=rules))
    return explained


def _answer(response: pb.SearchResponse) -> Answer:
    info = response.info
    plan = info.plan
    return Answer(
        results=[
            Result(
                result.product,
                _explanation(result.score, result.explanation),
                Highlights(result.highlights.name, result.highlights.description)
                if result.HasField("highlights")
                else None,
            )
            for result in response.results
        ],
        revision=info.revision,
        space=info.space,
        degraded=frozenset(Degradation(number) for number in info.degraded),
        plan=Plan(
            Strategy(plan.strategy),
            plan.vectors,
            plan.passing,
            plan.candidates,
            plan.lexical_candidates,
            plan.semantic_candidates,
            plan.feedback_products,
        ),
        computed_at=info.compute_time.ToNanoseconds() / 1e9,
        corrected_query=response.corrected_query,
        next_page_token=response.next_page_token,
        total_size=response.total_size,
        is_total_exact=response.total_size_kind == facet_pb2.COUNT_KIND_EXACT,
        facets=tuple(map(facet_of, response.facets)),
        rule_ids=tuple(response.rule_ids),
        synonym_ids=tuple(response.synonym_ids),
        left_out=tuple(LeftOut(each.stage, each.reason) for each in info.left_out),
    )


def _left_out_messages(left_out: Iterable[LeftOut]) -> list[pb.LeftOut]:
    return [pb.LeftOut(**each._asdict()) for each in left_out]


def _explanation_message(explanation: Explanation) -> pb.Explanation:
    return pb.Explanation(
        semantic_rank=explanation.semantic_rank,
        cosine=explanation.cosine,
        lexical_rank=explanation.lexical_rank,
        bm25=explanation.bm25,
        is_exact_identifier=explanation.is_exact_identifier,
        lexical_score=explanation.lexical_score,
        semantic_score=explanation.semantic_score,
        score_rank=explanation.score_rank,
        rules=_rule_messages(explanation.rules),
    )


def _explanation(score: float, message: pb.Explanation) -> Explanation:
    return Explanation(
        score,
        message.semantic_rank,
        message.cosine,
        message.lexical_rank,
        message.bm25,
        message.is_exact_identifier,
        message.lexical_score,
        message.semantic_score,
        message.score_rank,
        _applied_rules(message.rules),
    )


def _rule_messages(rules: Iterable[AppliedRule]) -> list[pb.AppliedRule]:
    return [pb.AppliedRule(**rule._asdict()) for rule in rules]


def _applied_rules(messages: Iterable[pb.AppliedRule]) -> tuple[AppliedRule, ...]:
    return tuple(
        AppliedRule(rule.rule_id, rule.factor, rule.pinned_position, rule.is_buried)
        for rule in messages
    )


def _count_kind(is_exact: bool) -> facet_pb2.CountKind.ValueType:
    return facet_pb2.COUNT_KIND_EXACT if is_exact else facet_pb2.COUNT_KIND_LOWER_BOUND


def _facet_message(facet: Facet) -> facet_pb2.Facet:
    return facet_pb2.Facet(
        field=facet.field,
        values=[
            facet_pb2.FacetValue(value=each.value, count=each.count, filter=each.filter_text)
            for each in facet.values
        ],
        other_count=facet.other_count,
        missing_count=facet.missing_count,
        kind=_count_kind(facet.is_exact),
    )


def facet_of(message: facet_pb2.Facet) -> Facet:
    """Return a facet as the catalog or the cache has it."""
    return Facet(
        message.field,
        [FacetValue(each.value, each.count, each.filter) for each in message.values],
        message.other_count,
        message.missing_count,
        message.kind == facet_pb2.COUNT_KIND_EXACT,
    )
