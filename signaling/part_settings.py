"""What each part of the server is told of the settings."""

import ipaddress
import os

from router.node import MediaNodeConfig
from signaling.auth.account import Account
from signaling.config import Settings, is_loopback, parse_ice_servers
from signaling.edge import LimitSettings
from signaling.errors import ApiError, ConfigError
from signaling.network import has_ipv6, own_addresses
from signaling.rest.parameters import Parameters
from signaling.rest.room_parameters import RoomLimits, read_room_settings
from signaling.rooms.settings import RoomSettings
from signaling.service import IceServer, ServiceConfig
from signaling.service.turn import TurnServers
from signaling.webhooks import WebhookConfig


def media_config_of(settings: Settings) -> MediaNodeConfig:
    """Return what the media node is to bind and announce."""
    ipv6 = has_ipv6()
    host = settings.media_host or ("::" if ipv6 else "0.0.0.0")
    return MediaNodeConfig(
        bind_address=host,
        port=settings.media_port,
        threads=settings.media_threads
        or len(settings.media_cpus)
        or max(1, (os.cpu_count() or 1) // 2),
        processors=settings.media_cpus,
        spread_peers=settings.media_spread_participants,
        addresses=settings.media_addresses or _announced(settings, ipv6=ipv6),
        announced_port=settings.media_announced_port,
        receive_buffer=settings.media_buffer_bytes,
        send_buffer=settings.media_buffer_bytes,
    )


def service_config_of(settings: Settings, account: Account) -> ServiceConfig:
    """Return the room service's part of the settings."""
    servers = parse_ice_servers(settings.ice_servers.get_secret_value())
    return ServiceConfig(
        account_sid=account.account_sid,
        ad_hoc_rooms=settings.ad_hoc_rooms,
        ad_hoc_settings=ad_hoc_settings_of(settings),
        messages_per_session=settings.messages_per_session,
        session_timeout=settings.session_timeout,
        page_closed_grace=settings.page_closed_grace,
        accept_expired_token_on_resume=settings.accept_expired_token_on_resume,
        signaling_region=settings.media_region,
        ice_servers=tuple(IceServer(**server) for server in servers),
        max_participants=settings.max_participants,
        room_quota=settings.room_quota,
        participant_quota=settings.participant_quota,
        turn=turn_servers_of(settings),
        duplicate_identity=settings.duplicate_identity,
        busy_lag=settings.busy_lag_ms / 1000,
        busy_retry_after_ms=settings.busy_retry_after_ms,
        minute=settings.minute_seconds,
        whip_connect_timeout=settings.whip_connect_timeout,
    )


def room_limits_of(settings: Settings) -> RoomLimits:
    """Return what the operator decides about new rooms."""
    return RoomLimits(
        media_region=settings.media_region,
        max_participants_ceiling=settings.max_room_participants,
        legacy_room_types=settings.legacy_room_types,
        audio_only_rooms=settings.audio_only_rooms,
    )


def ad_hoc_settings_of(settings: Settings) -> RoomSettings:
    """
    Return what rooms are made with that begin when somebody joins.

    :raises ConfigError: when REST would not make such a room.
    """
    try:
        given = Parameters(settings.ad_hoc_room.get_secret_value())
        return read_room_settings(given, room_limits_of(settings))
    except ApiError as error:
        raise ConfigError(f"ad_hoc_room: {error}") from None


def turn_servers_of(settings: Settings) -> TurnServers | None:
    """Return the servers for which clients are given credentials."""
    if not settings.turn_urls:
        return None
    return TurnServers(urls=settings.turn_urls, secret=settings.turn_secret.get_secret_value())


def webhook_config_of(settings: Settings, account: Account) -> WebhookConfig:
    """Return the webhooks' part of the settings."""
    return WebhookConfig(
        account_sid=account.account_sid,
        auth_token=account.auth_token,
        allow=tuple(ipaddress.ip_network(network) for network in settings.callback_allow),
        allow_loopback=settings.dev,
    )


def limits_of(settings: Settings) -> LimitSettings:
    """Return the limits' part of the settings."""
    return LimitSettings(
        key_requests_per_second=settings.requests_per_key,
        address_requests_per_second=settings.requests_per_address,
        refused_logins_per_minute=settings.refused_logins_per_address,
        joins_per_minute=settings.joins_per_address,
    )


def _announced(settings: Settings, *, ipv6: bool) -> tuple[str, ...]:
    if settings.media_host and settings.media_host not in ("::", "0.0.0.0"):
        return (settings.media_host,)
    own = own_addresses(ipv6=ipv6 and settings.media_host != "0.0.0.0")
    # Browsers on this machine reach loopback even where a firewall closes the other addresses.
    return ("127.0.0.1", *own) if is_loopback(settings.http_host) or not own else own
