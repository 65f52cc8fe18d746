"""Answers as protobuf: on their way out, and in the cache."""

from google.protobuf.message import DecodeError

from services.gateway.answers import (
    Answer,
    Degradation,
    Explanation,
    Plan,
    Result,
    Served,
    Strategy,
)
from vitrina.search.v1 import search_pb2 as pb


def response_of(answer: Answer) -> pb.SearchResponse:
    """Return what is said of an answer to every caller."""
    response = pb.SearchResponse(
        results=[
            pb.Result(
                product=result.product,  # type: ignore[arg-type]
                score=result.explanation.score,
                explanation=_explanation_message(result.explanation),
            )
            for result in answer.results
        ],
        info=pb.AnswerInfo(
            revision=answer.revision,
            space=answer.space,
            degraded=sorted(answer.degraded),  # type: ignore[arg-type]
            plan=pb.Plan(
                strategy=answer.plan.strategy,  # type: ignore[arg-type]
                vectors=answer.plan.vectors,
                passing=answer.plan.passing,
                candidates=answer.plan.candidates,
                lexical_candidates=answer.plan.lexical_candidates,
                semantic_candidates=answer.plan.semantic_candidates,
            ),
        ),
        corrected_query=answer.corrected_query,
    )
    response.info.compute_time.FromNanoseconds(int(answer.computed_at * 1e9))
    return response


def _explanation_message(explanation: Explanation) -> pb.Explanation:
    return pb.Explanation(
        semantic_rank=explanation.semantic_rank,
        cosine=explanation.cosine,
        lexical_rank=explanation.lexical_rank,
        bm25=explanation.bm25,
        is_exact_identifier=explanation.is_exact_identifier,
        lexical_score=explanation.lexical_score,
        semantic_score=explanation.semantic_score,
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
    )


def served_response(served: Served) -> pb.SearchResponse:
    """Return the response to one call: the answer, and how this call came by it."""
    response = response_of(served.answer)
    info = response.info
    info.provenance = served.provenance  # type: ignore[assignment]
    extra = sorted(served.degraded - served.answer.degraded)
    info.degraded.extend(extra)  # type: ignore[arg-type]
    info.timings.CopyFrom(
        pb.Timings(**{name: round(ms, 3) for name, ms in vars(served.timings).items()})
    )
    return response


class ProtobufCodec:
    """See cache.Codec."""

    def encode(self, answer: Answer) -> bytes:
        """Return the serialised response."""
        return response_of(answer).SerializeToString()

    def decode(self, body: bytes) -> Answer:
        """Return the answer; raise ValueError for bytes that are none."""
        try:
            response = pb.SearchResponse.FromString(body)
        except DecodeError:
            raise ValueError("not a search response") from None
        info = response.info
        return Answer(
            results=[
                Result(result.product, _explanation(result.score, result.explanation))
                for result in response.results
            ],
            revision=info.revision,
            space=info.space,
            degraded=frozenset(Degradation(number) for number in info.degraded),
            plan=Plan(
                Strategy(info.plan.strategy),
                info.plan.vectors,
                info.plan.passing,
                info.plan.candidates,
                info.plan.lexical_candidates,
                info.plan.semantic_candidates,
            ),
            computed_at=info.compute_time.ToNanoseconds() / 1e9,
            corrected_query=response.corrected_query,
        )
