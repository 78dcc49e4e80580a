"""``/metrics`` over aiohttp."""

from aiohttp import web
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry


def make_registry(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of the given collectors and those of the process and the interpreter."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


def routes(registry: CollectorRegistry) -> list[web.RouteDef]:
    """Return the route of a registry."""

    async def scrape(request: web.Request) -> web.Response:
        # The encoder follows what the scraper accepts: the text format or OpenMetrics.
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return [web.get("/metrics", scrape)]
