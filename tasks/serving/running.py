"""The server of one version: it reloads when it is told to (SIGHUP) and, asked for, when the alias has moved."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import uvicorn

from ..service.servers import require_free_port
from .switching import Switch


def serve(reference: str, host: str, port: int, follow: float | None) -> None:
    """Serves the version that ``reference`` means, until SIGINT or SIGTERM.

    On SIGHUP, and with ``follow`` every so many seconds, the reference is resolved again; a new version is loaded
    beside the present one and takes its place once it has answered. Raises UsageError for a port in use,
    PlumblineError for a version that cannot be served.
    """
    require_free_port(host, port, "--port")
    switch = Switch(reference)
    asyncio.run(_serve(switch, host, port, follow))


async def _serve(switch: Switch, host: str, port: int, follow: float | None) -> None:
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    reloading = asyncio.create_task(_reload_when_asked(switch, asked, follow))
    # One process: with several, MLflow's servers answer 45 ms later, and each would hold its own version.
    config = uvicorn.Config(switch, host=host, port=port, lifespan="off", log_level="warning")
    print(f"{switch.version.name} version {switch.version.version} answers at http://{host}:{port}", flush=True)
    try:
        await uvicorn.Server(config).serve()
    finally:
        reloading.cancel()


async def _reload_when_asked(switch: Switch, asked: asyncio.Event, follow: float | None) -> None:
    said = None
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), follow)
        by_signal = asked.is_set()
        asked.clear()
        sentence = await asyncio.to_thread(switch.reload, again=by_signal)
        if sentence and (by_signal or sentence != said):  # a registry that is away would be told of every time
            print(sentence, flush=True)
        said = sentence
