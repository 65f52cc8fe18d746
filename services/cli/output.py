"""What goes to the terminal. Texts of products are data: they are shown, never obeyed."""

import json
import os
import re
import sys
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 160

# Control characters, and what turns or hides the text around it on a terminal.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_ACTIVE_BUT_LINES = re.compile(_ACTIVE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
# In JSON only what json.dumps leaves as it is.
_ACTIVE_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def console() -> Console:
    """Return standard output as a console without markup."""
    return _console(is_error=False)


def error_console() -> Console:
    """Return standard error as a console without markup."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> Console:
    made = Console(stderr=is_error, markup=False, highlight=False, emoji=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = _PIPE_WIDTH
    return made


def inert(text: str, *, keep_lines: bool = False) -> str:
    """Return text that cannot steer a terminal: control characters become visible signs."""
    return (_ACTIVE_BUT_LINES if keep_lines else _ACTIVE).sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in "\n\r\t":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def cell(text: object, style: str = "") -> Text:
    """Return inert text for a table's cell."""
    return Text(inert(str(text)), style)


def on_one_line(text: Text) -> Text:
    """Return the text, cut where its column ends.

    A column that may not wrap would be as wide as its text, at the cost of the numbers.
    """
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def plain_table(title: str = "") -> Table:
    """Return a table in the style of all of ours."""
    return Table(
        box=None, title=Text(inert(title), "bold") if title else None, title_justify="left",
        header_style="dim", pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip


def print_json(value: Message | dict[str, Any]) -> None:
    """Print one line: proto3 JSON of a message, or an object."""
    if isinstance(value, Message):
        value = json_format.MessageToDict(value, always_print_fields_with_no_presence=True)
    sys.stdout.write(json_line(value) + "\n")
    sys.stdout.flush()


def json_line(value: Any) -> str:
    """Return one line of JSON that a terminal can show safely."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return _ACTIVE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def money(price: str, currency: str) -> str:
    """Return "49.95 €"; empty without a price."""
    sign = {"EUR": "€", "USD": "$", "GBP": "£"}.get(currency, currency)
    return f"{price} {sign}".strip() if price else ""


def times(factor: float) -> str:
    """Return the factor with the sign of multiplication before it."""
    return f"\N{MULTIPLICATION SIGN}{factor:g}"


def count(number: int, thing: str) -> str:
    """Return "1 result", "12,000 results"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def moment(time: Timestamp) -> str:
    """Return "2030-01-31 10:00:00 UTC"."""
    return f"{time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"


def mebibytes(size_bytes: int) -> str:
    """Return "1.5"."""
    return f"{size_bytes / 1024 / 1024:.1f}"
