"""Status callbacks: what happens in rooms, told to the application's own HTTP server."""

from .config import WebhookConfig
from .service import Webhooks

__all__ = ["WebhookConfig", "Webhooks"]
