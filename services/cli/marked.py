"""Texts with <mark> around what matched, as a terminal shows them."""

import html
import re

from rich.text import Text

from services.cli.output import cell
from vitrina.search.v1 import search_pb2

_MARKED = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_MARK_STYLE = "bold underline"


def marked_cell(safe_html: str, style: str = "") -> Text:
    """Return inert text in a style, what stood between <mark> and </mark> underlined."""
    text = Text(style=style)
    # Every second piece is what the group matched.
    for place, piece in enumerate(_MARKED.split(safe_html)):
        text.append_text(cell(html.unescape(piece), _MARK_STYLE if place % 2 else ""))
    return text


def name_cell(result: search_pb2.Result) -> Text:
    """Return the name of a product; if it was asked for, with what matched and a line of text."""
    highlights = result.highlights
    text = Text()
    if highlights.name:
        text.append_text(marked_cell(highlights.name, "bold"))
    else:
        text.append_text(cell(result.product.name, "bold"))
    if highlights.description:
        text.append("\n").append_text(marked_cell(highlights.description, "dim"))
    return text
