"""The embedding part of the Gemini API over REST, on this machine, with a script of behaviours.

    async with fake_gemini() as fake:
        settings = EmbedderSettings(google_api_key=fake.api_key, gemini_endpoint=fake.endpoint)
        fake.script(Quota(retry_after_seconds=0.1), Healthy())  # the last one stays
        ...
        assert fake.requests[0].texts == ["red shoe"]

Other processes reach it too. By itself: `python -m tests.fake_gemini --behaviour hang`.
"""

import argparse
import asyncio
import hashlib
import json
import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_KEY = "AIza-fake-key-for-tests-0123456789"
DEFAULT_DIMENSIONS = 3_072
_KEY_INVALID = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}


@dataclass(frozen=True)
class Healthy:
    """Answers with vectors that depend on text, task and dimensions only; not of length 1."""

    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Quota:
    """429, with a RetryInfo if a time is given; only for a task type if one is given."""

    retry_after_seconds: float | None = None
    task_type: int | None = None


@dataclass(frozen=True)
class Broken:
    """An error status of the API."""

    status: int = 500


@dataclass(frozen=True)
class Hanging:
    """Takes the request and never answers, until the fake ends or its behaviour changes."""


@dataclass(frozen=True)
class WrongDimensions:
    """Healthy, but for the number of dimensions."""

    dimensions: int = 7


@dataclass(frozen=True)
class WrongCount:
    """Healthy, but one vector is missing."""


@dataclass(frozen=True)
class NotJson:
    """200, with a page of a proxy."""


@dataclass(frozen=True)
class Refusing:
    """400 for a request with this text in it, as for a text that the API does not like."""

    text: str


Behaviour = Healthy | Quota | Broken | Hanging | WrongDimensions | WrongCount | NotJson | Refusing


@dataclass(frozen=True)
class SeenRequest:
    """One request as it came in."""

    path: str
    model: str
    texts: Sequence[str]
    task_types: Sequence[Any]
    dimensions: Sequence[int | None]
    api_key: str | None


def fake_vector(text: str, task_type: object, dimensions: int) -> list[float]:
    """Return what the fake answers for a text."""
    seed = hashlib.sha256(f"{task_type}|{text}".encode()).digest()
    source = random.Random(seed)
    return [source.gauss(0.0, 3.0) for _ in range(dimensions)]


@dataclass
class FakeGemini:
    """The fake while it runs. Any key but `api_key` is refused as the API does it."""

    port: int = 0
    api_key: str = API_KEY
    requests: list[SeenRequest] = field(default_factory=list)
    _behaviours: list[Behaviour] = field(default_factory=lambda: [Healthy()])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _version: int = 0

    @property
    def endpoint(self) -> str:
        """For VITRINA_GEMINI_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *behaviours: Behaviour) -> None:
        """Behave so from the next request on, one after the other; the last one stays."""
        with self._changed:
            self._behaviours = list(behaviours)
            self._version += 1
            self._changed.notify_all()

    def _next(self, request: SeenRequest) -> Behaviour:
        with self._changed:
            self.requests.append(request)
            if len(self._behaviours) > 1:
                return self._behaviours.pop(0)
            return self._behaviours[0]

    def _wait_for_another_script(self, timeout_seconds: float | None = None) -> None:
        with self._changed:
            version = self._version
            self._changed.wait_for(lambda: self._version != version, timeout_seconds)

    def answer(self, request: SeenRequest, is_batch: bool) -> tuple[int, bytes]:
        """Return status and body; blocks where the behaviour does."""
        behaviour = self._next(request)
        if request.api_key != self.api_key:
            return _error(400, "INVALID_ARGUMENT", "API key not valid.", _KEY_INVALID)
        if isinstance(behaviour, Hanging):
            self._wait_for_another_script()
        elif isinstance(behaviour, Healthy) and behaviour.delay_seconds:
            self._wait_for_another_script(behaviour.delay_seconds)
        return _refusal(behaviour, request) or (200, _vectors_body(behaviour, request, is_batch))


def _refusal(behaviour: Behaviour, request: SeenRequest) -> tuple[int, bytes] | None:
    match behaviour:
        case Quota(retry_after_seconds=seconds, task_type=task) if task in (
            None,
            *request.task_types,
        ):
            retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo"}
            details = [] if seconds is None else [retry | {"retryDelay": f"{seconds}s"}]
            return _error(429, "RESOURCE_EXHAUSTED", "quota exceeded", *details)
        case Broken(status=status):
            return _error(status, "INTERNAL", "an internal error has occurred")
        case Refusing(text=text) if text in request.texts:
            return _error(400, "INVALID_ARGUMENT", "the text is not acceptable")
        case NotJson():
            return 200, b"<html>please log in</html>"
        case Hanging():
            return _error(503, "UNAVAILABLE", "the service was hanging")
    return None


def _vectors_body(behaviour: Behaviour, request: SeenRequest, is_batch: bool) -> bytes:
    wrong = behaviour.dimensions if isinstance(behaviour, WrongDimensions) else None
    embeddings = [
        {"values": fake_vector(text, task, wrong or dimensions or DEFAULT_DIMENSIONS)}
        for text, task, dimensions in zip(
            request.texts, request.task_types, request.dimensions, strict=True
        )
    ]
    if isinstance(behaviour, WrongCount):
        embeddings.pop()
    body = {"embeddings": embeddings} if is_batch else {"embedding": embeddings[0]}
    return json.dumps(body).encode()


def _error(code: int, status: str, message: str, *details: dict[str, str]) -> tuple[int, bytes]:
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return code, json.dumps({"error": error}).encode()


def _handler_of(fake: FakeGemini) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            content = json.loads(self.rfile.read(length))
            path = self.path.partition("?")[0]
            resource, _, method = path.removeprefix("/v1beta/").partition(":")
            parts = content["requests"] if method == "batchEmbedContents" else [content]
            if method not in ("embedContent", "batchEmbedContents") or not parts:
                self._send(*_error(404, "NOT_FOUND", "no such method"))
                return
            request = SeenRequest(
                path=path,
                model=resource.removeprefix("models/"),
                texts=["".join(p["text"] for p in part["content"]["parts"]) for part in parts],
                task_types=[part.get("taskType") for part in parts],
                dimensions=[part.get("outputDimensionality") for part in parts],
                api_key=self.headers.get("x-goog-api-key"),
            )
            if len(parts) > 100:
                self._send(*_error(400, "INVALID_ARGUMENT", "at most 100 requests in a batch"))
                return
            self._send(*fake.answer(request, is_batch=method == "batchEmbedContents"))

        def _send(self, status: int, body: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=UTF-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the caller has given up

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a caller who gives up resets the connection


@asynccontextmanager
async def fake_gemini(port: int = 0) -> AsyncIterator[FakeGemini]:
    """Run the fake on 127.0.0.1 inside the block; healthy until told otherwise."""
    fake = FakeGemini()
    # The handlers are threads, so they answer whatever this event loop does.
    server = _Server(("127.0.0.1", port), _handler_of(fake))
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        fake.script(Healthy())  # lets go of what hangs
        server.shutdown()
        thread.join()
        # Does not wait for idle connections: their threads end with the process.
        server.block_on_close = False
        server.server_close()


_NAMED: dict[str, Behaviour] = {
    "healthy": Healthy(),
    "slow": Healthy(delay_seconds=2.0),
    "quota": Quota(retry_after_seconds=30),
    "broken": Broken(),
    "hang": Hanging(),
    "wrong-dimensions": WrongDimensions(),
}


async def _main(port: int, behaviour: str) -> None:
    async with fake_gemini(port) as fake:
        fake.script(_NAMED[behaviour])
        print(f"VITRINA_GEMINI_ENDPOINT={fake.endpoint} GOOGLE_API_KEY={fake.api_key}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a fake of the Gemini embedding API")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", choices=sorted(_NAMED), default="healthy")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.port, arguments.behaviour))
