"""SuggestionService: protobuf to domain, and back."""

from typing import Any

import grpc.aio

from services.catalog.suggesting.suggestions import Suggestions
from vitrina.catalog.v1 import suggestion_pb2, suggestion_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class SuggestionServicer(suggestion_pb2_grpc.SuggestionServiceServicer):
    """What a search field calls while a person types."""

    def __init__(self, suggestions: Suggestions) -> None:
        self._suggestions = suggestions

    async def Suggest(
        self, request: suggestion_pb2.SuggestRequest, context: Context
    ) -> suggestion_pb2.SuggestResponse:
        suggested = await self._suggestions.suggest(request.query, request.limit)
        return suggestion_pb2.SuggestResponse(
            suggestions=[
                suggestion_pb2.Suggestion(
                    text=suggestion.text,
                    highlighted=suggestion.highlighted,
                    kind=suggestion_pb2.SuggestionKind.Value(
                        f"SUGGESTION_KIND_{suggestion.kind.name}"
                    ),
                    product_id=suggestion.product_id,
                    count=suggestion.count,
                )
                for suggestion in suggested.suggestions
            ],
            revision=suggested.revision,
        )
