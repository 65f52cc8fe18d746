"""Settings of the index."""

from pathlib import Path

from pydantic import Field

from services.common.settings import Address, ServiceSettings


class IndexSettings(ServiceSettings):
    """What the index reads from the environment."""

    listen: Address = Field("127.0.0.1:50052", alias="VITRINA_INDEX_LISTEN")
    catalog_address: str = Field("127.0.0.1:50053", alias="VITRINA_CATALOG_ADDRESS", min_length=1)
    embedder_address: str = Field("127.0.0.1:50051", alias="VITRINA_EMBEDDER_ADDRESS", min_length=1)
    # How often the embedder is asked which spaces there are.
    spaces_interval_seconds: float = Field(
        5.0, alias="VITRINA_INDEX_SPACES_INTERVAL_SECONDS", ge=0.05, le=3600
    )
    search_threads: int = Field(2, alias="VITRINA_INDEX_SEARCH_THREADS", ge=1, le=64)
    # Links of a node of the graph; twice as many on the lowest level.
    graph_links: int = Field(24, alias="VITRINA_INDEX_GRAPH_LINKS", ge=4, le=128)
    graph_ef_construction: int = Field(
        200, alias="VITRINA_INDEX_GRAPH_EF_CONSTRUCTION", ge=8, le=1000
    )
    # Nodes that a walk keeps in view at the least: more is slower, with a better recall. Of real
    # queries and MiniLM, recall@10 is 0.999 with 19,406 products, and 0.98 with a million drawn
    # around them.
    graph_ef_search: int = Field(200, alias="VITRINA_INDEX_GRAPH_EF_SEARCH", ge=8, le=10_000)
    # So many rows are compared one by one before they go into a graph.
    graph_min_rows: int = Field(2048, alias="VITRINA_INDEX_GRAPH_MIN_ROWS", ge=2, le=1_000_000)

    @property
    def collections_dir(self) -> Path:
        """Where each collection has its folder."""
        return self.data_dir / "index"
