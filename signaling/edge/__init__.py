"""What stands between the network and the handlers: TLS, connections, proxies, limits, CORS."""

from signaling.edge.clients import ClientFinder
from signaling.edge.cors import CorsPolicy
from signaling.edge.limits import EdgeLimits, LimitSettings
from signaling.edge.listener import ConnectionGate, Entrance, Listener
from signaling.edge.middleware import make_application
from signaling.edge.tls import TlsContexts, TlsFiles

__all__ = [
    "ClientFinder",
    "ConnectionGate",
    "CorsPolicy",
    "EdgeLimits",
    "Entrance",
    "LimitSettings",
    "Listener",
    "TlsContexts",
    "TlsFiles",
    "make_application",
]
