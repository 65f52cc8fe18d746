import pytest

from services.cli.failures import Failure
from services.cli.wrong_text import with_text_shown


@pytest.mark.parametrize("place", [0, 1, 300, 1998, 1999])
def test_the_caret_stands_below_the_place_in_a_filter_of_any_length(place: int) -> None:
    text = "a" * place + "!" + "z" * (1999 - place)
    failure = with_text_shown(
        Failure(f"filter: at position {place + 1}: no"), {"filter": text, "order_by": "x"}
    )
    _, shown, caret = failure.message.splitlines()
    assert failure.exit_code == 2
    assert len(shown) < 80
    assert caret.index("^") == shown.index("!")


def test_the_caret_stands_behind_a_filter_that_ends_too_soon() -> None:
    failure = with_text_shown(Failure("filter: at position 8: no"), {"filter": "price <"})
    assert failure.message.splitlines()[1:] == ["  price <", "         ^"]


@pytest.mark.parametrize("field", ["facets[1]", "facets[1].limit"])
def test_the_text_is_that_of_the_field_which_is_wrong(field: str) -> None:
    texts = {"facets[0]": "brand", "facets[1]": "price(9)", "facets[11]": "name"}
    failure = with_text_shown(Failure(f"{field}: no"), texts)
    assert failure.message == f"{field}: no\n  price(9)"
    assert failure.exit_code == 2


def test_a_text_that_is_long_as_a_whole_is_not_repeated() -> None:
    failure = with_text_shown(
        Failure("order_by: 501 characters, at most 500"), {"order_by": "x" * 501}
    )
    assert failure.message == "order_by: 501 characters, at most 500"
    assert failure.exit_code == 2


def test_what_is_shown_is_inert() -> None:
    failure = with_text_shown(Failure("filter: at position 6: no"), {"filter": "a = \x1b[31m"})
    assert "\x1b" not in failure.message


@pytest.mark.parametrize("message", ["query: at position 3: no", "filters: no", "no", "facets: no"])
def test_a_failure_of_something_else_stays_as_it_is(message: str) -> None:
    failure = Failure(message, exit_code=1)
    assert with_text_shown(failure, {"filter": "x", "facets[0]": "y", "order_by": ""}) is failure
