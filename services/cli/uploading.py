"""Products to the catalog: batches in flight, retried until each has its answer."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import tenacity

from services.cli.connection import Gateway, failure_of, is_transient
from services.cli.convert import Converter, NotAProduct
from services.cli.failures import Failure
from services.cli.rows import Row
from vitrina.catalog.v1 import catalog_pb2

MAX_BATCH_PRODUCTS = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_BATCHES_IN_FLIGHT = 4
GIVE_UP_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that did not go in, and why. The id is empty where there is none; `raw` is short."""

    line: int
    id: str
    reason: str
    raw: str


@dataclass(slots=True)
class Batch:
    """Products with the rows that they are of, and the rows found bad on the way."""

    products: list[catalog_pb2.Product] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    size_bytes: int = 0


@dataclass(slots=True)
class Tally:
    """What became of the rows so far."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    without_price: int = 0
    revision: int = 0

    @property
    def stored(self) -> int:
        """Rows that are in the catalog now, changed or not."""
        return self.created + self.updated + self.unchanged


def batches_of(rows: Iterable[Row], converter: Converter, *, batch_size: int) -> Iterator[Batch]:
    """Convert rows to batches of at most `batch_size` products and MAX_BATCH_BYTES.

    Of rows with the same id the first one counts; its id stays in memory.
    """
    line_by_id: dict[str, int] = {}
    batch = Batch()
    unreadable: Failure | None = None
    try:
        for row in rows:
            try:
                product = _product_of(row, converter, line_by_id)
            except NotAProduct as problem:
                row_id = converter.id_of(row.values)
                row.forget()
                batch.rejected.append(Rejected(row.line, row_id, str(problem), row.raw))
                is_full = len(batch.rejected) >= batch_size
            else:
                size_bytes = product.ByteSize()
                if batch.products and batch.size_bytes + size_bytes > MAX_BATCH_BYTES:
                    yield batch
                    batch = Batch()
                row.forget()
                batch.products.append(product)
                batch.rows.append(row)
                batch.size_bytes += size_bytes
                is_full = len(batch.products) >= batch_size
            if is_full:
                yield batch
                batch = Batch()
    except Failure as failure:  # what was read until then goes in
        unreadable = failure
    yield batch
    if unreadable is not None:
        raise unreadable


def _product_of(row: Row, converter: Converter, line_by_id: dict[str, int]) -> catalog_pb2.Product:
    if row.problem:
        raise NotAProduct(row.problem)
    product = converter.product(row.values)
    first_line = line_by_id.setdefault(product.id, row.line)
    if first_line != row.line:
        raise NotAProduct(f"id already at line {first_line}")
    return product


class Uploader:
    """Stores batches, a few at a time, and keeps the tally."""

    def __init__(
        self,
        gateway: Gateway,
        tally: Tally,
        *,
        on_rejected: Callable[[Rejected], None],
        on_progress: Callable[[], None],
    ) -> None:
        self._tally = tally
        self._gateway = gateway
        self._on_rejected = on_rejected
        self._on_progress = on_progress

    async def upload(self, batches: Iterator[Batch]) -> None:
        """Store all batches, which are read in a thread.

        A call that cannot succeed raises Failure; a failure to read does so
        once all that was read before is stored.
        """
        in_flight: set[asyncio.Task[None]] = set()
        unreadable: Failure | None = None
        try:
            while True:
                try:
                    batch = await asyncio.to_thread(next, batches, None)
                except Failure as failure:
                    unreadable = failure
                    break
                if batch is None:
                    break
                self._count_read(batch)
                self._on_progress()
                while len(in_flight) >= MAX_BATCHES_IN_FLIGHT:
                    in_flight = await _some_done(in_flight)
                if batch.products:
                    in_flight.add(asyncio.ensure_future(self._store(batch)))
            while in_flight:
                in_flight = await _some_done(in_flight)
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)
        if unreadable is not None:
            raise unreadable

    def _count_read(self, batch: Batch) -> None:
        self._tally.rows += len(batch.rows) + len(batch.rejected)
        for rejected in batch.rejected:
            self._reject(rejected)

    def _reject(self, rejected: Rejected) -> None:
        self._tally.rejected += 1
        self._on_rejected(rejected)

    async def _store(self, batch: Batch) -> None:
        request = catalog_pb2.BatchUpsertProductsRequest(products=batch.products)

        async def attempt() -> Any:
            return await self._gateway.catalog.BatchUpsertProducts(
                request, timeout=self._gateway.target.timeout_seconds
            )

        try:
            response: catalog_pb2.BatchUpsertProductsResponse = await _retrying()(attempt)
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error, self._gateway.target.address)
            lines = f"lines {batch.rows[0].line} to {batch.rows[-1].line}"
            raise Failure(f"{lines}: {failure.message}", hint=failure.hint) from None
        self._count_stored(batch, response)

    def _count_stored(
        self, batch: Batch, response: catalog_pb2.BatchUpsertProductsResponse
    ) -> None:
        if len(response.results) != len(batch.products):
            raise Failure(
                f"{len(batch.products)} products sent, {len(response.results)} answered for"
            )
        self._tally.revision = max(self._tally.revision, response.revision)
        for row, product, result in zip(batch.rows, batch.products, response.results, strict=True):
            if result.HasField("error"):
                reason = result.error.message
                self._reject(Rejected(row.line, product.id, _without_index(reason), row.raw))
                continue
            self._tally.without_price += not product.price
            self._tally.created += result.outcome == catalog_pb2.UPSERT_OUTCOME_CREATED
            self._tally.updated += result.outcome == catalog_pb2.UPSERT_OUTCOME_UPDATED
            self._tally.unchanged += result.outcome == catalog_pb2.UPSERT_OUTCOME_UNCHANGED


def _retrying() -> tenacity.AsyncRetrying:
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_exponential(multiplier=0.1, max=_LONGEST_PAUSE_SECONDS)
        + tenacity.wait_random(0, 0.2),
        stop=tenacity.stop_after_delay(GIVE_UP_SECONDS),
        reraise=True,
    )


async def _some_done(in_flight: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for one or more to end; return the others, or raise the error of one."""
    done, pending = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return pending


def _without_index(message: str) -> str:
    """Drop `products[3].`: the place in a batch means nothing to the owner of the file."""
    head, separator, rest = message.partition("].")
    return rest if separator and head.startswith("products[") else message
