"""Local models: any sentence-transformers folder with an ONNX model, on onnxruntime."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.embedder.providers.base import (
    Embedded,
    LaneLimits,
    ProviderTimeout,
    ProviderUnusable,
    Vectors,
    unit_rows,
)
from services.embedder.providers.model_folder import Pooling, read_model_folder
from services.embedder.spaces import Purpose, Space

# A word longer than this is one unknown token to most vocabularies, and a text
# of max_tokens such words does not occur: what is beyond would be cut anyway,
# but only after it had been tokenised.
_MAX_CHARACTERS_PER_TOKEN = 64

# Of onnxruntime's rewritings of the graph. The kernel of this one is slower than what it
# replaces, an eighth of the time of a document; without it the vectors of an int8 model
# are also nearer to those of the graph as it was written (mean cosine 0.99999).
_LEFT_OUT_FUSIONS = ("SkipLayerNormFusion",)


class MiniLMProvider:
    """A transformer on the processor. Each text is a run of its own, in one thread.

    Batches would be slower here, and worse: an int8 model scales its
    activations by the largest in the batch, so that a text's vector would
    depend on its neighbours (cosine 0.99 between two batches). Alone, it
    depends on nothing but the text. Parallel are the lanes' threads.
    """

    is_failing = False
    space: Space

    def __init__(
        self,
        folder: Path,
        *,
        document_template: str,
        query_prefix: str = "",
        document_prefix: str = "",
        query_workers: int = 1,
        document_workers: int = 1,
    ) -> None:
        self._folder = folder
        self._document_template = document_template
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix
        self.lanes: Mapping[Purpose, LaneLimits] = {
            Purpose.QUERY: LaneLimits(workers=query_workers, batch_texts=1),
            # Few in a batch, so that a thread soon hears of queries: those have a core then.
            Purpose.DOCUMENT: LaneLimits(
                workers=document_workers,
                batch_texts=4,
                niceness=10,
                workers_beside_queries=max(1, document_workers - 1),
            ),
        }

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._load)
        return self

    async def __aexit__(self, *_: object) -> None:
        del self._session, self._tokenizer

    def _load(self) -> None:
        model = read_model_folder(self._folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = model.onnx_path
        try:
            self._session = onnxruntime.InferenceSession(
                str(file),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_LEFT_OUT_FUSIONS,
            )
            file = model.tokenizer_path
            self._tokenizer = Tokenizer.from_file(str(file))
            # The file may bring its own length and padding, made for training.
            self._tokenizer.enable_truncation(max_length=model.max_tokens)
            self._tokenizer.no_padding()
            file = model.onnx_path
            self._model = model
            self._inputs = {each.name for each in self._session.get_inputs()}
            # The first run also allocates; better now than in the first query.
            dimensions = self._pooled("warm up")[0].shape[0]
        except Exception as error:
            # onnxruntime and tokenizers have no error class in common but this.
            raise ProviderUnusable(f"{file}: does not run, it is damaged: {error}") from error
        self.space = Space(
            provider="minilm",
            model=model.name,
            revision=model.revision,
            dimensions=dimensions,
            max_tokens=model.max_tokens,
            pooling=model.pooling.value,
            document_template=self._document_template,
            query_prefix=self._query_prefix,
            document_prefix=self._document_prefix,
        )

    def embed_batch(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        """Embed the texts one after the other."""
        give_up_at = time.monotonic() + timeout_seconds
        prefix = self.space.prefix(purpose)
        vectors = np.empty((len(texts), self.space.dimensions), dtype=np.float32)
        is_truncated = np.zeros(len(texts), dtype=np.bool_)
        for row, text in enumerate(texts):
            if time.monotonic() > give_up_at:
                raise ProviderTimeout("not done in time")
            vectors[row], is_truncated[row] = self._pooled(prefix + text)
        return Embedded(unit_rows(vectors), is_truncated)

    def _pooled(self, text: str) -> tuple[Vectors, bool]:
        """Return the vector of a text, of any length, and whether the text was cut."""
        longest = self._model.max_tokens * _MAX_CHARACTERS_PER_TOKEN
        encoding = self._tokenizer.encode(text[:longest])
        # A vocabulary without marks of begin and end has no token for a blank text.
        ids = encoding.ids or [self._model.pad_token_id]
        tokens = np.array([ids], dtype=np.int64)
        feeds = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(tokens)
        if "position_ids" in self._inputs:
            feeds["position_ids"] = np.arange(tokens.shape[1], dtype=np.int64)[np.newaxis]
        output: NDArray[Any] = self._session.run(None, feeds)[0][0]
        return (
            _pool(output.astype(np.float32, copy=False), self._model.pooling),
            len(text) > longest or bool(encoding.overflowing),
        )


def _pool(output: Vectors, pooling: Pooling) -> Vectors:
    """Return one vector of [tokens, dimensions]; a model that pools itself gives it already."""
    if output.ndim == 1:
        return output
    pooled: Vectors
    match pooling:
        case Pooling.MEAN:
            pooled = output.mean(axis=0)
        case Pooling.MAX:
            pooled = output.max(axis=0)
        case Pooling.CLS:
            pooled = output[0]
    return pooled
