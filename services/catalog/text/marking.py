"""Texts safe for HTML, with what was looked for between <mark> and </mark>."""

import html
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from services.catalog.text.located import Folded, Located
from services.catalog.text.query import TextQuery
from services.catalog.text.words import Rules

SNIPPET_CHARACTERS = 200
# Of what is shorter, only a word that is the same is what was typed.
_SHORTEST_BEGINNING = 3


@dataclass(frozen=True, slots=True)
class Highlights:
    """The whole name, and a part of the description; empty where that holds no word."""

    name: str
    description: str


class _Found(NamedTuple):
    """Where something stands in a text, and which of what was looked for it is."""

    start: int
    end: int
    wanted: int


class Marker:
    """Marks what a query looks for in products."""

    def __init__(self, query: TextQuery, rules: Rules) -> None:
        self._rules = rules
        # Whatever is looked for has a number: a term, an identifier or a phrase.
        numbers = count()
        self._single: dict[str, int] = {}
        self._together: list[tuple[frozenset[str], int]] = []
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for number, term in zip(numbers, query.terms, strict=False):
            for words in term.alternatives:
                if len(words) == 1:
                    self._single.setdefault(words[0], number)
                else:
                    self._together.append((frozenset(words), number))
        for number, code in zip(numbers, query.identifiers, strict=False):
            # A word without digits would be stemmed in the text.
            if not code.isalpha():
                self._single.setdefault(code, number)
        for number, forms in zip(numbers, query.phrase_forms, strict=False):
            for words in forms:
                self._phrases.setdefault(words[0], []).append((words, number))
        in_phrases = (
            word for begun in self._phrases.values() for words, _ in begun for word in words
        )
        self._wanted = frozenset(
            (*self._single, *in_phrases, *(word for words, _ in self._together for word in words))
        )

    def highlights(self, name: str, description: str, language: str) -> Highlights:
        """Mark the texts of a product of a language."""
        texts = [Folded(name), Folded(description)]
        located = [self._wanted_in(text, language) for text in texts]
        there = {word.word for words in located for word in words}
        # Words that only together are what was looked for count where all of them are.
        single = {
            word: number
            for words, number in reversed(self._together)
            if words <= there
            for word in words
        } | self._single
        in_name, in_description = (
            sorted(self._found(text, words, single))
            for text, words in zip(texts, located, strict=True)
        )
        return Highlights(
            name=_marked(name, 0, len(name), in_name),
            description=_snippet(description, in_description),
        )

    def _wanted_in(self, text: Folded, language: str) -> list[Located]:
        """Return those words of a text that are looked for, stemmed."""
        stem = self._rules.stem_of(language)
        return [
            located._replace(word=word)
            for located in text.words()
            if (word := stem(located.word)) in self._wanted
        ]

    def _found(
        self, text: Folded, located: Sequence[Located], single: dict[str, int]
    ) -> Iterable[_Found]:
        for word in located:
            if word.word in single:
                yield _Found(*text.span(word.start, word.end), single[word.word])
        in_order = [word for word in located if word.is_in_order]
        for at, first in enumerate(in_order):
            for words, number in self._phrases.get(first.word, ()):
                row = in_order[at : at + len(words)]
                if (
                    row[-1].order == first.order + len(words) - 1
                    and tuple(word.word for word in row) == words
                ):
                    yield _Found(*text.span(first.start, row[-1].end), number)


def marked_beginnings(text: str, words: Collection[str], beginning: str) -> str:
    """Return a text safe for HTML, with what was typed marked.

    Its words that are among the folded words, or begin so; and those that begin
    with the beginning. Only what was typed of them is marked.
    """
    folded = Folded(text)
    typed = {word for word in words if len(word) >= _SHORTEST_BEGINNING} | {beginning}
    found = []
    for located in folded.words():
        begun = max(filter(located.word.startswith, typed), key=len, default="")
        if located.word in words:
            begun = located.word
        if begun:
            end = located.start
            # Hyphens and the blank before a unit are in the text and not in the word.
            for letter in begun:
                while end < located.end and folded.plain[end] != letter:
                    end += 1
                end += 1
            found.append(_Found(*folded.span(located.start, min(end, located.end)), 0))
    return _marked(text, 0, len(text), sorted(found))


def _marked(text: str, start: int, end: int, found: Iterable[_Found]) -> str:
    """Return a part of a text; what was found is in order of its start, and may overlap."""
    pieces: list[str] = []
    at = start
    for span in _apart(found):
        begins, ends = max(span[0], at), min(span[1], end)
        if begins < ends:
            pieces += (
                html.escape(text[at:begins]),
                f"<mark>{html.escape(text[begins:ends])}</mark>",
            )
            at = ends
    return "".join((*pieces, html.escape(text[at:end])))


def _apart(found: Iterable[_Found]) -> list[tuple[int, int]]:
    """Return the spans with those that overlap made one."""
    spans: list[tuple[int, int]] = []
    for start, end, _ in found:
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _snippet(text: str, found: Sequence[_Found]) -> str:
    """Return about SNIPPET_CHARACTERS of a text around the most of what was found."""
    if not found:
        return ""
    if len(text) <= SNIPPET_CHARACTERS:
        return _marked(text, 0, len(text), found)
    first, last = _densest(found)
    room = max(SNIPPET_CHARACTERS - (last - first), 0)
    start = max(min(first - room // 2, len(text) - SNIPPET_CHARACTERS), 0)
    end = max(last, min(start + SNIPPET_CHARACTERS, len(text)))
    start, end = _word_begins(text, start, first), _word_ends(text, end, last)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return f"{before}{_marked(text, start, end, found)}{after}"


def _densest(found: Sequence[_Found]) -> tuple[int, int]:
    """Return where, in a snippet's length, most different things were found."""
    counts: Counter[int] = Counter()
    left = 0
    best = (0, 0)
    densest = (found[0].start, found[0].end)
    for right, span in enumerate(found):
        counts[span.wanted] += 1
        while left < right and span.end - found[left].start > SNIPPET_CHARACTERS:
            counts[found[left].wanted] -= 1
            if not counts[found[left].wanted]:
                del counts[found[left].wanted]
            left += 1
        if (len(counts), right - left) > best:
            best = (len(counts), right - left)
            densest = (found[left].start, span.end)
    return densest


def _word_begins(text: str, start: int, at_most: int) -> int:
    """Return where the next word begins; where there is no blank, the next letter."""
    if start == 0 or text[start - 1].isspace():
        return start
    for position in range(start, at_most):
        if text[position].isspace():
            return position + 1
    while start < at_most and unicodedata.combining(text[start]):
        start += 1
    return start


def _word_ends(text: str, end: int, at_least: int) -> int:
    """Return where the word before ends; where there is no blank, the letter before."""
    if end == len(text):
        return end
    for position in range(end, at_least - 1, -1):
        if text[position].isspace():
            return position
    while end > at_least and unicodedata.combining(text[end]):
        end -= 1
    return end
