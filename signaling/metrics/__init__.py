"""Prometheus metrics, read from the service and the media node when they are scraped."""

from signaling.metrics.collector import MetricsService, ParlourCollector
from signaling.metrics.routes import make_registry, routes

__all__ = ["MetricsService", "ParlourCollector", "make_registry", "routes"]
