"""How a product becomes the text that is embedded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.documents import DocumentTemplate, text_hash
from services.index.model import Product

NOTHING = Product(
    id="p", name="", description="", category="", brand="", price_e4=None, stock=None,
    attributes={}, is_active=True, revision=1,
)  # fmt: skip


def render(template: str, **parts: Any) -> str:
    values = {name: getattr(NOTHING, name) for name in Product.__slots__} | parts
    return DocumentTemplate(template).render(Product(**values))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"name": "N", "brand": "B", "category": "C", "description": "D"}, "N. B. C. D"),
        ({"name": "N", "description": "D"}, "N. D"),
        ({"name": "N"}, "N"),
        ({"brand": "B", "category": "C"}, "B. C"),
        ({"description": " D. "}, "D."),
        ({}, ""),
    ],
)
def test_an_empty_part_leaves_no_punctuation(parts: dict[str, str], text: str) -> None:
    assert render("${name}. ${brand}. ${category}. ${description}", **parts) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"name": "N", "brand": "B", "category": "C"}, "N (B). In: C!"),
        ({"name": "N", "category": "C"}, "N. In: C!"),
        ({"name": "N", "brand": "B"}, "N (B)!"),
        ({"name": "N"}, "N!"),
        ({"brand": "B"}, "(B)!"),
    ],
)
def test_labels_and_brackets_go_with_their_part(parts: dict[str, str], text: str) -> None:
    assert render("${name} (${brand}). In: $category!", **parts) == text


def test_a_doubled_dollar_is_one() -> None:
    assert render("$$ ${name} $$5", name="N") == "$ N $5"


def test_attributes_come_in_an_order_of_their_own() -> None:
    attributes = {"weight": 0.26, "colour": "negro ", "wireless": True, "hours": 38.0}
    expected = "colour: negro, hours: 38, weight: 0.26, wireless: true"
    assert render("${attributes}", attributes=attributes) == expected
    backwards = dict(reversed(attributes.items()))
    assert render("${attributes}", attributes=backwards) == expected


@pytest.mark.parametrize("template", ["${price}", "$", "${name", "${ name }", "$é"])
def test_a_template_that_is_not_understood_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="unknown part"):
        DocumentTemplate(template)


def test_a_text_is_at_most_as_long_as_the_embedder_takes() -> None:
    assert len(render("${name}. ${description}", name="N", description="d" * 200_000)) == 100_000


@given(st.dictionaries(st.sampled_from(["name", "brand", "category", "description"]), st.text()))
def test_every_part_is_in_the_text_and_nothing_dangles(parts: dict[str, str]) -> None:
    text = render("${name}. ${brand}. ${category}. ${description}", **parts)
    present = [
        parts[part].strip()
        for part in ("name", "brand", "category", "description")
        if parts.get(part, "").strip()
    ]
    assert text == ". ".join(present)


def test_the_hash_tells_texts_apart() -> None:
    assert text_hash("a") == text_hash("a")
    assert text_hash("a") != text_hash("b")
    assert len(text_hash("é" * 1000)) == 16
