"""Suggestions while a person types: a few of each kind, the likeliest first."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from services.catalog import text
from services.catalog.feed import ChangeFeed
from services.catalog.stores import ProductName, Store
from services.catalog.suggesting.labels import Labels
from services.catalog.suggesting.popular import PopularQuery, QueryCount, checked
from services.catalog.suggesting.typed import Typed
from services.common.errors import InvalidArgument

MAX_TYPED_CHARACTERS = 200
MAX_SUGGESTIONS = 20
DEFAULT_SUGGESTIONS = 8

# Names are looked at no further than this, however many begin so.
_MAX_NAMES = 60
# Each has to be looked up together with the words before it.
_MAX_COMPLETIONS = 10
# What begins no word of letters alone is looked up among all words of the full text,
# of which a single letter or digit begins too many.
_SHORTEST_BEGINNING = 2


class Kind(Enum):
    """What a suggestion is, in the order in which they come."""

    QUERY = 1
    CATEGORY = 2
    BRAND = 3
    WORD = 4
    PRODUCT = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to search for; `highlighted` is safe for HTML. See the contract for `count`."""

    kind: Kind
    text: str
    count: int
    product_id: str = ""
    highlighted: str = ""

    def marked(self, typed: Typed | None) -> "Suggestion":
        """Return the same with what was typed marked."""
        words, beginning = (typed.earlier, typed.last) if typed else ((), "")
        return replace(self, highlighted=text.marked_beginnings(self.text, words, beginning))


@dataclass(frozen=True, slots=True)
class Suggested:
    """Suggestions, the likeliest first, and the revision they reflect."""

    suggestions: list[Suggestion]
    revision: int


class Suggestions:
    """Completes queries by what a store holds, and counts what is asked for."""

    def __init__(self, store: Store, changes: ChangeFeed, text_rules: text.Rules) -> None:
        self._store = store
        self._changes = changes
        self._text_rules = text_rules

    async def suggest(self, query: str, limit: int) -> Suggested:
        """Complete a query. A limit of 0 stands for the default. InvalidArgument names a field."""
        if len(query) > MAX_TYPED_CHARACTERS:
            raise InvalidArgument(
                "query", f"{len(query)} characters, at most {MAX_TYPED_CHARACTERS}"
            )
        at_most = limit or DEFAULT_SUGGESTIONS
        if not 1 <= at_most <= MAX_SUGGESTIONS:
            raise InvalidArgument("limit", f"{limit}, must be 1 to {MAX_SUGGESTIONS}")
        # What is announced is in memory too, which is not so of what a read finds.
        revision = self._changes.head_revision
        now_us = _now_us()
        if not query.strip():
            popular = self._store.popular.most_asked(at_most, now_us)
            return Suggested([_of_query(each, now_us).marked(None) for each in popular], revision)
        typed = Typed.parse(query, self._text_rules)
        if typed is None:
            return Suggested([], revision)
        found = await self._completing(typed, at_most)
        if not found and (meant := self._respelt(typed)):
            found = await self._completing(meant, at_most)
        return Suggested(found, revision)

    async def record(self, asked: Sequence[QueryCount]) -> None:
        """Add to the counts of queries; all of them or, with InvalidArgument, none."""
        await self._store.record_queries(checked(asked), _now_us())

    async def _completing(self, typed: Typed, at_most: int) -> list[Suggestion]:
        now_us = _now_us()
        holdings = self._store.holdings
        popular = self._store.popular.found(typed, at_most, now_us)
        words, names = await self._of_full_text(typed, at_most)
        mixed = _mixed(
            [
                [_of_query(each, now_us) for each in popular],
                _of_labels(Kind.CATEGORY, holdings.categories, typed, at_most),
                _of_labels(Kind.BRAND, holdings.brands, typed, at_most),
                [self._of_word(word, typed) for word in words],
                [
                    Suggestion(Kind.PRODUCT, name.name, 1, name.product_id)
                    for name in _best(names, typed)[:at_most]
                ],
            ],
            at_most,
        )
        return [suggestion.marked(typed) for suggestion in mixed]

    async def _of_full_text(
        self, typed: Typed, at_most: int
    ) -> tuple[list[str], list[ProductName]]:
        """Return completions of the last word that go with the others, and names."""
        rules = self._text_rules.reading(self._store.holdings.languages)
        earlier = [text.Term(rules.forms(word)) for word in dict.fromkeys(typed.earlier)]
        completions = self._store.vocabulary.commonest(typed.last, _MAX_COMPLETIONS)
        forms = [rules.forms(word) for word in completions]
        whole = rules.forms(typed.last)
        last = text.Term(tuple(dict.fromkeys((*whole, *(form for each in forms for form in each)))))
        beginnings = [typed.joined] if completions else [typed.last, typed.joined]
        new = [
            (word, text.Term(form))
            for word, form in zip(completions, forms, strict=True)
            if word != typed.last and word not in rules.function_words
        ]
        names, held = await asyncio.gather(
            self._store.names_like(
                earlier,
                last,
                [each for each in beginnings if len(each) >= _SHORTEST_BEGINNING],
                _MAX_NAMES,
            ),
            self._held_with(earlier, [term for _, term in new]),
        )
        words = [word for (word, _), is_held in zip(new, held, strict=True) if is_held]
        return words[:at_most], names

    async def _held_with(
        self, earlier: Sequence[text.Term], completed: Sequence[text.Term]
    ) -> Sequence[bool]:
        """Tell which of the terms a product holds together with the earlier ones."""
        if not earlier or not completed:
            return [True] * len(completed)
        return await self._store.held_together([[*earlier, term] for term in completed])

    def _of_word(self, word: str, typed: Typed) -> Suggestion:
        holdings = self._store.holdings
        completed = typed.before_last + holdings.spelt(word)
        return Suggestion(Kind.WORD, completed, holdings.vocabulary.count(word))

    def _respelt(self, typed: Typed) -> Typed | None:
        """Return what may have been meant, one letter away; None if there is nothing."""
        vocabulary = self._store.vocabulary
        earlier = tuple(
            word if word in vocabulary else text.corrected_word(word, vocabulary) or word
            for word in typed.earlier
        )
        last = typed.last
        if not vocabulary.commonest(last, 1):
            last = vocabulary.beginning_like(last) or last
        if (earlier, last) == (typed.earlier, typed.last):
            return None
        return typed.with_words(earlier, last)


def _of_query(popular: PopularQuery, now_us: int) -> Suggestion:
    return Suggestion(Kind.QUERY, popular.query, round(popular.count_at(now_us)))


def _of_labels(kind: Kind, labels: Labels, typed: Typed, at_most: int) -> list[Suggestion]:
    found = labels.found(typed, at_most)
    return [Suggestion(kind, label, int(labels.weight(label))) for label in found]


def _best(names: Sequence[ProductName], typed: Typed) -> list[ProductName]:
    """Return the names that begin as typed first, then those that say it early, and in short."""
    first = typed.earlier[0] if typed.earlier else typed.last

    def rank(name: ProductName) -> tuple[int, int, str]:
        position = f" {text.without_accents(name.name)}".find(f" {first}")
        return position if position >= 0 else len(name.name), len(name.name), name.product_id

    return sorted(names, key=rank)


def _mixed(kinds: Sequence[Sequence[Suggestion]], at_most: int) -> list[Suggestion]:
    """Return some of each kind, one of each in turn while there are, kind by kind."""
    seen: set[str] = set()
    distinct = [list(_unseen(suggestions, seen)) for suggestions in kinds]
    taken = [0] * len(distinct)
    room = at_most
    while room and any(len(kind) > count for kind, count in zip(distinct, taken, strict=True)):
        for position, kind in enumerate(distinct):
            if room and len(kind) > taken[position]:
                taken[position] += 1
                room -= 1
    return [each for kind, count in zip(distinct, taken, strict=True) for each in kind[:count]]


def _unseen(suggestions: Sequence[Suggestion], seen: set[str]) -> Iterator[Suggestion]:
    for suggestion in suggestions:
        folded = " ".join(text.without_accents(suggestion.text).split())
        if folded not in seen:
            seen.add(folded)
            yield suggestion


def _now_us() -> int:
    return time.time_ns() // 1_000
