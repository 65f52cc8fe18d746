"""The floor of all embedding: onnxruntime alone, without a service around it.

`python -m benchmarks.bare_onnx` embeds the lines of stdin. One text a run and two threads,
each with runs of its own: the fastest of the ways tried (batches of 8, 32 and 64, sorted
by length, are slower with the int8 model).
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

MODEL = Path("services/embedder/models/all-MiniLM-L6-v2-int8")
MAX_TOKENS = 256
THREADS = 2


class BareModel:
    """The model and its tokenizer."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(MODEL / "onnx" / "model.onnx"), options)
        self._tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    def embed(self, text: str) -> NDArray[np.float32]:
        """Return the text's vector, of length 1."""
        encoded = self._tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (tokens,) = self._session.run(["last_hidden_state"], feed)
        pooled: NDArray[np.float32] = tokens[0].mean(axis=0)
        return pooled / np.linalg.norm(pooled)


def main() -> None:
    """Embed the lines of stdin (a text each); print seconds and seconds of CPU as JSON."""
    texts = [line.rstrip("\n") for line in sys.stdin]
    model = BareModel()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(model.embed, texts[:100]))  # warm up
        started, cpu_started = time.perf_counter(), time.process_time()
        list(threads.map(model.embed, texts))
        spent = {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu_started,
        }
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
