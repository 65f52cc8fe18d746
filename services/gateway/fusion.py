"""Two rankings into one: words and meaning, each by its own score, put on one scale."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count, repeat

from services.gateway.answers import Explanation, Hit
from services.gateway.candidates import Candidates, VectorHits, WordHits

# The scale of words goes down to the candidate at this place: beyond it are the many that
# hold one of the words somewhere. They keep their order below the floor.
RANKED_BY_WORDS = 200
# What the last ranked candidate of a way has over one that it did not find at all. Of the
# nearest few hundred out of thousands every one means something like the query, while the
# last by words hold one of its words somewhere. On judged queries both are flat around these.
LEXICAL_FLOOR = 0.2
SEMANTIC_FLOOR = 0.5
# Rank, cosine and score of what the index did not find.
_NOT_NEAR = (0, 0.0, 0.0)


def fused(lexical: WordHits, semantic: VectorHits, semantic_weight: float) -> Candidates:
    """Return the candidates of both, the highest fused score first.

    What the query names by an identifier stands before all else, in the order
    of the words. Where the query requires its words, only products that hold
    them are left.
    """
    by_words = _lexical_scores(lexical.scores, lexical.exact_identifiers)
    by_meaning = _semantic_scores(semantic.cosines)
    near = dict(
        zip(semantic.ids, zip(count(1), semantic.cosines, by_meaning, strict=False), strict=True)
    )
    word_weight = 1.0 - semantic_weight
    hits: list[Hit] = []
    for place, product_id in enumerate(lexical.ids):
        rank, cosine, meaning_score = near.pop(product_id, _NOT_NEAR)
        score = word_weight * by_words[place] + semantic_weight * meaning_score
        is_exact = place < lexical.exact_identifiers
        explanation = Explanation(
            1.0 if is_exact else score,
            rank,
            cosine,
            place + 1,
            lexical.scores[place],
            is_exact,
            by_words[place],
            meaning_score,
        )
        hits.append((product_id, explanation))
    if not lexical.requires_words:
        hits += [
            (
                product_id,
                Explanation(semantic_weight * score, rank, cosine, semantic_score=score),
            )
            for product_id, (rank, cosine, score) in near.items()
        ]
    # Stable: between equals the words decide.
    named, others = hits[: lexical.exact_identifiers], hits[lexical.exact_identifiers :]
    others.sort(key=lambda hit: -hit[1].score)
    hits = named + others
    plan = replace(semantic.plan, candidates=len(hits), lexical_candidates=len(lexical.ids))
    return Candidates(
        hits,
        min(lexical.revision, semantic.revision),
        plan,
        semantic.space,
        lexical.corrected_query,
        lexical.is_complete and (lexical.requires_words or semantic.is_complete),
        lexical.rules,
        lexical.synonym_ids,
    )


def _lexical_scores(scores: Sequence[float], exact_identifiers: int) -> list[float]:
    """Return BM25 on the line from the floor, for the last ranked, to 1, for the first.

    What the query names by an identifier has 1, and no part in the scale.
    """
    ranked = scores[exact_identifiers : exact_identifiers + RANKED_BY_WORDS]
    if not ranked:
        return [1.0] * exact_identifiers
    high, low = ranked[0], ranked[-1]
    scale = (1.0 - LEXICAL_FLOOR) / ((high - low) or 1.0)
    beyond = len(scores) - exact_identifiers - len(ranked)
    return [
        *repeat(1.0, exact_identifiers),
        *(1.0 - scale * (high - score) for score in ranked),
        *(LEXICAL_FLOOR * (1.0 - place / (beyond + 1)) for place in range(1, beyond + 1)),
    ]


def _semantic_scores(cosines: Sequence[float]) -> list[float]:
    """Return cosines on the line from the floor, for the last of the nearest, to 1."""
    if not cosines:
        return []
    scale = (1.0 - SEMANTIC_FLOOR) / ((cosines[0] - cosines[-1]) or 1.0)
    return [1.0 - scale * (cosines[0] - cosine) for cosine in cosines]
