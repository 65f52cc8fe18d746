"""The environment of the embedder."""

import pytest
from pydantic import ValidationError

from services.embedder.settings import EmbedderSettings

KEY = "AIza-secret"


def from_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> EmbedderSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return EmbedderSettings()


def test_defaults_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    settings = from_environment(monkeypatch)
    assert settings.providers == ("gemini", "minilm")
    assert settings.google_api_key is None
    assert (settings.model_dir / "config.json").is_file()


def test_providers_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch, VITRINA_EMBEDDER_PROVIDERS="hashing, gemini")
    assert settings.providers == ("hashing", "gemini")


def test_the_key_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch, GOOGLE_API_KEY=KEY)
    assert KEY not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VITRINA_EMBEDDER_PROVIDERS", "openai"),
        ("VITRINA_EMBEDDER_PROVIDERS", "minilm,minilm"),
        ("VITRINA_DOCUMENT_TEMPLATE", "${price}"),
        ("VITRINA_EMBEDDER_MAX_WAITING_TEXTS", "10"),
        ("VITRINA_GEMINI_DIMENSIONS", "4000"),
        ("VITRINA_GEMINI_TRANSPORT", "carrier pigeon"),
        ("VITRINA_GEMINI_MODEL", "../secret"),
        ("VITRINA_EMBEDDER_LISTEN", "nowhere"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    with pytest.raises(ValidationError, match=variable):
        from_environment(monkeypatch, **{variable: value})
