"""Prices as people write them, to exact decimals."""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

MAX_WHOLE_DIGITS = 12
MAX_DECIMALS = 4


class DecimalMark(StrEnum):
    """Which of `.` and `,` is the decimal mark where the text alone does not tell."""

    AUTO = "auto"
    COMMA = "comma"
    POINT = "point"


@dataclass(frozen=True, slots=True)
class Price:
    """A plain decimal ("1234.50") and an ISO 4217 code, empty where none was written."""

    amount: str
    currency: str


class NotAPrice(ValueError):
    """The text is no price; the message says why."""


# What shops write where there is no price; compared without accents, case and a final point.
NO_PRICE_WORDS = frozenset(
    (
        "",
        "-",
        "--",
        "---",
        "\N{EN DASH}",
        "\N{EM DASH}",
        "?",
        "n/a",
        "na",
        "n.a",
        "s/p",
        "nan",
        "null",
        "none",
        "tbd",
        "agotado",
        "a consultar",
        "consultar",
        "consultar precio",
        "no disponible",
        "precio a consultar",
        "precio no disponible",
        "sin precio",
        "call for price",
        "no price",
        "not available",
        "on request",
        "out of stock",
        "price on request",
        "sold out",
        "unavailable",
    )
)

# ISO 4217, the currencies in circulation.
_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW
KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD
NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD
SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED
VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
_SYMBOLS = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "EURO": "EUR", "EUROS": "EUR"}
# Countries that write their own currency as a bare "$".
_DOLLARS = "ARS AUD CAD CLP COP HKD MXN NZD SGD USD UYU"
_WRITTEN_AS_DOLLAR = frozenset(_DOLLARS.split())

_MINUS = "[-\N{MINUS SIGN}]"
_CURRENCY = r"US\$|[€$£]|[A-Za-z]{3}|[Ee]uros?|EUROS?"
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_SHAPE = re.compile(
    rf"(?P<before>{_CURRENCY})? ?\+?(?P<number>[0-9.,{_APOSTROPHES} ]*[0-9]) ?"
    rf"(?P<after>{_CURRENCY})?"
)
_NEGATIVE = re.compile(rf"(?:{_CURRENCY})? ?{_MINUS} ?(?:{_CURRENCY})? ?[0-9.,]")
_SPACES = re.compile(r"\s+")
_WHOLE = re.compile(
    rf"[0-9]+|[0-9]{{1,3}}(?:[{_APOSTROPHES}][0-9]{{3}})+"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]{1,3}(?:,[0-9]{3}){2,}"
)
# Groups by spaces only with decimals after them: "100 200" may as well be two prices.
_GROUPED = re.compile(
    rf"(?P<whole>[0-9]{{1,3}}(?P<gap>[.,{_APOSTROPHES} ])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*)"
    r"(?!(?P=gap))[.,](?P<fraction>[0-9]+)"
)
_UNGROUPED = re.compile(r"(?P<whole>[0-9]*)(?P<mark>[.,])(?P<fraction>[0-9]+)")
_NOT_DIGITS = re.compile("[^0-9]")


def parse_price(
    text: str, *, decimal_mark: DecimalMark = DecimalMark.AUTO, currency: str = ""
) -> Price | None:
    """Read `3,15 €`, `US$ 49.95`, `1.234,56`; None for a word that means "no price".

    With both marks the last one is the decimal mark. One mark before exactly
    three digits ("1.234") tells nothing: `decimal_mark` decides, and without
    it this is an error. `currency` is that of a price which names none, and
    the meaning of a bare "$" where it is a currency written so.
    """
    tidy = _SPACES.sub(" ", text).strip()
    shape = _SHAPE.fullmatch(tidy)
    if shape is None:
        if _is_no_price(tidy):
            return None
        if _NEGATIVE.match(tidy):
            raise NotAPrice(f"{_shown(text)} is negative")
        raise NotAPrice(f"{_shown(text)} is not a price")
    written = {_code_of(word, currency) for word in (shape["before"], shape["after"]) if word}
    if len(written) > 1:
        raise NotAPrice(f"{_shown(text)} names two currencies")
    amount = _bounded(*_split(shape["number"], decimal_mark, text), text)
    return Price(amount, written.pop() if written else currency)


def price_of_number(number: int | Decimal, currency: str = "") -> Price:
    """Return a number's price, digit by digit as it was written."""
    exact = Decimal(number)
    if exact < 0:
        raise NotAPrice(f"{_shown(str(number))} is negative")
    if exact and not -20 < exact.adjusted() < MAX_WHOLE_DIGITS:
        raise NotAPrice(f"{_shown(str(number))} is out of range")
    whole, _, fraction = format(abs(exact), "f").partition(".")
    return Price(_bounded(whole, fraction, str(number)), currency)


def is_currency(code: str) -> bool:
    """Tell whether it is an ISO 4217 code in capitals."""
    return code in CURRENCIES


def _code_of(word: str, expected: str) -> str:
    if word == "$" and expected in _WRITTEN_AS_DOLLAR:
        return expected
    code = _SYMBOLS.get(word.upper(), word.upper())
    if code not in CURRENCIES:
        raise NotAPrice(f"{_shown(word)} is not a currency")
    return code


def _split(number: str, decimal_mark: DecimalMark, text: str) -> tuple[str, str]:
    """Return the digits before and after the decimal mark."""
    if _WHOLE.fullmatch(number):
        return _NOT_DIGITS.sub("", number), ""
    if grouped := _GROUPED.fullmatch(number):
        return _NOT_DIGITS.sub("", grouped["whole"]), grouped["fraction"]
    ungrouped = _UNGROUPED.fullmatch(number)
    if ungrouped is None:
        problem = "holds two numbers" if " " in number else "is not a price"
        raise NotAPrice(f"{_shown(text)} {problem}")
    whole, mark, fraction = ungrouped.group("whole", "mark", "fraction")
    may_be_a_group = len(fraction) == 3 and len(whole) <= 3 and whole[:1] not in ("", "0")
    if may_be_a_group and decimal_mark is DecimalMark.AUTO:
        raise NotAPrice(
            f"{_shown(text)} may be {whole}{fraction} or {whole}{mark}{fraction}: "
            "pass --decimal comma or --decimal point"
        )
    if may_be_a_group and (decimal_mark is DecimalMark.POINT) != (mark == "."):
        return whole + fraction, ""
    return whole, fraction


def _bounded(whole: str, fraction: str, text: str) -> str:
    whole = whole.lstrip("0") or "0"
    if len(fraction) > MAX_DECIMALS:
        fraction = fraction.rstrip("0")
    if len(whole) > MAX_WHOLE_DIGITS:
        raise NotAPrice(
            f"{_shown(text)} has {len(whole)} digits before the decimals, "
            f"at most {MAX_WHOLE_DIGITS}"
        )
    if len(fraction) > MAX_DECIMALS:
        raise NotAPrice(f"{_shown(text)} has {len(fraction)} decimals, at most {MAX_DECIMALS}")
    return f"{whole}.{fraction}" if fraction else whole


def _is_no_price(tidy: str) -> bool:
    unaccented = "".join(
        c for c in unicodedata.normalize("NFKD", tidy) if not unicodedata.combining(c)
    )
    word = unaccented.casefold()
    return word in NO_PRICE_WORDS or (word != "." and word.removesuffix(".") in NO_PRICE_WORDS)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
