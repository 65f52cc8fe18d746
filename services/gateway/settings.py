"""Settings of the gateway."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from services.common.settings import Address, ServiceSettings


class GatewaySettings(ServiceSettings):
    """What the gateway reads from the environment."""

    listen: Address = Field("127.0.0.1:50050", alias="VITRINA_GATEWAY_LISTEN")
    embedder_address: str = Field("127.0.0.1:50051", alias="VITRINA_EMBEDDER_ADDRESS")
    index_address: str = Field("127.0.0.1:50052", alias="VITRINA_INDEX_ADDRESS")
    catalog_address: str = Field("127.0.0.1:50053", alias="VITRINA_CATALOG_ADDRESS")
    # Several gateways on one port: each connection is one gateway's.
    shares_port: bool = Field(False, alias="VITRINA_GATEWAY_SHARES_PORT")

    max_calls_in_flight: int = Field(512, alias="VITRINA_MAX_CALLS_IN_FLIGHT", ge=1, le=100_000)
    # Searches that no cache answers; as many more wait for a short while.
    max_searches_in_flight: int = Field(64, alias="VITRINA_MAX_SEARCHES_IN_FLIGHT", ge=1, le=10_000)

    # The budget of a query whose caller sets none, and the embedder's part of it at most.
    query_budget_seconds: float = Field(5.0, alias="VITRINA_QUERY_BUDGET_SECONDS", gt=0, le=60)
    embed_budget_seconds: float = Field(2.0, alias="VITRINA_EMBED_BUDGET_SECONDS", gt=0, le=60)
    # The part of meaning in a hybrid answer, where the request does not say it.
    semantic_weight: float = Field(0.4, alias="VITRINA_SEMANTIC_WEIGHT", ge=0, le=1)

    # The best products by which a second, better aimed search by meaning is led; 0: none.
    feedback_products: int = Field(10, alias="VITRINA_FEEDBACK_PRODUCTS", ge=0, le=50)

    # Whether a better space answers as soon as it is ready, or only once it is used by name.
    space_takeover: Literal["auto", "manual"] = Field("auto", alias="VITRINA_SPACE_TAKEOVER")

    redis_url: SecretStr | None = Field(None, alias="REDIS_URL")
    # The most that Redis may cost one query.
    redis_timeout_ms: float = Field(5.0, alias="VITRINA_REDIS_TIMEOUT_MS", gt=0, le=1000)
    # Shops that share one Redis each take a prefix of their own.
    cache_prefix: str = Field("vitrina", alias="VITRINA_CACHE_PREFIX", pattern=r"^[\w.-]{1,50}$")
    cache_memory_mb: int = Field(64, alias="VITRINA_CACHE_MEMORY_MB", ge=1, le=65536)
    # Products of answers, as long as the catalog's feed vouches for them.
    product_memory_mb: int = Field(64, alias="VITRINA_PRODUCT_MEMORY_MB", ge=1, le=65536)
    answer_ttl_seconds: float = Field(300.0, alias="VITRINA_CACHE_TTL_SECONDS", gt=0)
    # Of answers that no category bounds: a new product elsewhere may belong into them.
    unbounded_ttl_seconds: float = Field(30.0, alias="VITRINA_CACHE_UNBOUNDED_TTL_SECONDS", gt=0)
    # Of query vectors, which only a change of the model could change.
    vector_ttl_seconds: float = Field(86_400.0, alias="VITRINA_CACHE_VECTOR_TTL_SECONDS", gt=0)

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return url
