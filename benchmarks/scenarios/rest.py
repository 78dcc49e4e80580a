"""
How long back ends wait for rooms when many create and complete them at the same time.

Starts a server with an embedded store; each client creates a room, completes it, and begins again.
The latency is the client's, from request to answer, with client and server on the same processors.
"""

import argparse
import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter

import aiohttp

from benchmarks.report import Result, quantile
from benchmarks.server import running_server

NAME = "rest"
HELP = "latency of creating and completing rooms over REST"

OPERATIONS = ("create", "complete")


@dataclass(slots=True)
class Outcome:
    """What one run saw."""

    seconds: float = 0.0
    latencies_ms: dict[str, list[float]] = field(
        default_factory=lambda: {operation: [] for operation in OPERATIONS}
    )
    """Of the requests that succeeded, by operation."""
    errors: Counter[str] = field(default_factory=Counter)
    server_cpu_seconds: float = 0.0

    @property
    def rooms(self) -> int:
        """Return how many rooms were made and completed."""
        return len(self.latencies_ms["complete"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--clients", type=int, default=20, help="how many at a time")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")


def run(arguments: argparse.Namespace) -> Result:
    """Measure; errors are in the figures and the notes."""
    outcome = asyncio.run(_run(arguments.clients, arguments.seconds))
    latencies = {name: found for name, found in outcome.latencies_ms.items() if found}
    rates = {
        "rooms_per_second": outcome.rooms / outcome.seconds,
        "server_cpu_ms_per_room": 1000 * outcome.server_cpu_seconds / max(1, outcome.rooms),
    }
    percentiles = {
        name: {
            "requests": len(found),
            "p50": quantile(found, 0.5),
            "p99": quantile(found, 0.99),
            "max": max(found),
        }
        for name, found in latencies.items()
    }
    return Result(
        scenario=NAME,
        columns=("ms", "requests", "p50", "p99", "max"),
        rows=[(name, *found.values()) for name, found in percentiles.items()],
        figures={
            "clients": arguments.clients,
            "seconds": outcome.seconds,
            **rates,
            "errors": dict(outcome.errors),
            "latency_ms": percentiles,
        },
        samples=latencies,
        unit="ms",
        notes=(
            f"{rates['rooms_per_second']:.0f} rooms a second, "
            f"{rates['server_cpu_ms_per_room']:.2f} ms of the server's CPU for each, "
            f"{outcome.errors.total()} errors",
            *(f"{count} x {error}" for error, count in outcome.errors.items()),
        ),
    )


async def _run(clients: int, seconds: float) -> Outcome:
    outcome = Outcome()
    async with running_server() as server:
        headers = server.account.back_end()
        connector = aiohttp.TCPConnector(limit=clients)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as http:
            cpu, began = server.cpu_seconds(), perf_counter()
            end = began + seconds
            await asyncio.gather(
                *(_client(http, server.url, str(n), end, outcome) for n in range(clients))
            )
            outcome.seconds = perf_counter() - began
            outcome.server_cpu_seconds = server.cpu_seconds() - cpu
    return outcome


async def _client(
    http: aiohttp.ClientSession, url: str, name: str, end: float, outcome: Outcome
) -> None:
    number = 0
    while perf_counter() < end:
        number += 1
        form = {"UniqueName": f"{name}-{number}", "Type": "group"}
        room = await _request(http, f"{url}/v1/Rooms", form, "create", outcome)
        if room is not None:
            form = {"Status": "completed"}
            await _request(http, f"{url}/v1/Rooms/{room}", form, "complete", outcome)


async def _request(
    http: aiohttp.ClientSession, url: str, form: dict[str, str], operation: str, outcome: Outcome
) -> str | None:
    began = perf_counter()
    try:
        async with http.post(url, data=form) as answer:
            body = await answer.json()
            if answer.status >= 300:
                outcome.errors[f"{operation}: HTTP status {answer.status}, {body['code']}"] += 1
                return None
            sid: str = body["sid"]
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome.errors[f"{operation}: {type(error).__name__}"] += 1
        return None
    outcome.latencies_ms[operation].append(1000 * (perf_counter() - began))
    return sid
