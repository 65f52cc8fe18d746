"""Google's embedding models, through `google-generativeai`. The only file that imports it."""

import asyncio
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import requests
from google.api_core import exceptions as api_errors

from services.embedder.providers.base import (
    CredentialRefused,
    Embedded,
    LaneLimits,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnusable,
    QuotaExhausted,
    TextRefused,
    Vectors,
    unit_rows,
)
from services.embedder.spaces import Purpose, Space

with warnings.catch_warnings():
    # It warns that its support has ended, and its parts of deprecations inside it.
    warnings.simplefilter("ignore")
    import google.generativeai as genai
    from google.ai import generativelanguage

# Of gemini-embedding-001. The API cuts longer texts and does not say so.
MAX_TOKENS = 2_048
# What a token has on average in European languages, by Google's own rule of thumb.
_CHARACTERS_PER_TOKEN = 4
_MAX_REQUESTS_PER_BATCH = 100
_TASKS = {Purpose.QUERY: "retrieval_query", Purpose.DOCUMENT: "retrieval_document"}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


class GeminiProvider:
    """One model of the Gemini API, with its own task type for queries and for documents.

    `is_truncated` is an estimate here: texts of more than 2,048 x 4 characters.
    One attempt per call: retrying is `Guarded`'s. A blank text is embedded as "-",
    because the API accepts none.
    """

    is_failing = False
    lanes: Mapping[Purpose, LaneLimits] = {
        # Waiting for the network costs nothing, so more of them than there are cores.
        Purpose.QUERY: LaneLimits(workers=4, batch_texts=16),
        Purpose.DOCUMENT: LaneLimits(workers=2, batch_texts=_MAX_REQUESTS_PER_BATCH, niceness=10),
    }

    def __init__(
        self,
        *,
        api_key: str,
        model: str,
        dimensions: int,
        document_template: str,
        endpoint: str | None = None,
        transport: Literal["rest", "grpc"] = "rest",
    ) -> None:
        self._api_key = api_key
        self._endpoint = endpoint
        self._transport = transport
        self._client: Any = None
        self.space = Space(
            provider="gemini",
            model=model,
            # The API names no revision of a model: a new one has a new name.
            revision=model,
            dimensions=dimensions,
            max_tokens=MAX_TOKENS,
            pooling="provider",
            document_template=document_template,
            query_task=_TASKS[Purpose.QUERY],
            document_task=_TASKS[Purpose.DOCUMENT],
        )

    async def __aenter__(self) -> Self:
        try:
            self._client = await asyncio.to_thread(self._connect)
        except Exception as error:
            kind = type(error).__name__
            raise ProviderUnusable(f"gemini: the client cannot be made ({kind})") from None
        return self

    def _connect(self) -> Any:
        options = {"api_key": self._api_key}
        if self._endpoint:
            options["api_endpoint"] = self._endpoint
        return generativelanguage.GenerativeServiceClient(
            transport=self._transport, client_options=options
        )

    async def __aexit__(self, *_: object) -> None:
        self._client.transport.close()

    def embed_batch(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        """Embed up to 100 texts in one request of the API."""
        try:
            answer = genai.embed_content(  # type: ignore[attr-defined, call-overload]
                model=f"models/{self.space.model}",
                content=[text if text.strip() else "-" for text in texts],
                task_type=_TASKS[purpose],
                output_dimensionality=self.space.dimensions,
                client=self._client,
                # None turns the SDK's own retry off, which its types do not know.
                request_options={"timeout": timeout_seconds, "retry": None},
            )
            vectors = self._checked(answer["embedding"], len(texts))
        except ProviderError:
            raise
        except Exception as error:
            # Without the cause: its text may quote the request.
            raise _meaning_of(error) from None
        longest = MAX_TOKENS * _CHARACTERS_PER_TOKEN
        return Embedded(vectors, np.array([len(text) > longest for text in texts], dtype=np.bool_))

    def _checked(self, rows: Sequence[Sequence[float]], count: int) -> Vectors:
        if len(rows) != count:
            raise ProviderFailed(f"{len(rows)} vectors for {count} texts")
        for row in rows:
            if len(row) != self.space.dimensions:
                raise ProviderFailed(f"{len(row)} dimensions instead of {self.space.dimensions}")
        # Only vectors of the full 3,072 dimensions come with length 1.
        return unit_rows(np.array(rows, dtype=np.float32))


def _meaning_of(error: Exception) -> ProviderError:
    """Return what an exception of the SDK or of its transport means, without its text."""
    kind = type(error).__name__
    meaning: ProviderError = ProviderFailed(f"not an answer ({kind})")
    if isinstance(error, api_errors.GoogleAPICallError):
        meaning = _meaning_of_status(int(error.code or 500), error)
    elif isinstance(error, requests.Timeout):
        meaning = ProviderTimeout("no answer in time")
    elif isinstance(error, requests.RequestException):
        meaning = ProviderFailed(f"cannot be reached ({kind})", is_transient=True)
    return meaning


def _meaning_of_status(code: int, error: api_errors.GoogleAPICallError) -> ProviderError:
    meaning: ProviderError = ProviderFailed(f"answered with {code}", is_transient=code >= 500)
    if code == 429:
        meaning = QuotaExhausted(_retry_after_seconds(error))
    elif code in (401, 403) or (code == 400 and _is_about_the_key(error)):
        meaning = CredentialRefused(f"the API key is refused ({code})")
    elif code == 400:
        meaning = TextRefused("a text is refused (400)")
    elif code in (408, 504):
        meaning = ProviderTimeout(f"no answer in time ({code})")
    return meaning


def _is_about_the_key(error: api_errors.GoogleAPICallError) -> bool:
    # Over REST the details are dicts, over gRPC messages; both show the reason as text.
    return "API_KEY_INVALID" in str(error.details) or "API key" in error.message


def _retry_after_seconds(error: api_errors.GoogleAPICallError) -> float:
    for detail in error.details:
        if isinstance(detail, dict):  # REST
            delay = str(detail.get("retryDelay", "")) if detail.get("@type") == _RETRY_INFO else ""
            try:
                return float(delay.removesuffix("s"))
            except ValueError:
                continue
        if hasattr(detail, "retry_delay"):  # gRPC
            return float(detail.retry_delay.ToTimedelta().total_seconds())
    return 0.0
