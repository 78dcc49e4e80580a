"""Puts the parts of the server together, starts them in order and takes them down in reverse."""

import asyncio
import gc
import ipaddress
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from router.errors import DataPlaneError
from router.node import MediaNode
from signaling import dev, metrics, openapi
from signaling.auth.access_token import TokenVerifier
from signaling.auth.account import Account
from signaling.auth.configured import account_of, print_account
from signaling.config import (
    DATABASE_FILE,
    JOURNAL_DIRECTORY,
    METRICS_ON_HTTP,
    Settings,
    parse_bind,
)
from signaling.edge import (
    ClientFinder,
    ConnectionGate,
    CorsPolicy,
    EdgeLimits,
    Entrance,
    Listener,
    TlsContexts,
    TlsFiles,
    make_application,
)
from signaling.errors import ConfigError, StorageError
from signaling.health import Health
from signaling.metrics.collector import ParlourCollector
from signaling.network import has_ipv6
from signaling.part_settings import (
    limits_of,
    media_config_of,
    room_limits_of,
    service_config_of,
    webhook_config_of,
)
from signaling.rest import RestApi, RestConfig, http1
from signaling.rest.compositions import CompositionHandlers
from signaling.rest.keys import KeyHandlers
from signaling.rest.media_settings import MediaSettingsHandlers
from signaling.rest.recordings import RecordingHandlers
from signaling.rest.room_events import event_routes
from signaling.rest.route import Route
from signaling.rest.rule_handlers import RuleHandlers
from signaling.rest.transcriptions import TranscriptionHandlers
from signaling.rest.traversal_tokens import TraversalTokenHandlers
from signaling.rsp import Door, SignalingHandler
from signaling.service import RoomService
from signaling.service.access_control import AccessControl
from signaling.service.compositions import CompositionService
from signaling.service.recordings import RecordingService
from signaling.service.retention import Retention
from signaling.service.rule_commands import RuleCommands
from signaling.service.transcriptions import TranscriptionService
from signaling.storage.engines import path_of
from signaling.storage.journal import Journal
from signaling.storage.lock import take_lock
from signaling.storage.sql_store import SqlStore
from signaling.waiting import StartStopped, open_store
from signaling.web.routes import routes as page_routes
from signaling.webhooks import Webhooks
from signaling.whip import WhipEndpoint
from signaling.whip.http1 import routes as whip_routes

CLOSE_TIMEOUT = 4.0
"""Seconds for taking everything down; then the process ends as it is."""
HTTP_CLOSE_TIMEOUT = 1.0
"""Seconds that answers under way have to finish."""
HTTP_IDLE_TIMEOUT = 75.0
"""Seconds that a connection may stay open without a whole request, the first one included."""
HTTP_LINGER_TIME = 2.0
"""Seconds for which what is left of a body is read, so that its sender can read the refusal."""
HTTP_BACKLOG = 1024
"""Connections that may wait: after a restart all clients come back at once."""
EXIT_FORCED = 1
EXIT_MEDIA_LOST = 3
"""Exit status when no data plane is left: a supervisor starts the process again."""
PORT_MAX = 65535
OPEN_FILES = 65536
"""Descriptors that the process asks for: each client's socket is one."""

_log = structlog.get_logger(__name__)


class Server:
    """
    The whole server; :meth:`start`, then :meth:`wait`, then :meth:`close`.

    :param rng: ``random.SystemRandom()``: it draws SIDs, keys and passwords.
    """

    def __init__(self, settings: Settings, *, account: Account, rng: random.Random) -> None:
        self._settings = settings
        self._account = account
        self._rng = rng
        self._stack = AsyncExitStack()
        self.service: RoomService | None = None
        """The room service, once started."""
        self.store: SqlStore | None = None
        """The store, once started."""
        proxies = [ipaddress.ip_network(network) for network in settings.trusted_proxies]
        self._finder = ClientFinder(proxies)
        self._gate = ConnectionGate(most=settings.connections_per_address, finder=self._finder)
        self._listeners: list[Listener] = []
        self._signals = 0
        self._stop = asyncio.Event()
        self._media_lost = asyncio.Event()
        """The media node's, once started."""
        self._force = asyncio.Event()
        self._draining = False
        self.http_port = 0
        """The port on which HTTP is served, once started."""
        self.tls_port = 0
        """The port on which HTTPS is served, once started; 0 without a certificate."""
        self._health = Health(
            draining=lambda: self.service is not None and self.service.draining,
            media_lost=lambda: self.media_lost,
            store_up=lambda: self.store is not None and self.store.is_up,
        )

    async def start(self) -> None:
        """
        Start everything; when a part does not start, take down those that did.

        :raises ConfigError: in one line for the operator.
        :raises StartStopped: if a signal came while it waited for the database.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        settings, account = self._settings, self._account
        store = await self._open_store()
        node = await self._start_media()
        self._media_lost = node.lost
        service = RoomService(
            node=node,
            store=store,
            config=service_config_of(settings, account),
            rng=self._rng,
            journal=self._open_journal(),
        )
        await self._recover(service)
        webhooks = await self._start_webhooks(service, store)
        await service.start()
        self.service, self.store = service, store
        self._stack.push_async_callback(service.close)
        access = AccessControl(
            account=account,
            store=store,
            clock=service.clock,
            rng=self._rng,
            end_tokens=service.end_tokens,
        )
        await access.load()
        compositions = CompositionService(
            service=service, store=store, rng=self._rng, recorded=webhooks.notice
        )
        self._stack.push_async_callback(compositions.close)
        await compositions.start()
        RecordingService(service=service, rng=self._rng, failed=webhooks.recording_failed)
        transcribing = TranscriptionService(service=service, store=store, rng=self._rng)
        await transcribing.load()
        transcriptions = TranscriptionHandlers(
            service=service, transcriptions=transcribing, store=store, media=store
        )
        limits = EdgeLimits(limits_of(settings), monotonic=service.clock.monotonic)
        rest = RestApi(
            config=RestConfig(
                account=account,
                keys=access.secrets,
                admit_key=limits.admit_key,
                public_url=settings.public_url or None,
                limits=room_limits_of(settings),
            ),
            service=service,
            store=store,
            rng=self._rng,
            routes=[
                *self._resources(service, store, access),
                *self._media_resources(service, store, compositions),
                *transcriptions.routes(),
            ],
            room_created=transcriptions.room_created,
        )
        tokens = TokenVerifier(
            account_sid=account.account_sid, keys=access.secrets, revocations=access.revocations
        )
        signaling = SignalingHandler(service=service, tokens=tokens, rng=self._rng)
        whip = WhipEndpoint(service=service, tokens=tokens, rng=self._rng)
        registry = metrics.make_registry(
            ParlourCollector(
                service=service,
                counters=node.counters,
                media_failed=lambda: node.failure is not None,
                loads=node.loads,
                refusals=lambda: {**limits.refusals, "connection": self._gate.refused},
            )
        )
        routes = [
            *http1.routes(rest),
            web.get(settings.signaling_path, signaling.handle),
            *whip_routes(whip),
            *self._health.routes(),
            openapi.route(openapi.describe(rest.routes, version=version("parlour"))),
            *page_routes(signaling_path=settings.signaling_path, dev=settings.dev),
            *(dev.routes(account) if settings.dev else ()),
            *(metrics.routes(registry) if settings.metrics_bind == METRICS_ON_HTTP else ()),
        ]
        if settings.metrics_bind not in (METRICS_ON_HTTP, "off"):
            host, port = parse_bind(settings.metrics_bind)
            app = web.Application()
            app.add_routes(metrics.routes(registry))
            bound = await self._listen(await self._run_application(app), host, port)
            _log.info("metrics served", host=host, port=bound)
        tls = await self._open_certificate()
        application = make_application(
            routes,
            finder=self._finder,
            limits=limits,
            cors=CorsPolicy(settings.cors_origins),
            signaling_path=settings.signaling_path,
        )
        factory = await self._run_application(application)
        door = Door(service=service, path=settings.signaling_path)
        self._stack.callback(door.close)
        if tls is not None:
            host = settings.tls_host or ("::" if has_ipv6() else "0.0.0.0")
            self.tls_port = await self._listen(factory, host, settings.tls_port, tls)
            _log.info("HTTPS served", host=host, port=self.tls_port)
        self.http_port = await self._listen(
            factory, settings.http_host, settings.http_port, entrance=door
        )
        # Ahead of the HTTP server, which would drop the sockets without their close code.
        self._stack.push_async_callback(service.close)
        self._health.started = True

    def heed_signals(self) -> None:
        """
        Let SIGTERM and SIGINT stop the server: at once, or after ``drain_seconds``.

        Call it before :meth:`start`, of which it interrupts only the wait for the database. A
        second signal ends the process.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    async def wait(self) -> None:
        """
        Wait for a signal, then until nobody is left or ``drain_seconds`` are over.

        It is over at once when the last data plane stops by itself: see :attr:`media_lost`.
        """
        await _first(self._stop.wait(), self._media_lost.wait())
        if self.media_lost:
            _log.critical("no data plane is left: stopping, to be started again")
            return
        seconds = self._settings.drain_seconds
        if seconds > 0 and self.service is not None and not self._force.is_set():
            _log.info("draining", seconds=seconds, participants=self.service.participant_count)
            self._draining = True
            await _first(self.service.drain(seconds), self._force.wait(), self._media_lost.wait())
            self._draining = False

    @property
    def media_lost(self) -> bool:
        """Whether all data planes have stopped by themselves."""
        return self._media_lost.is_set()

    async def close(self) -> None:
        """Take everything down, within a few seconds whatever happens."""
        _log.info("stopping")
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                for listener in self._listeners:
                    await listener.stop()
                await self._stack.aclose()
        except TimeoutError:
            _log.error("not everything could be stopped in time", seconds=CLOSE_TIMEOUT)
            os._exit(EXIT_FORCED)

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals == 1:
            self._stop.set()
        elif self._draining and not self._force.is_set():
            self._force.set()
        else:
            os._exit(EXIT_FORCED)

    def _resources(
        self, service: RoomService, store: SqlStore, access: AccessControl
    ) -> list[Route]:
        """Return the REST resources that have modules of their own."""
        account_sid = self._account.account_sid
        return [
            *RuleHandlers(
                service=service, store=store, rules=RuleCommands(service=service, store=store)
            ).routes(),
            *event_routes(service, store),
            *KeyHandlers(account_sid=account_sid, access=access, store=store).routes(),
            *TraversalTokenHandlers(
                account_sid=account_sid,
                turn=service.config.turn,
                fixed=service.config.ice_servers,
                clock=service.clock,
                rng=self._rng,
            ).routes(),
        ]

    def _media_resources(
        self, service: RoomService, store: SqlStore, compositions: CompositionService
    ) -> list[Route]:
        account_sid = self._account.account_sid
        return [
            *RecordingHandlers(service=service, store=store, media=store).routes(),
            *CompositionHandlers(
                account_sid=account_sid,
                service=service,
                compositions=compositions,
                store=store,
                media=store,
                clock=service.clock,
                rng=self._rng,
            ).routes(),
            *MediaSettingsHandlers(account_sid=account_sid, media=store).routes(),
        ]

    async def _open_store(self) -> SqlStore:
        settings = self._settings
        url = settings.database_url.get_secret_value()
        try:
            if not url:
                settings.data_dir.mkdir(parents=True, exist_ok=True)
                url = f"sqlite:///{_quoted(settings.data_dir / DATABASE_FILE)}"
            database = path_of(url)
            if database is not None:
                self._stack.callback(os.close, take_lock(database))
            async with AsyncExitStack() as meanwhile:
                store = await open_store(
                    url,
                    self._account.account_sid,
                    call_timeout=settings.store_timeout,
                    synchronous=settings.sqlite_synchronous,
                    wait_seconds=settings.store_wait_seconds,
                    waits=lambda: self._answer_probes(meanwhile),
                    stop=self._stop,
                )
        except OSError as error:
            raise ConfigError(f"cannot make {settings.data_dir}: {error.strerror}") from error
        except StorageError as error:
            raise ConfigError(str(error)) from error
        self._stack.push_async_callback(store.close)
        return store

    async def _answer_probes(self, stack: AsyncExitStack) -> None:
        """Let orchestrators see what the start waits for: ``/livez`` is well, all else is 503."""
        self._health.starting = "waiting for the database"
        if self._settings.http_port == 0:
            return
        app = web.Application()
        app.add_routes([*self._health.routes(), http1.unavailable()])
        factory = await self._run_application(app, stack)
        await self._listen(factory, self._settings.http_host, self._settings.http_port, stack=stack)

    def _open_journal(self) -> Journal:
        settings = self._settings
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            directory = settings.data_dir / JOURNAL_DIRECTORY
            # Its own lock: servers of several databases must not share a data directory.
            self._stack.callback(os.close, take_lock(directory))
            return Journal.open(directory, limit_bytes=settings.journal_max_bytes)
        except OSError as error:
            raise ConfigError(f"cannot make {settings.data_dir}: {error.strerror}") from error
        except StorageError as error:
            raise ConfigError(str(error)) from error

    async def _recover(self, service: RoomService) -> None:
        try:
            await service.recover()
        except StorageError as error:
            raise ConfigError(f"the journal cannot be replayed: {error}") from error

    async def _start_media(self) -> MediaNode:
        config = media_config_of(self._settings)
        for first in (config.port, config.announced_port):
            if first and first + config.threads - 1 > PORT_MAX:
                raise ConfigError(
                    f"{config.threads} media threads need as many ports from {first} on, "
                    f"and {PORT_MAX} is the last"
                )
        node = MediaNode(config, rng=self._rng)
        self._stack.push_async_callback(node.close)
        try:
            await node.start()
        except (OSError, DataPlaneError) as error:
            last = config.port + config.threads - 1
            ports = f"{config.port}" if last == config.port else f"{config.port} to {last}"
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"cannot bind UDP {config.bind_address} port {ports} for media: {reason}"
            ) from error
        _log.info("media served", ports=node.ports, addresses=config.addresses)
        return node

    async def _start_webhooks(self, service: RoomService, store: SqlStore) -> Webhooks:
        settings = self._settings
        webhooks = Webhooks(
            config=webhook_config_of(settings, self._account),
            service=service,
            store=store,
            rng=self._rng,
        )
        self._stack.push_async_callback(webhooks.close)
        await webhooks.start()
        keep = timedelta(days=settings.retention_days) if settings.retention_days else None
        retention = Retention(store=store, clock=service.clock, keep=keep)
        self._stack.push_async_callback(retention.close)
        retention.start()
        return webhooks

    async def _open_certificate(self) -> TlsContexts | None:
        settings = self._settings
        if not settings.tls_cert:
            return None
        certificate = Path(settings.tls_cert)
        contexts = TlsContexts(TlsFiles(certificate, Path(settings.tls_key or certificate)))
        self._stack.push_async_callback(contexts.close)
        contexts.start()
        return contexts

    async def _run_application(
        self, app: web.Application, stack: AsyncExitStack | None = None
    ) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocol of each connection."""
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=HTTP_IDLE_TIMEOUT,
            shutdown_timeout=HTTP_CLOSE_TIMEOUT,
            lingering_time=HTTP_LINGER_TIME,
        )
        await runner.setup()
        (stack or self._stack).push_async_callback(runner.cleanup)
        assert runner.server is not None
        return runner.server

    async def _listen(
        self,
        factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        tls: TlsContexts | None = None,
        *,
        entrance: Entrance | None = None,
        stack: AsyncExitStack | None = None,
    ) -> int:
        """Serve on an address and return the port."""
        listener = Listener(
            factory,
            host=host,
            port=port,
            backlog=HTTP_BACKLOG,
            gate=self._gate,
            entrance=entrance,
            tls=None if tls is None else tls.current,
        )
        try:
            bound = await listener.start()
        except (OSError, UnicodeError) as error:
            # A name that does not resolve has a number of its own, and one that cannot has none.
            number = getattr(error, "errno", None) or 0
            reason = os.strerror(number) if number > 0 else str(error)
            scheme = "HTTP" if tls is None else "HTTPS"
            raise ConfigError(f"cannot serve {scheme} on {host} port {port}: {reason}") from error
        (stack or self._stack).push_async_callback(listener.stop)
        self._listeners.append(listener)
        return bound


def _quoted(path: Path) -> str:
    # In a URL a percent sign and a question mark mean something else.
    return str(path).replace("%", "%25").replace("?", "%3F")


def _raise_open_files() -> None:
    # Distributions leave 1,024 to a process that does not ask for more, and as many clients.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one has ended, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve(settings: Settings) -> int:
    """
    Run the server until a signal stops it, or a fault; return the exit status.

    :raises ConfigError: when it cannot start.
    """
    _raise_open_files()
    rng = random.SystemRandom()
    account, fresh = account_of(settings, rng)
    if fresh:
        print_account(account, settings.data_dir, file=sys.stdout)
    server = Server(settings, account=account, rng=rng)
    server.heed_signals()
    try:
        await server.start()
    except StartStopped:
        return 0
    # What is here by now stays. Looking through it again and again, for cycles that nobody uses any
    # more, would stop everybody for as long as 50 ms each time.
    gc.collect()
    gc.freeze()
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    url = settings.public_url or f"http://{host}:{server.http_port}"
    _log.info("serving", url=url, dev=settings.dev, account_sid=account.account_sid)
    try:
        await server.wait()
    finally:
        await server.close()
    return EXIT_MEDIA_LOST if server.media_lost else 0
