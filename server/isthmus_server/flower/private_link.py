"""The coordinator's calls to the SuperLink, repeated while that is down, being started or moved."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from isthmus import frames
from isthmus.errors import MessageRefusedError, ServiceError
from isthmus_server.flower.faults import InterruptedWaitError, RunGoneError
from isthmus_server.ports import announced
from isthmus_server.server_home import ServerHome

_RUN_GONE, _REFUSED, _NOTHING = 409, 422, 204
_AGAIN: Final = (401, 500, 502, 503, 504)  # 401: it was started again, with another secret
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.02, 0.25
_CALL_S: Final = 60.0  # without a byte moving; a call that waits for news is short of it
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundNode:
    """A platform that is registered with the SuperLink."""

    node_id: int
    name: str
    online: bool


class PrivateLink:
    """A client of the SuperLink's private listener.

    Args:
        home: where its port and secret are told.
        interrupt: asked between two tries; a reason to give up, or "".
        patience_s: for which calls without a deadline of their own are tried.
    """

    def __init__(
        self,
        home: ServerHome,
        *,
        interrupt: Callable[[], str] = lambda: "",
        patience_s: float = 120.0,
    ) -> None:
        self._home, self._interrupt, self._patience_s = home, interrupt, patience_s
        self._client = httpx.Client(timeout=_CALL_S, trust_env=False)
        self._pause = threading.Event()  # never set: it is slept on

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def nodes(self) -> tuple[FoundNode, ...]:
        """The approved platforms, and whether Flower hears of them."""
        found = self._call("GET", "nodes").json()
        return tuple(FoundNode(each["node_id"], each["name"], each["online"]) for each in found)

    def open_run(self) -> int:
        """A new run of Flower's; every earlier one ends."""
        return int(self._call("POST", "runs").json()["run"])

    def post(self, run: int, parts: Iterable[bytes], until: float) -> None:
        """Hand over messages.

        Args:
            run: Flower's.
            parts: as `private_api` has it.
            until: time of `time.monotonic` at which to give up.
        """
        self._call("POST", f"runs/{run}/messages", frames.join(parts), until=until)

    def replies(
        self, run: int, ids: Iterable[str], *, wait_s: float, until: float
    ) -> list[bytes] | None:
        """Replies to these messages, as `private_api` has it; None = none within `wait_s`."""
        path, body = f"runs/{run}/replies", frames.join(each.encode() for each in ids)
        response = self._call("POST", path, body, until=until, wait=f"{wait_s:.3f}")
        return None if response.status_code == _NOTHING else frames.split(response.content)

    def settle(self, ids: Iterable[str]) -> None:
        """Have messages and their replies forgotten; a SuperLink that is down forgets them later.

        Its next run makes it forget all of the one before.
        """
        body = frames.join(each.encode() for each in ids)
        try:
            self._call("POST", "settle", body, until=time.monotonic())
        except (ServiceError, RunGoneError) as error:
            _log.info("messages are left to the end of the run: %s", error)

    def _call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        until: float | None = None,
        wait: str = "",
    ) -> httpx.Response:
        """One call, tried until it is answered.

        Raises:
            ServiceError: it was not, for all the time that there was.
            RunGoneError: Flower ended the run.
            MessageRefusedError: a message was not taken.
            InterruptedWaitError: there is something else to do.
        """
        deadline = time.monotonic() + self._patience_s if until is None else until
        pause = _FIRST_PAUSE_S
        while True:
            response, why = self._once(method, path, body, wait)
            if response is not None and response.status_code not in _AGAIN:
                return _checked(response)
            if reason := self._interrupt():
                raise InterruptedWaitError(reason)
            if time.monotonic() >= deadline:
                raise ServiceError(
                    f"the SuperLink does not answer: {why}",
                    hint="isthmus server up starts it; its log is superlink.log",
                )
            self._pause.wait(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)

    def _once(
        self, method: str, path: str, body: bytes, wait: str
    ) -> tuple[httpx.Response | None, str]:
        """One try: an answer, or why there is none."""
        try:
            port = announced(self._home).get("private", 0)
            token = (self._home.runtime / "private.token").read_text()
        except (OSError, ValueError) as error:
            return None, f"it has not told where it is ({error})"
        if not port:
            return None, "it has not told its port"
        params: dict[str, Any] = {"wait": wait} if wait else {}
        try:
            response = self._client.request(
                method,
                f"http://127.0.0.1:{port}/isthmus/{path}",
                content=body,
                params=params,
                headers={"authorization": f"Bearer {token}"},
            )
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__
        return response, f"it answers {response.status_code}"


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code == _RUN_GONE:
        raise RunGoneError(
            "Flower has ended the run of this round's messages",
            hint="the round is asked for again in a new one",
        )
    if response.status_code == _REFUSED:
        raise MessageRefusedError(f"the SuperLink refused a message: {response.text[:300]}")
    if response.is_error:
        raise ServiceError(f"the SuperLink answers {response.status_code} to {response.url.path}")
    return response
