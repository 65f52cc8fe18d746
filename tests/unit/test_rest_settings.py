import pytest
from pydantic import ValidationError

from services.gateway.rest.settings import RestSettings


def test_defaults_need_no_environment() -> None:
    settings = RestSettings()
    assert settings.listen == "127.0.0.1:8080"
    assert settings.gateway_address == "127.0.0.1:50050"
    assert settings.timeout_seconds == 15
    assert settings.max_body_bytes == 16 * 1024 * 1024
    assert settings.cors_origins == ()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_CORS_ORIGINS", "https://shop.example, http://localhost:3000")
    assert RestSettings().cors_origins == ("https://shop.example", "http://localhost:3000")


@pytest.mark.parametrize("origins", ["shop.example", "https://shop.example/", "https://*", "x,*"])
def test_what_is_not_an_origin_is_refused(origins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_CORS_ORIGINS", origins)
    with pytest.raises(ValidationError, match="with commas"):
        RestSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VITRINA_HTTP_LISTEN", "8080"),
        ("VITRINA_HTTP_TIMEOUT_SECONDS", "0"),
        ("VITRINA_HTTP_MAX_BODY_BYTES", "99999999"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        RestSettings()
