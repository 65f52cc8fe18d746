"""What a search finds a product by, and by which rules."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from services.catalog.products import AttributeValue, Product
from services.catalog.text.folding import Tokens, tokens_of, tokens_of_short, without_accents
from services.catalog.text.identifiers import identifiers_of
from services.catalog.text.stemming import FUNCTION_WORDS, OF_PRODUCTS, Language, stemmer_of

# Raise it with every change of the rules: stores then index their texts anew.
RULES_VERSION = 2

_MAX_VOCABULARY_CHARACTERS = 40
_MIN_VOCABULARY_CHARACTERS = 3
_LETTERS = re.compile(r"[^\W\d_]+")


class ProductWords(NamedTuple):
    """The words of a product, field by field, each with blanks between."""

    name: str
    brand: str
    category: str
    description: str
    attributes: str


class Rules:
    """How words are folded: the same for products and queries.

    By the catalog's language, and for products of `others` by theirs.
    """

    def __init__(
        self, language: Language = Language.MIXED, others: Collection[Language] = ()
    ) -> None:
        self.name = f"{RULES_VERSION}:{language.value}"
        self.function_words = FUNCTION_WORDS[language]
        self.stem = stemmer_of(language)
        self._language = language
        self._stems = [self.stem, *map(stemmer_of, others)]

    def reading(self, languages: Collection[str]) -> "Rules":
        """Return the rules for queries to a catalog with products of these languages."""
        known = {OF_PRODUCTS[language] for language in languages if language in OF_PRODUCTS}
        others = known - {self._language}
        return Rules(self._language, sorted(others, key=lambda other: other.value))

    def forms(self, *words: str) -> tuple[tuple[str, ...], ...]:
        """Return the stems of the words in each language, the catalog's first, none twice."""
        return tuple(dict.fromkeys(tuple(map(stem, words)) for stem in self._stems))

    def stem_of(self, language: str) -> Callable[[str], str]:
        """Return what stems the words of a product of the language."""
        return stemmer_of(OF_PRODUCTS[language]) if language in OF_PRODUCTS else self.stem

    def words_of(self, product: Product) -> tuple[ProductWords, list[str]]:
        """Return the words of a product, and its identifiers, each once.

        Of the attributes the words are what people search for: the value of a text
        or a number ("Black", "128"), and the name of what is true ("bluetooth").
        """
        values = product.attributes.values()
        language = product.language
        name = tokens_of_short(product.name)
        words = ProductWords(
            name=self.indexed(name, language),
            brand=self.indexed(tokens_of_short(product.brand), language),
            category=self.indexed(tokens_of_short(product.category), language),
            description=self.indexed(tokens_of(product.description), language),
            attributes=self.indexed(tokens_of(_text_of(values)), language),
        )
        return words, identifiers_of(product.id, name, values.items())

    def indexed(self, tokens: Tokens, language: str = "") -> str:
        """Return the words to index, in their order; what stands for them besides comes last."""
        stem = self.stem_of(language)
        return " ".join(map(stem, (*tokens.words, *tokens.compounds, *tokens.numbers)))


def _text_of(attributes: dict[str, AttributeValue]) -> str:
    texts: list[str] = []
    for name, value in attributes.items():
        if value is True:
            texts.append(name)
        elif isinstance(value, float) and not isinstance(value, bool):
            texts.append(f"{value:.15g}")
        elif isinstance(value, str):
            texts.append(value)
    # A line break, so that no word reaches over two attributes.
    return "\n".join(texts).replace("_", " ")


def vocabulary_words(name: str, brand: str, category: str) -> set[str]:
    """Return the words that a product gives to the vocabulary: folded, not stemmed.

    They are of letters alone, and of sensible length.
    """
    return set().union(*map(_vocabulary_words, (name, brand, category)))


def written_words(text: str) -> Iterable[str]:
    """Return the words of a text that folding changes beyond case: small letters, composed."""
    if text.isascii():
        return ()
    written = _LETTERS.findall(unicodedata.normalize("NFC", text).lower())
    return {word for word in written if not word.isascii() and without_accents(word) != word}


@lru_cache(maxsize=2_048)
def _vocabulary_words(text: str) -> frozenset[str]:
    tokens = tokens_of_short(text)
    return frozenset(
        word
        for word in (*tokens.words, *tokens.compounds)
        if word.isalpha() and _MIN_VOCABULARY_CHARACTERS <= len(word) <= _MAX_VOCABULARY_CHARACTERS
    )
