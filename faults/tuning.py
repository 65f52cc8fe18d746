"""A client that changes rules and synonyms, and searches that they must show in."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc.aio

from faults.clients import TRANSIENT, Call, Calls, Gateway
from faults.history import History
from vitrina.catalog.v1 import catalog_pb2
from vitrina.catalog.v1 import tuning_pb2 as pb
from vitrina.search.v1 import search_pb2

_TIMEOUT_SECONDS = 3.0
_RETRY_SECONDS = 0.05
_RULES = 4
_MODES = (search_pb2.MODE_HYBRID, search_pb2.MODE_LEXICAL, search_pb2.MODE_SEMANTIC)


@dataclass
class Tuner:
    """One rule for each of a few queries, put and removed; and synonyms beside."""

    gateways: Mapping[str, Gateway]
    product_ids: Sequence[str]
    history: History
    calls: Calls
    pause_seconds: float
    is_closing: bool = False
    # (rule, whether it is there, revision).
    acknowledged: list[tuple[str, bool, int]] = field(default_factory=list)
    _answers: list[tuple[str, str, float, search_pb2.SearchResponse]] = field(default_factory=list)

    async def run(self) -> None:
        """Write and search until told to close."""
        chance = random.Random(f"{self.history.seed}/tuner")
        number = 0
        while not self.is_closing:
            number += 1
            rule_id = f"rule-{chance.randrange(_RULES)}"
            gateway = self.gateways[chance.choice(list(self.gateways))]
            dice = chance.random()
            if dice < 0.01:
                await self._put_synonyms(gateway, chance)
            elif dice < 0.04:
                await self._change_rule(gateway, rule_id, None, number)
            elif dice < 0.08:
                await self._change_rule(gateway, rule_id, chance.choice(self.product_ids), number)
            else:
                await self._search(gateway, rule_id, chance.choice(_MODES))
            await asyncio.sleep(self.pause_seconds * chance.uniform(0.5, 1.5))

    async def _change_rule(
        self, gateway: Gateway, rule_id: str, product_id: str | None, number: int
    ) -> None:
        started = time.monotonic()
        try:
            if product_id is None:
                removed = await gateway.tuning.DeleteRule(
                    pb.DeleteRuleRequest(id=rule_id, allow_missing=True), timeout=_TIMEOUT_SECONDS
                )
                revision = removed.revision
            else:
                rule = pb.Rule(
                    id=rule_id,
                    queries=[_query_of(rule_id)],
                    pins=[pb.Pin(product_id=product_id, position=1)],
                    description=str(number),
                )
                put = await gateway.tuning.PutRule(
                    pb.PutRuleRequest(rule=rule), timeout=_TIMEOUT_SECONDS
                )
                revision = put.revision
        except grpc.aio.AioRpcError as error:
            await self._failed("write", gateway, started, error, f"rule {rule_id}")
            return
        self.calls.succeeded("write", gateway.name, started)
        self.acknowledged.append((rule_id, product_id is not None, revision))

    async def _put_synonyms(self, gateway: Gateway, chance: random.Random) -> None:
        words = ["mesa", "tablero", "sobre", "encimera"]
        started = time.monotonic()
        synonyms = pb.Synonyms(id="words", phrases=chance.sample(words, 2))
        try:
            await gateway.tuning.PutSynonyms(
                pb.PutSynonymsRequest(synonyms=synonyms), timeout=_TIMEOUT_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            await self._failed("write", gateway, started, error, "synonyms")
            return
        self.calls.succeeded("write", gateway.name, started)

    async def _search(
        self, gateway: Gateway, rule_id: str, mode: search_pb2.Mode.ValueType
    ) -> None:
        started = time.monotonic()
        request = search_pb2.SearchRequest(query=_query_of(rule_id), literal=True, mode=mode)
        try:
            response = await gateway.search.Search(request, timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            await self._failed("search", gateway, started, error, request.query)
            return
        received = time.monotonic()
        self.calls.made.append(
            Call(
                "search",
                gateway.name,
                started,
                received,
                tuple(search_pb2.Degradation.Name(label) for label in response.info.degraded),
                search_pb2.Provenance.Name(response.info.provenance),
            )
        )
        # Rules come with the words; without words there are none, and the answer says so.
        is_without_words = "text" in {left.stage for left in response.info.left_out}
        if not is_without_words:
            self._answers.append((request.query, gateway.name, received, response))

    async def _failed(
        self, kind: str, gateway: Gateway, started: float, error: Exception, asked: str
    ) -> None:
        call = self.calls.failed(kind, gateway.name, started, error, asked)
        if call.status not in TRANSIENT:
            self.history.violate("rules go in and are searched by", f"{asked}: {call.error}")
        await asyncio.sleep(_RETRY_SECONDS)

    async def check(self, gateway: Gateway) -> int:
        """Hold everything against the catalog's own log of changes; return the answers checked."""
        log = await _whole_log(gateway)
        feed = [
            change.revision
            for change in self.history.changes
            if change.kind == catalog_pb2.CHANGE_KIND_TUNING
        ]
        if sorted(log) != feed:
            self.history.violate(
                "one history", "the log of rules and the feed differ", log=sorted(log), feed=feed
            )
        lives: dict[str, list[tuple[int, bool]]] = {}
        for revision in sorted(log):
            rule_id, is_there = log[revision]
            lives.setdefault(rule_id, []).append((revision, is_there))
        for rule_id, is_there, revision in self.acknowledged:
            if _alive(lives.get(rule_id, []), revision) != is_there:
                self.history.violate(
                    "no acknowledged write lost",
                    f"{rule_id} at {revision} should be {'there' if is_there else 'gone'}",
                    log=lives.get(rule_id, []),
                )
        checked = 0
        for query, via, received, response in self._answers:
            bound = self.history.bound_of(received)
            if bound is None:
                continue
            checked += 1
            rule_id = query.replace("oferta ", "rule-")
            known = lives.get(rule_id, [])
            possible = {_alive(known, response.info.revision)} | {
                is_there for at, is_there in known if response.info.revision < at <= bound
            }
            if (rule_id in response.rule_ids) not in possible:
                self.history.violate(
                    "rules act as of the revision claimed",
                    f"{query} by {via} went by rules {list(response.rule_ids)}",
                    info=str(response.info),
                    bound=bound,
                    log=known,
                )
        return checked


def _query_of(rule_id: str) -> str:
    return rule_id.replace("rule-", "oferta ")


def _alive(life: Sequence[tuple[int, bool]], revision: int) -> bool:
    """Tell whether a rule was there at a revision, by its changes."""
    states = [is_there for at, is_there in life if at <= revision]
    return bool(states) and states[-1]


async def _whole_log(gateway: Gateway) -> dict[int, tuple[str, bool]]:
    """Return what each revision of the log changed, and whether it was there afterwards."""
    log: dict[int, tuple[str, bool]] = {}
    token = ""
    while True:
        page = await gateway.tuning.ListTuningChanges(
            pb.ListTuningChangesRequest(page_size=500, page_token=token), timeout=10
        )
        for change in page.changes:
            after, before = change.rule_after.id, change.rule_before.id
            log[change.revision] = (after or before or "synonyms", bool(after))
        token = page.next_page_token
        if not token:
            return log
