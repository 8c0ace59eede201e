"""The coordinator's interface of the SuperLink: loopback, a secret, calls that may be repeated.

    GET  /isthmus/health
    GET  /isthmus/nodes                        JSON: node_id, name, online of each platform
    POST /isthmus/runs                         JSON: run; every earlier run ends
    POST /isthmus/runs/RUN/messages            frames: PushAppMessagesRequest, then the objects
    POST /isthmus/runs/RUN/replies?wait=S      frames: names of messages
        200  frames: PullAppMessagesResponse, then the objects      204  none yet
        409  the run has ended
    POST /isthmus/settle                       frames: names of messages: they are forgotten

Everything else goes to Flower itself, behind the same secret.
"""

from __future__ import annotations

import asyncio
import hmac
import logging

from flwr.proto.runtime_pb2 import PullAppMessagesResponse, PushAppMessagesRequest
from google.protobuf.message import DecodeError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus import frames
from isthmus.errors import MessageRefusedError, StateError
from isthmus_server.flower.bells import Bells
from isthmus_server.flower.faults import RunGoneError
from isthmus_server.flower.fleet_api import NOTHING, REFUSED, RUN_GONE, framed, seconds
from isthmus_server.flower.link import FlowerLink
from isthmus_server.flower.roster import Roster

_PREFIX = "/isthmus/"
_log = logging.getLogger(__name__)


class PrivateApi:
    """The private application: ours and Flower's.

    Args:
        link: the SuperLink.
        roster: brought up to date before nodes are told.
        bells: rung when a reply is stored.
        token: without which nothing is answered.

    Guarantees:
        No request without the token reaches anything; it is compared in constant time.
    """

    def __init__(self, link: FlowerLink, roster: Roster, bells: Bells, token: str) -> None:
        self._link, self._roster, self._bells = link, roster, bells
        self._expected = f"Bearer {token}".encode()
        self._flower: ASGIApp = link.app
        self._ours = Starlette(
            routes=[
                Route("/isthmus/health", self._health),
                Route("/isthmus/nodes", self._nodes),
                Route("/isthmus/runs", self._open_run, methods=["POST"]),
                Route("/isthmus/runs/{run:int}/messages", self._post, methods=["POST"]),
                Route("/isthmus/runs/{run:int}/replies", self._replies, methods=["POST"]),
                Route("/isthmus/settle", self._settle, methods=["POST"]),
            ],
            exception_handlers={
                RunGoneError: _run_gone,
                MessageRefusedError: _refused,
                DecodeError: _refused,
                ValueError: _refused,
                StateError: _later,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and end Flower."""
        if scope["type"] == "lifespan":
            await self._flower(scope, receive, send)
        elif scope["type"] == "http":
            given = [value for key, value in scope["headers"] if key == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0], self._expected):
                await JSONResponse({"refused": "secret"}, 401)(scope, receive, send)
                return
            ours = scope["path"].startswith(_PREFIX)
            await (self._ours if ours else self._flower)(scope, receive, send)

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"ready": True})

    async def _nodes(self, _request: Request) -> Response:
        await asyncio.to_thread(self._roster.keys)
        nodes = await asyncio.to_thread(self._link.nodes)
        listed = [
            {"node_id": node.node_id, "name": node.name, "online": node.online} for node in nodes
        ]
        return JSONResponse(listed)

    async def _open_run(self, _request: Request) -> Response:
        await asyncio.to_thread(self._roster.keys)
        run = await asyncio.to_thread(self._link.open_run)
        _log.info("Flower's run %d is open", run)
        return JSONResponse({"run": run})

    async def _post(self, request: Request) -> Response:
        head, *objects = frames.split(await request.body())
        pushed = PushAppMessagesRequest.FromString(head)
        await asyncio.to_thread(self._link.post, request.path_params["run"], pushed, objects)
        return Response(status_code=NOTHING)

    async def _replies(self, request: Request) -> Response:
        names = [name.decode("ascii") for name in frames.split(await request.body())]
        run = request.path_params["run"]

        async def look() -> tuple[PullAppMessagesResponse, list[bytes]] | None:
            found = await asyncio.to_thread(self._link.replies, run, names)
            return found if found[0].messages_list else None

        found = await self._bells.first("replies", seconds(request), look)
        if found is None:
            return Response(status_code=NOTHING)
        return framed([found[0].SerializeToString(), *found[1]])

    async def _settle(self, request: Request) -> Response:
        names = [name.decode("ascii") for name in frames.split(await request.body())]
        await asyncio.to_thread(self._link.settle, names)
        return Response(status_code=NOTHING)


async def _run_gone(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"refused": "run-gone"}, RUN_GONE)


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"refused": "message", "text": str(error)[:300]}, REFUSED)


async def _later(_request: Request, error: Exception) -> Response:
    return JSONResponse({"refused": "state", "text": str(error)[:300]}, 503)
