"""What active products hold, counted in memory: words, categories, brands, languages."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.catalog.suggesting.labels import Labels
from services.catalog.text import (
    OF_PRODUCTS,
    Vocabulary,
    vocabulary_words,
    without_accents,
    written_words,
)
from services.common import categories


class Described(Protocol):
    """What is counted of a product."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def brand(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def language(self) -> str: ...  # noqa: D102


class Held(NamedTuple):
    """As much of a product as is counted."""

    name: str
    brand: str
    category: str
    language: str


@dataclass
class Difference:
    """By how many products each count changes."""

    words: Counter[str] = field(default_factory=Counter)
    spellings: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    brands: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)

    def count(self, product: Described, by: int) -> None:
        """Count an active product in (1) or out (-1)."""
        texts = (product.name, product.brand, product.category)
        for word in vocabulary_words(*texts):
            self.words[word] += by
        for word in set().union(*map(written_words, texts)):
            self.spellings[word] += by
        for path in categories.self_and_ancestors(product.category):
            self.categories[path] += by
        self.brands[product.brand] += by
        self.languages[product.language] += by


class Holdings:
    """The counts. A category counts the products below it too."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self.categories = Labels()
        self.brands = Labels()
        # Spellings by word, with accents: "jamon" is written "jamón" by so many products.
        self._spellings: dict[str, Counter[str]] = {}
        self._languages: Counter[str] = Counter()
        # If not, products may hold more than is known here.
        self.is_complete = True

    def apply(self, difference: Difference) -> None:
        """Change the counts; what no product holds any more is forgotten."""
        self.vocabulary.change(difference.words)
        for path, by in difference.categories.items():
            if path:
                self.categories.add(path, by)
        for brand, by in difference.brands.items():
            if brand:
                self.brands.add(brand, by)
        for written, by in difference.spellings.items():
            word = without_accents(written)
            spellings = self._spellings.setdefault(word, Counter())
            spellings[written] += by
            if spellings[written] <= 0:
                del spellings[written]
            if not spellings:
                del self._spellings[word]
        self._languages.update(difference.languages)
        self._languages = +self._languages

    @property
    def languages(self) -> frozenset[str]:
        """The languages that products have, or may have; the empty one if some have none."""
        possible = () if self.is_complete else OF_PRODUCTS
        return frozenset((*self._languages, *possible))

    def spelt(self, word: str) -> str:
        """Return a folded word as products write it, if half of them write accents."""
        written, count = max(
            self._spellings.get(word, Counter()).items(),
            key=lambda spelling: (spelling[1], spelling[0]),
            default=(word, 0),
        )
        return written if 2 * count >= self.vocabulary.count(word) else word
