"""Words of texts and queries: folded alike, so that spelling matters little and spaces less."""

from services.catalog.text.correction import Correction, corrected, normalised, spelt_words
from services.catalog.text.folding import tokens_of, without_accents
from services.catalog.text.identifiers import MAX_PRODUCTS_OF_IDENTIFIER
from services.catalog.text.query import MAX_QUERY_WORDS, Term, TextQuery, parsed
from services.catalog.text.stemming import Language
from services.catalog.text.vocabulary import Vocabulary
from services.catalog.text.words import ProductWords, Rules, vocabulary_words

__all__ = [
    "MAX_PRODUCTS_OF_IDENTIFIER",
    "MAX_QUERY_WORDS",
    "Correction",
    "Language",
    "ProductWords",
    "Rules",
    "Term",
    "TextQuery",
    "Vocabulary",
    "corrected",
    "normalised",
    "parsed",
    "spelt_words",
    "tokens_of",
    "vocabulary_words",
    "without_accents",
]
