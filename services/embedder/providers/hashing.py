"""Feature hashing: vectors without a model, for emergencies and tests.

After Weinberger et al., "Feature Hashing for Large Scale Multitask Learning"
(2009): each feature adds, with a sign, to one of the dimensions. Features are
words and their character n-grams, so that similar spellings are near.
"""

import math
import re
import time
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from services.embedder.providers.base import (
    Embedded,
    LaneLimits,
    ProviderTimeout,
    Vectors,
    unit_rows,
)
from services.embedder.spaces import Purpose, Space

DIMENSIONS = 512
_NGRAM_LENGTHS = (3, 4, 5)
_WORD = re.compile(r"\w+")


class HashingProvider:
    """The same text gives the same bytes in every process."""

    is_failing = False
    lanes: Mapping[Purpose, LaneLimits] = {
        Purpose.QUERY: LaneLimits(workers=1, batch_texts=1),
        Purpose.DOCUMENT: LaneLimits(workers=1, batch_texts=16, niceness=10),
    }

    def __init__(self, *, document_template: str) -> None:
        self.space = Space(
            provider="hashing",
            model="words-ngrams",
            # Count up with every change of `_features` or `_embedded`.
            revision="1",
            dimensions=DIMENSIONS,
            max_tokens=0,
            pooling="signed-sum",
            document_template=document_template,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def embed_batch(
        self,
        texts: Sequence[str],
        purpose: Purpose,  # noqa: ARG002 (both are embedded alike)
        timeout_seconds: float,
    ) -> Embedded:
        """Embed the texts as they are; nothing is ever cut."""
        give_up_at = time.monotonic() + timeout_seconds
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            if time.monotonic() > give_up_at:
                raise ProviderTimeout
            row[:] = _summed(text)
        return Embedded(unit_rows(vectors), np.zeros(len(texts), dtype=np.bool_))


def _summed(text: str) -> Vectors:
    """Return the signed sum of the features; a text without any letter is its own feature."""
    vector = np.zeros(DIMENSIONS, dtype=np.float64)
    words = Counter(_WORD.findall(_folded(text)))
    weights: Counter[str] = Counter()
    for word, count in words.items():
        for feature, weight in _features(word):
            weights[feature] += weight * count  # type: ignore[assignment]
    for feature, weight in weights.items() or ((text, 1.0),):
        code = zlib.crc32(feature.encode())
        # Damped, because the tenth "cable" says less than the first.
        damped = math.log1p(weight)
        vector[(code >> 1) % DIMENSIONS] += damped if code & 1 else -damped
    return vector.astype(np.float32)


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _features(word: str) -> Iterator[tuple[str, float]]:
    """Yield the word, and its n-grams, which weigh as much as the word together."""
    yield word, 1.0
    framed = f"<{word}>"
    ngrams = [
        framed[start : start + length]
        for length in _NGRAM_LENGTHS
        for start in range(len(framed) - length + 1)
    ]
    for ngram in ngrams:
        yield ngram, 1.0 / math.sqrt(len(ngrams))
