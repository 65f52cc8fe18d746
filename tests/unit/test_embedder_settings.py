"""The environment of the embedder."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.embedder.settings import EmbedderSettings
from tests.embedder_support import another_model

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
    assert (settings.model_dirs[0] / "config.json").is_file()


def test_providers_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch, VITRINA_EMBEDDER_PROVIDERS="hashing, gemini")
    assert settings.providers == ("hashing", "gemini")


def test_model_folders_are_a_list_as_path_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new, old = another_model(tmp_path / "new"), another_model(tmp_path / "old")
    settings = from_environment(
        monkeypatch,
        VITRINA_MODEL_DIR=f"{new}{os.pathsep}{old}",
        VITRINA_MODEL_QUERY_PREFIX="query: ",
        VITRINA_MODEL_DOCUMENT_PREFIX="|passage: ",
    )
    assert settings.models == [(new, "query: ", ""), (old, "", "passage: ")]


def test_a_folder_that_is_not_there_does_not_forbid_the_start_with_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = another_model(tmp_path / "there")
    missing = tmp_path / "missing"
    settings = from_environment(monkeypatch, VITRINA_MODEL_DIR=f"{missing}{os.pathsep}{there}")
    assert settings.model_dirs == (missing, there)


@pytest.mark.parametrize(
    ("folders", "query_prefixes", "problem"),
    [
        (("missing", "missing too"), "", "must be a folder with"),
        (("there", "there"), "", "names a folder twice"),
        (("there",), "one|two", "2 prefixes for 1 model folders"),
        (("there",), "x" * 201, "more than 200 characters"),
    ],
)
def test_folders_and_prefixes_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folders: tuple[str, ...],
    query_prefixes: str,
    problem: str,
) -> None:
    another_model(tmp_path / "there")
    with pytest.raises(ValidationError, match=problem):
        from_environment(
            monkeypatch,
            VITRINA_MODEL_DIR=os.pathsep.join(str(tmp_path / folder) for folder in folders),
            VITRINA_MODEL_QUERY_PREFIX=query_prefixes,
        )


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
