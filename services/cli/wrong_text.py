"""Failures about a text that the user wrote: it is shown, with the wrong place marked."""

import re
from collections.abc import Mapping

from rich.cells import cell_len

from services.cli.failures import WRONG_USE, Failure
from services.cli.output import inert

# What is shown of a text around the place where it is wrong.
_SHOWN_BEFORE, _SHOWN_AFTER = 48, 24
_PROBLEM = re.compile(r"(?P<field>[a-z_.0-9\[\]]+): (?:at position (?P<position>\d+): )?")


def with_text_shown(failure: Failure, texts: Mapping[str, str]) -> Failure:
    """Return a failure as wrong use, with its text below it, if it is about one of `texts`.

    `texts` is {field of the request: what the user gave for it}.
    """
    problem = _PROBLEM.match(failure.message)
    text = _text_of(problem["field"], texts) if problem else ""
    if problem is None or not text:
        return failure
    message = failure.message
    if problem["position"]:
        message += "\n" + _marked(text, int(problem["position"]) - 1)
    elif len(text) <= _SHOWN_BEFORE + _SHOWN_AFTER:
        message += f"\n  {inert(text)}"
    return Failure(message, hint=failure.hint, exit_code=WRONG_USE)


def _text_of(field: str, texts: Mapping[str, str]) -> str:
    """Return the text of a field, or of the one that it is a part of: facets[0].limit."""
    for name, text in texts.items():
        if field == name or field.startswith(f"{name}."):
            return text
    return ""


def _marked(text: str, place: int) -> str:
    """Return the text around a place, counted from 0, and a line with a caret below it."""
    start, end = max(0, place - _SHOWN_BEFORE), place + _SHOWN_AFTER
    before = ("…" if start else "") + inert(text[start:place])
    after = inert(text[place:end]) + ("…" if end < len(text) else "")
    return f"  {before}{after}\n  {' ' * cell_len(before)}^"
