"""What the shop decides about its searches: rules for their results, and synonyms."""

from services.catalog.tuning.entries import Entry, Kind, Stored, TuningChange, kind_of
from services.catalog.tuning.matching import RuleBook
from services.catalog.tuning.operations import ChangeListing, Entries, Tuning
from services.catalog.tuning.rules import Boost, Pin, QueryMatch, Rule
from services.catalog.tuning.store import InForce, TuningPage, TuningStore
from services.catalog.tuning.synonyms import Synonyms
from services.catalog.tuning.widening import Thesaurus, Widened

__all__ = [
    "Boost",
    "ChangeListing",
    "Entries",
    "Entry",
    "InForce",
    "Kind",
    "Pin",
    "QueryMatch",
    "Rule",
    "RuleBook",
    "Stored",
    "Synonyms",
    "Thesaurus",
    "Tuning",
    "TuningChange",
    "TuningPage",
    "TuningStore",
    "Widened",
    "kind_of",
]
