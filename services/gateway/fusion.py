"""Two rankings into one: words and meaning, each by its own score, put on one scale."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.gateway.candidates import Candidates, VectorHits, WordHits
from services.gateway.hits import (
    BM25,
    BY_MEANING,
    BY_WORDS,
    COSINE,
    IS_EXACT,
    LEXICAL_RANK,
    NUMBERS,
    SCORE,
    SEMANTIC_RANK,
    Hits,
)

# The scale of words goes down to the candidate at this place: beyond it are the many that
# hold one of the words somewhere. They keep their order below the floor.
RANKED_BY_WORDS = 200
# What the last ranked candidate of a way has over one that it did not find at all. Of the
# nearest few hundred out of thousands every one means something like the query, while the
# last by words hold one of its words somewhere. On judged queries both are flat around these.
LEXICAL_FLOOR = 0.2
SEMANTIC_FLOOR = 0.5
# Stands for the place of what the index did not find.
_NOT_NEAR = -1

Scores = NDArray[np.float64]


def fused(lexical: WordHits, semantic: VectorHits, semantic_weight: float) -> Candidates:
    """Return the candidates of both, the highest fused score first.

    What the query names by an identifier stands before all else, in the order
    of the words. Where the query requires its words, only products that hold
    them are left.
    """
    by_words = _lexical_scores(np.array(lexical.scores), lexical.exact_identifiers)
    by_meaning = _semantic_scores(np.array(semantic.cosines))
    hits = _joined(lexical, semantic, by_words, by_meaning, semantic_weight)
    # Stable: between equals the words decide.
    others = lexical.exact_identifiers + np.argsort(
        -hits.table[lexical.exact_identifiers :, SCORE], kind="stable"
    )
    order = np.concatenate([np.arange(lexical.exact_identifiers), others])
    hits = Hits([hits.ids[place] for place in order.tolist()], hits.table[order])
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


def _joined(
    lexical: WordHits,
    semantic: VectorHits,
    by_words: Scores,
    by_meaning: Scores,
    semantic_weight: float,
) -> Hits:
    """Return what words find, in their order, then what only the index finds, unless refused."""
    places = {product_id: place for place, product_id in enumerate(semantic.ids)}
    near = np.array([places.get(id_, _NOT_NEAR) for id_ in lexical.ids], dtype=np.intp)
    is_near = near != _NOT_NEAR
    is_near_only = np.full(len(semantic.ids), not lexical.requires_words)
    is_near_only[near[is_near]] = False
    near_only = np.flatnonzero(is_near_only)

    words = len(lexical.ids)
    ids = [*lexical.ids, *(semantic.ids[place] for place in near_only.tolist())]
    table = np.zeros((len(ids), NUMBERS))
    at = np.concatenate([np.flatnonzero(is_near), np.arange(words, len(ids))])
    found = np.concatenate([near[is_near], near_only])
    table[at, SEMANTIC_RANK] = found + 1
    table[at, COSINE] = np.array(semantic.cosines)[found]
    table[at, BY_MEANING] = by_meaning[found]
    table[:words, LEXICAL_RANK] = np.arange(1, words + 1)
    table[:words, BM25] = lexical.scores
    table[:words, BY_WORDS] = by_words
    table[:, SCORE] = (1.0 - semantic_weight) * table[:, BY_WORDS]
    table[:, SCORE] += semantic_weight * table[:, BY_MEANING]
    table[: lexical.exact_identifiers, IS_EXACT] = 1
    table[: lexical.exact_identifiers, SCORE] = 1.0
    return Hits(ids, table)


def _lexical_scores(scores: Scores, exact_identifiers: int) -> Scores:
    """Return BM25 on the line from the floor, for the last ranked, to 1, for the first.

    What the query names by an identifier has 1, and no part in the scale.
    """
    ranked = scores[exact_identifiers : exact_identifiers + RANKED_BY_WORDS]
    if not len(ranked):
        return np.ones(exact_identifiers)
    high, low = ranked[0], ranked[-1]
    scale = (1.0 - LEXICAL_FLOOR) / ((high - low) or 1.0)
    beyond = len(scores) - exact_identifiers - len(ranked)
    return np.concatenate(
        [
            np.ones(exact_identifiers),
            1.0 - scale * (high - ranked),
            LEXICAL_FLOOR * (1.0 - np.arange(1, beyond + 1) / (beyond + 1)),
        ]
    )


def _semantic_scores(cosines: Scores) -> Scores:
    """Return cosines on the line from the floor, for the last of the nearest, to 1."""
    if not len(cosines):
        return cosines
    scale = (1.0 - SEMANTIC_FLOOR) / ((cosines[0] - cosines[-1]) or 1.0)
    scores: Scores = 1.0 - scale * (cosines[0] - cosines)
    return scores
