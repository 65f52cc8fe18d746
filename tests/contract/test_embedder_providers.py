"""What every provider of vectors does, whatever makes them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from services.embedder.providers.base import Provider, ProviderTimeout, ProviderUnusable
from services.embedder.providers.gemini import GeminiProvider
from services.embedder.providers.guarded import Guarded
from services.embedder.providers.hashing import HashingProvider
from services.embedder.providers.minilm import MiniLMProvider
from services.embedder.spaces import Purpose
from tests.embedder_support import MINILM_FOLDER, TEMPLATE, ScriptedProvider
from tests.fake_gemini import Healthy, fake_gemini, fake_vector

QUERY, DOCUMENT = Purpose.QUERY, Purpose.DOCUMENT
HOSTILE = [
    " ",
    "\n\t ",
    "\x00",
    "\x07\x1b[31m\x7f",
    "🎧🎧🎧",
    "e\u0301\u200d\ufeff\u202e",
    "\U000e0001\ud7ff\uffff",
    "[CLS] [SEP] [PAD] [MASK]",
    "x" * 100_000,
    "日本語のヘッドホン" * 1_000,
    "word " * 20_000,
]


@pytest.fixture(params=["hashing", "scripted", "minilm", "gemini", "guarded gemini"])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    async with AsyncExitStack() as stack:
        made: Provider
        match request.param:
            case "hashing":
                made = HashingProvider(document_template=TEMPLATE)
            case "scripted":
                made = ScriptedProvider()
            case "minilm":
                made = MiniLMProvider(MINILM_FOLDER, document_template=TEMPLATE)
            case _:
                fake = await stack.enter_async_context(fake_gemini())
                made = GeminiProvider(
                    api_key=fake.api_key,
                    model="gemini-embedding-001",
                    dimensions=64,
                    document_template=TEMPLATE,
                    endpoint=fake.endpoint,
                )
                if request.param == "guarded gemini":
                    made = Guarded(made)
        yield await stack.enter_async_context(made)


def test_a_vector_a_text_in_order_each_of_length_1(provider: Provider) -> None:
    texts = [f"product number {number}" for number in range(provider.lanes[DOCUMENT].batch_texts)]
    embedded = provider.embed_batch(texts, DOCUMENT, 30)
    assert embedded.vectors.shape == (len(texts), provider.space.dimensions)
    assert embedded.vectors.dtype == np.float32
    assert embedded.is_truncated.shape == (len(texts),)
    assert np.allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-5)
    for row in (0, len(texts) - 1):
        alone = provider.embed_batch([texts[row]], DOCUMENT, 30).vectors[0]
        assert np.array_equal(alone, embedded.vectors[row])


def test_a_texts_vector_does_not_depend_on_its_neighbours(provider: Provider) -> None:
    alone = provider.embed_batch(["wireless headphones"], QUERY, 30).vectors[0]
    among = provider.embed_batch(["a" * 500, "wireless headphones", "b"], QUERY, 30).vectors[1]
    assert np.array_equal(alone, among)


def test_different_texts_have_different_vectors(provider: Provider) -> None:
    vectors = provider.embed_batch(["red shoe", "laser printer"], QUERY, 30).vectors
    assert vectors[0] @ vectors[1] < 0.9


def test_any_text_has_a_vector_and_harms_no_other(provider: Provider) -> None:
    alone = provider.embed_batch(["good"], DOCUMENT, 30).vectors[0]
    hostile = [text.encode("utf-8", "replace").decode() for text in HOSTILE]
    for text in hostile:
        vectors = provider.embed_batch(["good", text, "good"], DOCUMENT, 30).vectors
        assert np.isfinite(vectors).all()
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert np.array_equal(vectors[0], alone)
        assert np.array_equal(vectors[2], alone)


def test_texts_that_are_cut_are_told(provider: Provider) -> None:
    texts = ["short", "many words " * 2_000, "short too"]
    is_truncated = provider.embed_batch(texts, DOCUMENT, 30).is_truncated
    reads_all = provider.space.max_tokens == 0
    assert is_truncated.tolist() == [False, not reads_all, False]


async def test_many_threads_may_call_at_once(provider: Provider) -> None:
    texts = [f"text {number}" for number in range(12)]
    together = provider.embed_batch(texts, QUERY, 30).vectors
    apart = await asyncio.gather(
        *(asyncio.to_thread(provider.embed_batch, [text], QUERY, 30) for text in texts)
    )
    assert np.array_equal(np.concatenate([each.vectors for each in apart]), together)


def test_a_space_says_what_it_is(provider: Provider) -> None:
    space = provider.space
    assert space.id.startswith(f"{space.provider}-")
    assert space.document_template.startswith(TEMPLATE)
    assert not provider.is_failing


# What only some can show.


@pytest.fixture
async def minilm() -> AsyncIterator[MiniLMProvider]:
    async with MiniLMProvider(MINILM_FOLDER, document_template=TEMPLATE) as opened:
        yield opened


def test_minilm_knows_what_words_mean(minilm: MiniLMProvider) -> None:
    texts = ["a laptop for travelling", "light notebook computer", "toner cartridge, black"]
    vectors = minilm.embed_batch(texts, QUERY, 30).vectors
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_minilm_reads_as_many_tokens_as_it_says(minilm: MiniLMProvider) -> None:
    # Begin and end count too; the vocabulary's own file says 128.
    words = minilm.space.max_tokens - 2
    assert minilm.space.max_tokens == 256
    is_truncated = minilm.embed_batch(["a " * words, "a " * (words + 1)], QUERY, 30).is_truncated
    assert is_truncated.tolist() == [False, True]


def test_minilm_gives_up_in_time(minilm: MiniLMProvider) -> None:
    with pytest.raises(ProviderTimeout):
        minilm.embed_batch(["word " * 300] * 200, DOCUMENT, 0.05)


async def test_prefixes_of_the_model_stand_before_the_text(minilm: MiniLMProvider) -> None:
    async with MiniLMProvider(
        MINILM_FOLDER,
        document_template=TEMPLATE,
        query_prefix="query: ",
        document_prefix="passage: ",
    ) as prefixed:
        for purpose, prefix in ((QUERY, "query: "), (DOCUMENT, "passage: ")):
            expected = minilm.embed_batch([prefix + "shoe"], purpose, 30).vectors
            assert np.array_equal(prefixed.embed_batch(["shoe"], purpose, 30).vectors, expected)
        assert prefixed.space.id != minilm.space.id


async def test_another_pooling_is_another_space(minilm: MiniLMProvider, tmp_path: Path) -> None:
    for name in ("onnx", "tokenizer.json", "config.json"):
        (tmp_path / name).symlink_to(MINILM_FOLDER / name)
    (tmp_path / "1_Pooling").mkdir()
    vectors = [minilm.embed_batch(["shoe"], QUERY, 30).vectors[0]]
    ids = {minilm.space.id}
    for mode in ("cls", "max"):
        (tmp_path / "1_Pooling/config.json").write_text(f'{{"pooling_mode": "{mode}"}}')
        async with MiniLMProvider(tmp_path, document_template=TEMPLATE) as other:
            vectors.append(other.embed_batch(["shoe"], QUERY, 30).vectors[0])
            ids.add(other.space.id)
    assert len(ids) == 3
    assert (np.array(vectors) @ np.array(vectors).T - np.eye(3) < 0.99).all()


async def test_a_damaged_model_does_not_open(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MINILM_FOLDER, folder)
    (folder / "SHA256SUMS").unlink()
    with (folder / "onnx/model.onnx").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(ProviderUnusable):
        await MiniLMProvider(folder, document_template=TEMPLATE).__aenter__()


async def test_gemini_says_what_texts_are_for_and_sets_the_length_to_1() -> None:
    async with (
        fake_gemini() as fake,
        GeminiProvider(
            api_key=fake.api_key,
            model="gemini-embedding-001",
            dimensions=8,
            document_template=TEMPLATE,
            endpoint=fake.endpoint,
        ) as gemini,
    ):
        fake.script(Healthy())
        embedded = gemini.embed_batch(["shoe"], DOCUMENT, 30)
        gemini.embed_batch(["shoe"], QUERY, 30)
    raw = np.array(fake_vector("shoe", 2, 8), dtype=np.float32)
    assert np.allclose(embedded.vectors[0], raw / np.linalg.norm(raw), atol=1e-6)
    assert [request.task_types for request in fake.requests] == [[2], [1]]
    assert {request.api_key for request in fake.requests} == {fake.api_key}
