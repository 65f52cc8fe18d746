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
                explanation=pb.Explanation(
                    semantic_rank=result.explanation.semantic_rank,
                    cosine=result.explanation.cosine,
                    lexical_rank=result.explanation.lexical_rank,
                    bm25=result.explanation.bm25,
                ),
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
            ),
        ),
    )
    response.info.compute_time.FromNanoseconds(int(answer.computed_at * 1e9))
    return response


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
                Result(
                    result.product,
                    Explanation(
                        result.explanation.semantic_rank,
                        result.explanation.cosine,
                        result.explanation.lexical_rank,
                        result.explanation.bm25,
                    ),
                )
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
            ),
            computed_at=info.compute_time.ToNanoseconds() / 1e9,
        )
