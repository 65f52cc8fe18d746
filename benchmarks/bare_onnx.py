"""The floor of any import: onnxruntime alone over the same texts, without a service around it."""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL = Path("services/embedder/models/all-MiniLM-L6-v2-int8")
MAX_TOKENS = 256
BATCH = 32


def main() -> None:
    """Embed the lines of stdin (a text each); print documents per second."""
    texts = [line.rstrip("\n") for line in sys.stdin]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(MODEL / "onnx" / "model.onnx"), options)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()

    def embed(batch: list[str]) -> None:
        encoded = tokenizer.encode_batch(batch)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (tokens,) = session.run(["last_hidden_state"], feed)
        pooled = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    embed(texts[:BATCH])
    texts.sort(key=len)
    started = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        embed(texts[first : first + BATCH])
    print(len(texts) / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
