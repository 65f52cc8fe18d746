"""A gateway that keeps no products: those of each page are read from the catalog.

Queries that are measured ask for the same products again and again, in one way and another.
"""

from services.common.server import run
from services.common.settings import load
from services.gateway import hydration
from services.gateway.__main__ import compose
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    # So each is larger than all that may be kept.
    hydration.OVERHEAD_BYTES = 2**40
    settings = load(GatewaySettings)
    run(lambda: compose(settings), settings, "gateway")
