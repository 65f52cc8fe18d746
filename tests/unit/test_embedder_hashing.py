"""Feature hashing: the same everywhere, near for what is spelled alike."""

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.embedder_support import hashed


def cosine(one: str, other: str) -> float:
    vectors = hashed([one, other])
    return float(vectors[0] @ vectors[1])


def test_a_text_has_the_same_bytes_in_every_process() -> None:
    vectors = hashed(["Auriculares inalámbricos Sony WH-1000XM5", "\x00", "🎧"])
    assert hashlib.sha256(vectors.tobytes()).hexdigest()[:16] == "8de602f187ce8768"


def test_similar_spellings_are_near() -> None:
    near = cosine("wireless headphones", "wireles headphone")
    far = cosine("wireless headphones", "laser toner cartridge")
    assert near > 0.4
    assert abs(far) < 0.2


def test_case_and_accents_do_not_matter() -> None:
    assert cosine("Cámara RÉFLEX", "camara reflex") > 0.999


def test_a_shared_word_brings_texts_together() -> None:
    assert cosine("red running shoe", "blue running jacket") > cosine(
        "red running shoe", "espresso machine"
    )


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_has_a_vector_of_length_1(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    (vector,) = hashed([text])
    assert abs(np.linalg.norm(vector) - 1) < 1e-5
