"""What a search finds a product by, and by which rules."""

from functools import lru_cache
from typing import NamedTuple

from services.catalog.products import AttributeValue, Product
from services.catalog.text.folding import Tokens, tokens_of, tokens_of_short
from services.catalog.text.identifiers import identifiers_of
from services.catalog.text.stemming import FUNCTION_WORDS, Language, stemmer_of

# Raise it with every change of the rules: stores then index their texts anew.
RULES_VERSION = 2

_MAX_VOCABULARY_CHARACTERS = 40
_MIN_VOCABULARY_CHARACTERS = 3


class ProductWords(NamedTuple):
    """The words of a product, field by field, each with blanks between."""

    name: str
    brand: str
    category: str
    description: str
    attributes: str


class Rules:
    """How words are folded: the same for products and queries."""

    def __init__(self, language: Language = Language.MIXED) -> None:
        self.name = f"{RULES_VERSION}:{language.value}"
        self.function_words = FUNCTION_WORDS[language]
        self.stem = stemmer_of(language)

    def words_of(self, product: Product) -> tuple[ProductWords, list[str]]:
        """Return the words of a product, and its identifiers, each once.

        Of the attributes the words are what people search for: the value of a text
        or a number ("Black", "128"), and the name of what is true ("bluetooth").
        """
        values = product.attributes.values()
        name = tokens_of_short(product.name)
        words = ProductWords(
            name=self.indexed(name),
            brand=self.indexed(tokens_of_short(product.brand)),
            category=self.indexed(tokens_of_short(product.category)),
            description=self.indexed(tokens_of(product.description)),
            attributes=self.indexed(tokens_of(_text_of(values))),
        )
        return words, identifiers_of(product.id, name, values.items())

    def indexed(self, tokens: Tokens) -> str:
        """Return the words to index, in their order; what stands for them besides comes last."""
        return " ".join(map(self.stem, (*tokens.words, *tokens.compounds, *tokens.numbers)))


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


@lru_cache(maxsize=2_048)
def _vocabulary_words(text: str) -> frozenset[str]:
    tokens = tokens_of_short(text)
    return frozenset(
        word
        for word in (*tokens.words, *tokens.compounds)
        if word.isalpha() and _MIN_VOCABULARY_CHARACTERS <= len(word) <= _MAX_VOCABULARY_CHARACTERS
    )
