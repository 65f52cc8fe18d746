"""Words of texts and queries: folded alike, so that spelling matters little and spaces less."""

from services.catalog.text.beginnings import Beginnings
from services.catalog.text.correction import (
    Correction,
    corrected,
    corrected_word,
    normalised,
    spelt_words,
)
from services.catalog.text.folding import tokens_of, without_accents
from services.catalog.text.identifiers import MAX_PRODUCTS_OF_IDENTIFIER
from services.catalog.text.marking import Highlights, Marker, marked_beginnings
from services.catalog.text.query import (
    MAX_QUERY_WORDS,
    Term,
    TextQuery,
    joined_and_apart,
    parsed,
    term_of,
    without_phrases,
    without_quotes,
    words_in,
)
from services.catalog.text.stemming import OF_PRODUCTS, Language
from services.catalog.text.vocabulary import Vocabulary
from services.catalog.text.words import ProductWords, Rules, vocabulary_words, written_words

__all__ = [
    "MAX_PRODUCTS_OF_IDENTIFIER",
    "MAX_QUERY_WORDS",
    "OF_PRODUCTS",
    "Beginnings",
    "Correction",
    "Highlights",
    "Language",
    "Marker",
    "ProductWords",
    "Rules",
    "Term",
    "TextQuery",
    "Vocabulary",
    "corrected",
    "corrected_word",
    "joined_and_apart",
    "marked_beginnings",
    "normalised",
    "parsed",
    "spelt_words",
    "term_of",
    "tokens_of",
    "vocabulary_words",
    "without_accents",
    "without_phrases",
    "without_quotes",
    "words_in",
    "written_words",
]
