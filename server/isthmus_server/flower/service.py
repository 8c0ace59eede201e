"""The SuperLink as a running service: its two listeners, and what has to be done in between."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.errors import IsthmusError, ServiceError
from isthmus_server.flower.bells import Bells
from isthmus_server.flower.fleet_api import FleetApi
from isthmus_server.flower.gate import Gate, Hooks
from isthmus_server.flower.link import FlowerLink
from isthmus_server.flower.listener import bound, private_listener, public_listener
from isthmus_server.flower.private_api import PrivateApi
from isthmus_server.flower.roster import Roster

LOOPBACK: Final = "127.0.0.1"
_TEND_S: Final = 1.0  # between two looks at roster and certificate
_KEEP_ALIVE_S: Final = 10.0  # Flower ends a run of which nothing is heard for 60 s
_START_S: Final = 30.0  # to listen
_THREADS: Final = 32  # for calls that wait for a database
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a service listens, and what it shows.

    Attributes:
        database: file of the messages under way.
        listen: address of the public listener.
        fleet_port: of it; 0 = any.
        private_port: on loopback; 0 = any.
        before: the ports of the process before, by name; taken again where any will do.
        context: of the public listener.
        pair: files of its certificate and key: loaded again when they change.
    """

    database: Path
    listen: str
    fleet_port: int
    private_port: int
    before: Mapping[str, int]
    context: ssl.SSLContext
    pair: tuple[Path, Path]


class Service:
    """A SuperLink between its two listeners.

    Args:
        place: where.
        keys: public node keys of the approved platforms, by name.
        alarm: told of a platform (or "") and of a refusal.
        good_serial: whether a platform may show a certificate of this serial.
        token: of the private listener.
        idle_s: without a byte moving, after which a request is given up.

    Raises:
        ServiceError: a port is taken, or the database cannot be opened.
    """

    def __init__(
        self,
        place: Place,
        *,
        keys: Callable[[], Mapping[str, bytes]],
        alarm: Callable[[str, str], None],
        good_serial: Callable[[str, int], bool],
        token: str,
        idle_s: float,
    ) -> None:
        self._place, self._loaded = place, _stamps(place.pair)
        self._link = FlowerLink(place.database, secret=os.urandom(32), token=token)
        self._bells = Bells()
        self._link.rung = self._bells.ring
        self._roster = Roster(keys, self._link.sync_nodes)
        private = PrivateApi(self._link, self._roster, self._bells, token)
        hooks = Hooks(alarm, self._link.release, self._link.node_id, good_serial)
        fleet = FleetApi(self._link, self._bells)
        gate = Gate(self._link.app, fleet, self._roster, hooks, idle_s=idle_s)
        before = place.before
        self._sockets = {
            "private": bound(LOOPBACK, place.private_port, before=before.get("private", 0)),
            "fleet": bound(place.listen, place.fleet_port, before=before.get("fleet", 0)),
        }
        self._listeners = {
            "private": private_listener(private, idle_s=idle_s),
            "fleet": public_listener(gate, place.context, idle_s=idle_s),
        }

    async def run(self, stop: asyncio.Event, started: Callable[[Mapping[str, int]], None]) -> None:
        """Serve until told to stop.

        Args:
            stop: set from within this event loop.
            started: told of the ports once both listeners take connections.

        Raises:
            ServiceError: a listener ended by itself.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="superlink"))
        self._bells.start()
        await asyncio.to_thread(self._link.keep_alive)  # before a run that waits for us is ended
        tasks = {
            name: asyncio.create_task(listener.serve([self._sockets[name]]), name=name)
            for name, listener in self._listeners.items()
        }
        try:
            await asyncio.wait_for(self._listening(tasks), _START_S)
            started({name: each.getsockname()[1] for name, each in self._sockets.items()})
            await self._tend(stop, tasks)
        finally:
            self._bells.close()
            for listener in self._listeners.values():
                listener.should_exit = True
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _listening(self, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        while not all(each.started for each in self._listeners.values()):
            _require_alive(tasks)
            await asyncio.sleep(0.01)

    async def _tend(self, stop: asyncio.Event, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        loop, said = asyncio.get_running_loop(), 0.0
        while not stop.is_set():
            _require_alive(tasks)
            try:
                await asyncio.to_thread(self._roster.keys)
                if loop.time() - said > _KEEP_ALIVE_S:
                    await asyncio.to_thread(self._link.keep_alive)
                    said = loop.time()
            except IsthmusError as error:
                _log.error("%s %s", error, error.hint)
            self._renew()
            try:
                await asyncio.wait_for(stop.wait(), _TEND_S)
            except TimeoutError:
                continue

    def _renew(self) -> None:
        """Show the new certificate to whoever connects from now on."""
        now = _stamps(self._place.pair)
        if now == self._loaded:
            return
        try:
            self._place.context.load_cert_chain(*self._place.pair)
        except (OSError, ssl.SSLError) as error:
            _log.warning("the new certificate is tried again: %s", error)  # half of it was written
        else:
            self._loaded = now
            _log.info("a new certificate is in use")


def _stamps(pair: tuple[Path, Path]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in pair)


def _require_alive(tasks: Mapping[str, asyncio.Task[None]]) -> None:
    for name, task in tasks.items():
        if task.done():
            error = task.exception()
            raise ServiceError(f"the {name} listener ended: {error}") from error
