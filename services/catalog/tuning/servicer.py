"""TuningService: protobuf to domain, and back."""

from typing import Any

import grpc.aio

from services.catalog.pacing import paced
from services.catalog.tuning.codec import (
    rule_message,
    rule_of,
    synonyms_message,
    synonyms_of,
    tuning_change_message,
)
from services.catalog.tuning.entries import Kind
from services.catalog.tuning.operations import Tuning
from vitrina.catalog.v1 import tuning_pb2, tuning_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class TuningServicer(tuning_pb2_grpc.TuningServiceServicer):
    """What those call who decide about the shop's searches."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning

    async def PutRule(
        self, request: tuning_pb2.PutRuleRequest, context: Context
    ) -> tuning_pb2.PutRuleResponse:
        stored = await self._tuning.put(rule_of(request.rule), request.author)
        return tuning_pb2.PutRuleResponse(rule=rule_message(stored), revision=stored.revision)

    async def ListRules(
        self, request: tuning_pb2.ListRulesRequest, context: Context
    ) -> tuning_pb2.ListRulesResponse:
        found = self._tuning.rules()
        return tuning_pb2.ListRulesResponse(
            rules=[rule_message(stored) async for stored in paced(found.entries)],
            revision=found.revision,
        )

    async def DeleteRule(
        self, request: tuning_pb2.DeleteRuleRequest, context: Context
    ) -> tuning_pb2.DeleteRuleResponse:
        revision = await self._tuning.delete(
            Kind.RULE, request.id, request.author, allow_missing=request.allow_missing
        )
        return tuning_pb2.DeleteRuleResponse(revision=revision)

    async def PutSynonyms(
        self, request: tuning_pb2.PutSynonymsRequest, context: Context
    ) -> tuning_pb2.PutSynonymsResponse:
        stored = await self._tuning.put(synonyms_of(request.synonyms), request.author)
        return tuning_pb2.PutSynonymsResponse(
            synonyms=synonyms_message(stored), revision=stored.revision
        )

    async def ListSynonyms(
        self, request: tuning_pb2.ListSynonymsRequest, context: Context
    ) -> tuning_pb2.ListSynonymsResponse:
        found = self._tuning.synonyms()
        return tuning_pb2.ListSynonymsResponse(
            synonyms=[synonyms_message(stored) async for stored in paced(found.entries)],
            revision=found.revision,
        )

    async def DeleteSynonyms(
        self, request: tuning_pb2.DeleteSynonymsRequest, context: Context
    ) -> tuning_pb2.DeleteSynonymsResponse:
        revision = await self._tuning.delete(
            Kind.SYNONYMS, request.id, request.author, allow_missing=request.allow_missing
        )
        return tuning_pb2.DeleteSynonymsResponse(revision=revision)

    async def ListTuningChanges(
        self, request: tuning_pb2.ListTuningChangesRequest, context: Context
    ) -> tuning_pb2.ListTuningChangesResponse:
        listing = await self._tuning.changes(request.page_size, request.page_token)
        return tuning_pb2.ListTuningChangesResponse(
            changes=[tuning_change_message(change) async for change in paced(listing.changes)],
            next_page_token=listing.next_page_token,
        )
