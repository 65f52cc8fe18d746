"""Rules, synonyms and suggestions over dicts, for tests of the command."""

from typing import Any

from services.common import filters
from services.common.errors import InvalidArgument, NotFound
from vitrina.catalog.v1 import (
    suggestion_pb2,
    suggestion_pb2_grpc,
    tuning_pb2,
    tuning_pb2_grpc,
)


class FakeTuning(
    tuning_pb2_grpc.TuningServiceServicer, suggestion_pb2_grpc.SuggestionServiceServicer
):
    """Keeps what is put, and a log; suggests what a test wants."""

    def __init__(self) -> None:
        self.rules: dict[str, tuning_pb2.Rule] = {}
        self.synonyms: dict[str, tuning_pb2.Synonyms] = {}
        # The newest first.
        self.log: list[tuning_pb2.TuningChange] = []
        self.suggestions: list[suggestion_pb2.Suggestion] = []
        self.suggest_requests: list[suggestion_pb2.SuggestRequest] = []

    def _noted(self, author: str, **sides: Any) -> int:
        revision = len(self.log) + 1
        change = tuning_pb2.TuningChange(revision=revision, author=author, **sides)
        change.time.FromSeconds(1_900_000_000 + revision)
        self.log.insert(0, change)
        return revision

    async def PutRule(
        self, request: tuning_pb2.PutRuleRequest, context: Any
    ) -> tuning_pb2.PutRuleResponse:
        rule = request.rule
        for place, boost in enumerate(rule.boosts):
            try:
                filters.parse(boost.filter)
            except InvalidArgument as error:
                raise InvalidArgument(f"rule.boosts[{place}].filter", error.problem) from None
        if len(rule.description) > 1000:
            raise InvalidArgument("rule.description", "1001 characters, at most 1000")
        before = self.rules.get(rule.id)
        rule.revision = self._noted(request.author, rule_before=before, rule_after=rule)
        rule.update_time.CopyFrom(self.log[0].time)
        self.rules[rule.id] = rule
        return tuning_pb2.PutRuleResponse(rule=rule, revision=rule.revision)

    async def ListRules(
        self, request: tuning_pb2.ListRulesRequest, context: Any
    ) -> tuning_pb2.ListRulesResponse:
        return tuning_pb2.ListRulesResponse(rules=self.rules.values(), revision=len(self.log))

    async def DeleteRule(
        self, request: tuning_pb2.DeleteRuleRequest, context: Any
    ) -> tuning_pb2.DeleteRuleResponse:
        if request.id not in self.rules:
            raise NotFound(f"no rule {request.id!r}", reason="RULE_NOT_FOUND")
        revision = self._noted(request.author, rule_before=self.rules.pop(request.id))
        return tuning_pb2.DeleteRuleResponse(revision=revision)

    async def PutSynonyms(
        self, request: tuning_pb2.PutSynonymsRequest, context: Any
    ) -> tuning_pb2.PutSynonymsResponse:
        synonyms = request.synonyms
        before = self.synonyms.get(synonyms.id)
        synonyms.revision = self._noted(
            request.author, synonyms_before=before, synonyms_after=synonyms
        )
        synonyms.update_time.CopyFrom(self.log[0].time)
        self.synonyms[synonyms.id] = synonyms
        return tuning_pb2.PutSynonymsResponse(synonyms=synonyms, revision=synonyms.revision)

    async def ListSynonyms(
        self, request: tuning_pb2.ListSynonymsRequest, context: Any
    ) -> tuning_pb2.ListSynonymsResponse:
        return tuning_pb2.ListSynonymsResponse(synonyms=self.synonyms.values())

    async def DeleteSynonyms(
        self, request: tuning_pb2.DeleteSynonymsRequest, context: Any
    ) -> tuning_pb2.DeleteSynonymsResponse:
        if request.id not in self.synonyms:
            raise NotFound(f"no synonyms {request.id!r}", reason="SYNONYMS_NOT_FOUND")
        revision = self._noted(request.author, synonyms_before=self.synonyms.pop(request.id))
        return tuning_pb2.DeleteSynonymsResponse(revision=revision)

    async def ListTuningChanges(
        self, request: tuning_pb2.ListTuningChangesRequest, context: Any
    ) -> tuning_pb2.ListTuningChangesResponse:
        start = int(request.page_token or 0)
        end = start + request.page_size
        token = str(end) if end < len(self.log) else ""
        return tuning_pb2.ListTuningChangesResponse(
            changes=self.log[start:end], next_page_token=token
        )

    async def Suggest(
        self, request: suggestion_pb2.SuggestRequest, context: Any
    ) -> suggestion_pb2.SuggestResponse:
        self.suggest_requests.append(request)
        return suggestion_pb2.SuggestResponse(suggestions=self.suggestions[: request.limit])
