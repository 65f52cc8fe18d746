"""Ids of spaces, and the document template that is part of them."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedder.spaces import Space, checked_template

SPACE = Space(
    provider="minilm",
    model="all-MiniLM-L6-v2",
    revision="abc",
    dimensions=384,
    max_tokens=256,
    pooling="mean",
    document_template="${name}",
)


def test_an_id_never_changes_by_itself() -> None:
    # Collections on disk are named by it: when this fails, every shop embeds everything anew.
    assert SPACE.id == "minilm-all-minilm-l6-v2-384-7b661904"


@pytest.mark.parametrize("name", [field.name for field in fields(Space)])
def test_whatever_differs_gives_another_id(name: str) -> None:
    value = getattr(SPACE, name)
    changed: Any = value + 1 if isinstance(value, int) else value + "x"
    other = replace(SPACE, **{name: changed})
    assert other.id != SPACE.id


@given(model=st.text(min_size=1, max_size=200))
def test_an_id_is_safe_as_a_file_name_and_as_a_metadata_key(model: str) -> None:
    longest = replace(SPACE, provider="hashing", model=model, dimensions=3072)
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,63}", longest.id)


@pytest.mark.parametrize(
    "template", ["${name}", "${name}. ${brand} $$5 ${category}\n${description}${attributes}"]
)
def test_known_fields_make_a_template(template: str) -> None:
    assert checked_template(template) == template


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("${price}", "unknown price"),
        ("costs $ 5 ${name}", "must begin"),
        ("${name", "must begin"),
        ("no field", "at least one"),
        ("", "at least one"),
        ("${name}" * 200, "at most 1000"),
    ],
)
def test_another_template_is_refused(template: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        checked_template(template)
