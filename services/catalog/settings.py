"""What the catalog reads from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from services.catalog.text import Language, ProductWords
from services.common.settings import Address, ServiceSettings

_SQLITE = "sqlite+aiosqlite:///"
_MAX_WEIGHT = 1_000

# Names say what a product is; attributes mention much that it is not. Round numbers: on 57
# judged queries over 19,406 electronics products others are as good, within the noise.
DEFAULT_TEXT_WEIGHTS = "name=10,brand=5,category=5,description=5,attributes=1"


def _sqlite_url(url: str) -> str:
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path or path == ":memory:" or "?" in path:
        raise ValueError(f"must be {_SQLITE}<path of a file>; no other database is supported yet")
    return url


def _text_weights(text: object) -> object:
    """Read "name=10,brand=5": fields that are not named keep their default."""
    weights: dict[str, float] = {}
    for part in f"{DEFAULT_TEXT_WEIGHTS},{text}".split(","):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"must read like {DEFAULT_TEXT_WEIGHTS}") from None
    if set(weights) != set(ProductWords._fields):
        raise ValueError(f"fields are {', '.join(ProductWords._fields)}")
    if not all(0 < weight <= _MAX_WEIGHT for weight in weights.values()):
        raise ValueError(f"weights must be above 0, at most {_MAX_WEIGHT}")
    return tuple(weights[name] for name in ProductWords._fields)


TextWeights = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_text_weights)]


class CatalogSettings(ServiceSettings):
    """Settings of the catalog."""

    listen: Address = Field("127.0.0.1:50053", alias="VITRINA_CATALOG_LISTEN")
    # Empty: catalog/catalog.db in the data folder.
    database_url: Annotated[str, AfterValidator(_sqlite_url)] | None = Field(
        None, alias="DATABASE_URL", repr=False
    )
    # Connections that read at once.
    readers: int = Field(4, alias="VITRINA_CATALOG_READERS", ge=1, le=64)
    # Of prices that come without one. Empty: such prices are refused.
    default_currency: str = Field("", alias="VITRINA_DEFAULT_CURRENCY", pattern="^([A-Z]{3})?$")
    # Of the fields of a product in BM25, in the order of ProductWords.
    text_weights: TextWeights = Field(
        DEFAULT_TEXT_WEIGHTS, alias="VITRINA_TEXT_WEIGHTS", validate_default=True
    )
    # Of the shop's texts. The words are indexed anew at the start after a change.
    language: Language = Field(Language.MIXED, alias="VITRINA_LANGUAGE")

    @property
    def database_path(self) -> Path:
        """The file of the database."""
        if self.database_url is None:
            return self.data_dir / "catalog" / "catalog.db"
        return Path(self.database_url.removeprefix(_SQLITE))
