from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.prices import DecimalMark, NotAPrice, Price, parse_price, price_of_number


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("3,15 €", "3.15", "EUR"),
        ("8.95 €", "8.95", "EUR"),
        ("3,15\u00a0€", "3.15", "EUR"),
        ("€3.15", "3.15", "EUR"),
        ("3,15 euros", "3.15", "EUR"),
        ("1.234,56 €", "1234.56", "EUR"),
        ("1,234.56", "1234.56", ""),
        ("1.234.567,8", "1234567.8", ""),
        ("1.234.567", "1234567", ""),
        ("1 234,56 €", "1234.56", "EUR"),
        ("1\u202f234,56 €", "1234.56", "EUR"),
        ("CHF 1'234.50", "1234.50", "CHF"),
        ("US$ 49.95", "49.95", "USD"),
        ("49.95 USD", "49.95", "USD"),
        ("49.95 usd", "49.95", "USD"),
        ("$5", "5", "USD"),
        ("£ 0.5", "0.5", "GBP"),
        ("EUR 12 €", "12", "EUR"),
        ("0.125", "0.125", ""),
        (",95", "0.95", ""),
        ("1234.567", "1234.567", ""),
        ("1.2345", "1.2345", ""),
        ("007", "7", ""),
        ("8.9500000", "8.95", ""),
        ("0", "0", ""),
        ("999999999999,9999", "999999999999.9999", ""),
    ],
)
def test_a_price_is_read_as_people_write_it(text: str, amount: str, currency: str) -> None:
    assert parse_price(text) == Price(amount, currency)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "—", "n/a", "N/A", "Precio no disponible", "AGOTADO", "Agotado.", "sin  precio"],
)
def test_a_word_that_means_no_price_is_no_price(text: str) -> None:
    assert parse_price(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "abc", "12abc", "abc 12", "3,15 €/kg", "desde 3 €", "3,15 4,20", "10 20", "100 200",
        "1,2,3", "1.23.456,7", "1,23.456,7", "12.34.567", "1..2", ".", ",", "€", "5.", "1e5",
        "٣", "²", "NaN5", "€ 5 USD", "1 234 56", "5 XYZ", "1234567890123", "1.23456",
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(NotAPrice):
        parse_price(text)


@pytest.mark.parametrize("text", ["-5", "-5 €", "€ -5", "-€5", "\N{MINUS SIGN}3,15 €"])
def test_a_negative_price_is_refused_as_such(text: str) -> None:
    with pytest.raises(NotAPrice, match="negative"):
        parse_price(text)


@pytest.mark.parametrize("text", ["1.234", "1,234", "123.456 €"])
def test_one_mark_before_three_digits_asks_for_the_decimal_option(text: str) -> None:
    with pytest.raises(NotAPrice, match="--decimal"):
        parse_price(text)


def test_the_decimal_option_settles_what_is_ambiguous_and_nothing_else() -> None:
    comma, point = DecimalMark.COMMA, DecimalMark.POINT
    assert parse_price("1.234", decimal_mark=comma) == Price("1234", "")
    assert parse_price("1.234", decimal_mark=point) == Price("1.234", "")
    assert parse_price("1,234", decimal_mark=comma) == Price("1.234", "")
    assert parse_price("1,234", decimal_mark=point) == Price("1234", "")
    assert parse_price("8.95", decimal_mark=comma) == Price("8.95", "")


def test_the_given_currency_is_for_prices_that_name_none() -> None:
    assert parse_price("5", currency="EUR") == Price("5", "EUR")
    assert parse_price("5 £", currency="EUR") == Price("5", "GBP")
    assert parse_price("$5", currency="MXN") == Price("5", "MXN")
    assert parse_price("US$5", currency="MXN") == Price("5", "USD")


@given(st.decimals(min_value=0, max_value=Decimal("999999999999.9999"), places=4))
def test_a_number_keeps_its_digits(number: Decimal) -> None:
    assert Decimal(price_of_number(number).amount) == number


@given(st.integers(0, 10**11), st.integers(0, 99))
def test_both_conventions_agree_on_a_grouped_price(whole: int, cents: int) -> None:
    english = f"{whole:,}.{cents:02}"
    spanish = english.translate(str.maketrans(",.", ".,"))
    expected = Price(f"{whole}.{cents:02}", "")
    assert parse_price(english) == expected
    assert parse_price(spanish) == expected


@given(st.text(max_size=30))
def test_any_text_is_a_price_or_none_or_refused(text: str) -> None:
    try:
        price = parse_price(text)
    except NotAPrice:
        return
    assert price is None or Decimal(price.amount) >= 0


@pytest.mark.parametrize(
    "number", [-1, Decimal("-0.01"), Decimal("1e999999"), Decimal("1e-999999"), 10**12]
)
def test_a_number_out_of_range_is_refused(number: int | Decimal) -> None:
    with pytest.raises(NotAPrice):
        price_of_number(number)
