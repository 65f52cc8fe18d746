"""Settings are checked at start, and say what is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.catalog.settings import CatalogSettings
from services.catalog.text import Language


def test_the_database_is_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("VITRINA_DATA_DIR", "/somewhere")
    settings = CatalogSettings()
    assert settings.database_path == Path("/somewhere/catalog/catalog.db")
    assert settings.listen == "127.0.0.1:50053"
    assert settings.text_weights == (10, 5, 5, 5, 1)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite+aiosqlite:////srv/a b%20.db", "/srv/a b%20.db"),
        ("sqlite+aiosqlite:///here.db", "here.db"),
    ],
)
def test_database_url_names_a_file(monkeypatch: pytest.MonkeyPatch, url: str, path: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert CatalogSettings().database_path == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:hunter2@db/shop",
        "sqlite:///x.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///x.db?mode=ro",
    ],
)
def test_another_database_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ValidationError) as refused:
        CatalogSettings()
    (problem,) = refused.value.errors(include_input=False)
    assert problem["loc"] == ("DATABASE_URL",)
    assert "hunter2" not in problem["msg"]


def test_weights_that_are_not_named_keep_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_TEXT_WEIGHTS", "name=8, attributes=0.5")
    assert CatalogSettings().text_weights == (8, 5, 5, 5, 0.5)


@pytest.mark.parametrize(
    "weights", ["name", "name=x", "title=1", "name=0", "name=-1", "name=nan", "name=inf", "name=1;"]
)
def test_weights_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    monkeypatch.setenv("VITRINA_TEXT_WEIGHTS", weights)
    with pytest.raises(ValidationError):
        CatalogSettings()


def test_the_language_of_the_texts_is_one_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINA_LANGUAGE", raising=False)
    assert CatalogSettings().language is Language.MIXED
    monkeypatch.setenv("VITRINA_LANGUAGE", "es")
    assert CatalogSettings().language is Language.SPANISH
    monkeypatch.setenv("VITRINA_LANGUAGE", "de")
    with pytest.raises(ValidationError):
        CatalogSettings()


@pytest.mark.parametrize("currency", ["eur", "EURO", "E"])
def test_a_default_currency_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, currency: str
) -> None:
    monkeypatch.setenv("VITRINA_DEFAULT_CURRENCY", currency)
    with pytest.raises(ValidationError):
        CatalogSettings()
