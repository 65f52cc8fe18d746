"""Spaces: what makes vectors comparable, and the id that says so."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property
from string import Template

TEMPLATE_FIELDS = frozenset({"name", "brand", "category", "description", "attributes"})
MAX_TEMPLATE_CHARACTERS = 1_000

_FINGERPRINT_DIGITS = 8
# Together with provider and dimensions an id stays below 64 characters, the
# limit of a metadata key in google.rpc.ErrorInfo.
_MAX_SLUG_CHARACTERS = 36


class Purpose(Enum):
    """What texts are embedded for. Some models embed the two differently."""

    QUERY = "query"
    DOCUMENT = "document"


class SkipReason(Enum):
    """Why a preferred space was passed over."""

    UNKNOWN_SPACE = "UNKNOWN_SPACE"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    QUOTA = "QUOTA"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"


@dataclass(frozen=True)
class Space:
    """All that shapes the vectors of one model; two that differ in anything have two ids."""

    provider: str
    model: str
    # Of the weights and the vocabulary, where the name does not settle them.
    revision: str
    dimensions: int
    # The most tokens of one text that the model reads; 0: no limit known.
    max_tokens: int
    pooling: str
    document_template: str
    query_prefix: str = ""
    document_prefix: str = ""
    query_task: str = ""
    document_task: str = ""
    normalisation: str = "l2"

    @cached_property
    def id(self) -> str:
        """`<provider>-<model>-<dimensions>-<fingerprint>`: lower case, safe as a file name."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        fingerprint = hashlib.sha256(canonical.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
        return f"{self.provider}-{_slug(self.model)}-{self.dimensions}-{fingerprint}"

    def prefix(self, purpose: Purpose) -> str:
        """Return what the model wants to stand before a text."""
        return self.query_prefix if purpose is Purpose.QUERY else self.document_prefix


def _slug(name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:_MAX_SLUG_CHARACTERS].strip("-") or "model"


def checked_template(template: str) -> str:
    """Return the document template, or raise ValueError that says what is wrong with it."""
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise ValueError(f"{len(template)} characters, at most {MAX_TEMPLATE_CHARACTERS}")
    parsed = Template(template)
    if not parsed.is_valid():
        raise ValueError("a $ must begin ${name} or be written $$")
    names = set(parsed.get_identifiers())
    if unknown := sorted(names - TEMPLATE_FIELDS):
        raise ValueError(
            f"unknown {', '.join(unknown)}; there are {', '.join(sorted(TEMPLATE_FIELDS))}"
        )
    if not names:
        raise ValueError("needs at least one of " + ", ".join(sorted(TEMPLATE_FIELDS)))
    return template
