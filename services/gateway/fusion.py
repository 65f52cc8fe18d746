"""Two rankings into one: words and meaning, each by its own score, put on one scale."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from services.gateway.answers import Candidates, Explanation

Hit = tuple[str, Explanation]
Scores = dict[str, float]

# What the last candidate of a way has over one that it did not find at all. Of the nearest
# 200 out of thousands every one means something like the query, while the last by words
# hold one of its words somewhere. On judged queries both are flat around these.
LEXICAL_FLOOR = 0.2
SEMANTIC_FLOOR = 0.5


def fused(lexical: Candidates, semantic: Candidates, semantic_weight: float) -> Candidates:
    """Return the candidates of both, the highest fused score first.

    What the query names by an identifier stands before all else, in the order
    of the words. Where the query requires its words, only products that hold
    them are left.
    """
    by_words, by_meaning = dict(lexical.hits), dict(semantic.hits)
    word_scores = _scaled(lexical.hits, lambda hit: hit.bm25, LEXICAL_FLOOR)
    meaning_scores = _scaled(semantic.hits, lambda hit: hit.cosine, SEMANTIC_FLOOR)
    found = by_words if lexical.requires_words else by_words | by_meaning
    hits = [
        (
            product_id,
            _explanation(
                by_words.get(product_id),
                by_meaning.get(product_id),
                word_scores.get(product_id, 0.0),
                meaning_scores.get(product_id, 0.0),
                semantic_weight,
            ),
        )
        for product_id in found
    ]
    # Between equals the words decide.
    hits.sort(
        key=lambda hit: (
            not hit[1].is_exact_identifier,
            -hit[1].score,
            hit[1].lexical_rank or len(hits),
        )
    )
    plan = replace(
        semantic.plan,
        candidates=len(hits),
        lexical_candidates=len(lexical.hits),
        semantic_candidates=len(semantic.hits),
    )
    return replace(
        lexical,
        hits=hits,
        revision=min(lexical.revision, semantic.revision),
        plan=plan,
        space=semantic.space,
    )


def _scaled(hits: Sequence[Hit], raw: Callable[[Explanation], float], lowest: float) -> Scores:
    """Return raw scores on the line from `lowest`, for the last hit, to 1, for the first."""
    scores = [raw(explanation) for _, explanation in hits]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    span = (high - low) or 1.0
    return {
        product_id: 1.0 - (1.0 - lowest) * (high - score) / span
        for (product_id, _), score in zip(hits, scores, strict=True)
    }


def _explanation(
    words: Explanation | None,
    meaning: Explanation | None,
    lexical_score: float,
    semantic_score: float,
    semantic_weight: float,
) -> Explanation:
    is_exact = words is not None and words.is_exact_identifier
    score = (1.0 - semantic_weight) * lexical_score + semantic_weight * semantic_score
    return Explanation(
        score=1.0 if is_exact else score,
        semantic_rank=meaning.semantic_rank if meaning else 0,
        cosine=meaning.cosine if meaning else 0.0,
        lexical_rank=words.lexical_rank if words else 0,
        bm25=words.bm25 if words else 0.0,
        is_exact_identifier=is_exact,
        lexical_score=lexical_score,
        semantic_score=semantic_score,
    )
