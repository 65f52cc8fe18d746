"""A product as the text that is embedded."""

from collections.abc import Mapping
from hashlib import blake2b
from string import Template

from services.index.model import Product

# The embedder takes no longer ones; models read far less.
MAX_TEXT_CHARS = 100_000

_PARTS = ("name", "brand", "category", "description", "attributes")
_OPENING = "([{«"
_CLOSING = ")]}»"
_SEPARATORS = " \t\r\n.,;:/|-\u2013\u2014\u00b7\u2022"


class DocumentTemplate:
    """Literal text and ${name}, ${brand}, ${category}, ${description}, ${attributes}; "$$" is a $.

    The literal before a part belongs to it: a part that is empty takes it
    along, and with a bracket that it opens the one that closes it. ValueError
    for another part.
    """

    def __init__(self, template: str) -> None:
        self._parts: list[str] = []
        # One before each part, and one after the last.
        self._literals = [""]
        end = 0
        for match in Template.pattern.finditer(template):
            self._literals[-1] += template[end : match.start()]
            end = match.end()
            part = match["named"] or match["braced"]
            if match["escaped"] is not None:
                self._literals[-1] += "$"
            elif part in _PARTS:
                self._parts.append(part)
                self._literals.append("")
            else:
                raise ValueError(f"document template: unknown part {match.group()!r}")
        self._literals[-1] += template[end:]

    def render(self, product: Product) -> str:
        """Return the text, at most 100,000 characters; empty if all of its parts are."""
        values = {
            "name": product.name.strip(),
            "brand": product.brand.strip(),
            "category": product.category.strip(),
            "description": product.description.strip(),
            "attributes": _attributes_text(product.attributes),
        }
        if not any(values[part] for part in self._parts):
            return ""
        text = ""
        # Of the brackets that are open, whether they are shown.
        brackets: list[bool] = []
        is_after_empty_part = False
        for literal, part in zip(self._literals, [*self._parts, None], strict=True):
            value = values[part] if part is not None else ""
            is_shown = part is None or bool(value)
            shown = _shown(literal, brackets, is_shown=is_shown)
            # at the beginning, nothing is there that it could separate
            text += shown if text or not is_after_empty_part else shown.lstrip(_SEPARATORS)
            text += value
            is_after_empty_part = not is_shown
        return text.strip()[:MAX_TEXT_CHARS]


def _shown(literal: str, brackets: list[bool], *, is_shown: bool) -> str:
    """Return what is shown of a literal: a closing bracket is if the opening one was."""
    shown = ""
    for char in literal:
        is_char_shown = is_shown
        if char in _OPENING:
            brackets.append(is_shown)
        elif char in _CLOSING and brackets:
            is_char_shown = brackets.pop()
        shown += char if is_char_shown else ""
    return shown


def _attributes_text(attributes: Mapping[str, str | float | bool]) -> str:
    # sorted: maps come in any order, and the text must not depend on it
    return ", ".join(f"{name}: {_value_text(attributes[name])}" for name in sorted(attributes))


def _value_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).strip()


def text_hash(text: str) -> bytes:
    """Return the 16 bytes that tell whether a text is as before."""
    return blake2b(text.encode(), digest_size=16).digest()
