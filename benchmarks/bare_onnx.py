"""The floor of any import: onnxruntime alone over the same texts, without a service around it.

One text a run and two threads, each with runs of its own: the fastest of the ways
tried (batches of 8, 32 and 64, sorted by length, are slower with the int8 model).
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL = Path("services/embedder/models/all-MiniLM-L6-v2-int8")
MAX_TOKENS = 256
THREADS = 2


def main() -> None:
    """Embed the lines of stdin (a text each); print documents per second."""
    texts = [line.rstrip("\n") for line in sys.stdin]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(MODEL / "onnx" / "model.onnx"), options)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()

    def embed(text: str) -> None:
        encoded = tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (tokens,) = session.run(["last_hidden_state"], feed)
        pooled = tokens[0].mean(axis=0)
        pooled / np.linalg.norm(pooled)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(embed, texts[:100]))  # warm up
        started = time.perf_counter()
        list(threads.map(embed, texts))
        print(len(texts) / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
