"""What is asked for beside the words: one side of a comparison."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.cli.failures import WRONG_USE, Failure
from services.cli.options import Mode

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# Commas between quotes belong to the value: filter=brand = "A, B"
_PAIR = re.compile(rf'(?:[^",]|{_QUOTED})+')
_INLINE = re.compile(rf'(?:[^"]|{_QUOTED})*')


@dataclass(frozen=True)
class Config:
    """Overrides of the gateway's defaults; None leaves one as it is."""

    mode: str | None = None
    semantic_weight: float | None = None
    literal: bool | None = None
    filter: str | None = None
    category: str | None = None
    order_by: str | None = None
    diversity: float | None = None
    without_rules: bool | None = None
    space: str | None = None
    address: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is set."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.as_json().items()) or "gateway's defaults"


def parse_config(text: str, *, option: str) -> Config:
    """Read a TOML file, or `key=value,key=value`. Raises Failure, which names the option."""
    path = Path(text)
    if path.suffix == ".toml" or _is_file(path):
        return _checked(_read_toml(path), where=f"{option} {path}")
    return _checked(_inline(text, option), where=option)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a path, for example
        return False


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _wrong(str(path), "no such file") from None
    except OSError as error:
        raise _wrong(str(path), (error.strerror or "cannot be read").lower()) from None
    except ValueError as error:  # of TOML, and of UTF-8
        problem = error if isinstance(error, tomllib.TOMLDecodeError) else "not UTF-8"
        raise _wrong(str(path), f"no TOML: {problem}") from None


def _inline(text: str, option: str) -> dict[str, Any]:
    if not _INLINE.fullmatch(text):
        raise _wrong(option, "a quote is not closed")
    values: dict[str, Any] = {}
    for pair in _PAIR.findall(text):
        key, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not key:
            raise _wrong(option, f"{pair.strip()!r} is neither key=value nor a file")
        if key in values:
            raise _wrong(option, f"{key} is there twice")
        values[key] = _typed(key, value)
    if not values:
        raise _wrong(option, "is empty")
    return values


def _typed(key: str, value: str) -> Any:
    """Return the text as what the key holds; what cannot be read so stays text."""
    if key in ("semantic_weight", "diversity"):
        try:
            return float(value)
        except ValueError:
            return value
    if key in ("literal", "without_rules"):
        return {"true": True, "false": False}.get(value.lower(), value)
    if key != "filter" and re.fullmatch(_QUOTED, value):
        return value[1:-1]
    return value


def _is_mode(value: object) -> bool:
    return value in tuple(Mode)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "mode": (_is_mode, "lexical, semantic or hybrid"),
    "semantic_weight": (_is_share, "a number, 0 to 1"),
    "literal": (_is_switch, "true or false"),
    "filter": (_is_text, "a text"),
    "category": (_is_text, "a text"),
    "order_by": (_is_text, "a text"),
    "diversity": (_is_share, "a number, 0 to 1"),
    "without_rules": (_is_switch, "true or false"),
    "space": (_is_text, "the id of a space"),
    "address": (_is_text, "host:port"),
}


def _checked(values: dict[str, Any], *, where: str) -> Config:
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise _wrong(where, f"unknown: {', '.join(unknown)}", f"known: {', '.join(_KEYS)}")
    for key, value in values.items():
        is_good, expected = _KEYS[key]
        if not is_good(value):
            raise _wrong(where, f"{key}: {value!r} given, must be {expected}")
    return Config(**values)


def _wrong(where: str, problem: str, hint: str = "") -> Failure:
    return Failure(f"{where}: {problem}", hint=hint, exit_code=WRONG_USE)
