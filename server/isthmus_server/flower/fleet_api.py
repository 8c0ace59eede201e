"""Our two paths for platforms: a message with all its objects in one request, and no polling.

    POST /isthmus/fleet/pull?wait=SECONDS    frames: names of messages that the node has in hand
        200   frames: PullMessagesResponse with one message, then its objects
        204   nothing for it yet
    POST /isthmus/fleet/push                 frames: PushMessagesRequest with one reply, its objects
        204   stored, now or before
        409   the run has ended        422   the reply is refused

Flower's own paths need a request for each object, and lose a message whose receiver dies: what is
pulled here is handed out again, to a node that does not name it, until its reply is stored.
Authentication is the gate's; it is the same for both. Bodies are `isthmus.frames`.
"""

from __future__ import annotations

import asyncio

from flwr.proto.fleet_pb2 import PullMessagesResponse, PushMessagesRequest
from google.protobuf.message import DecodeError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from isthmus import frames
from isthmus.errors import MessageRefusedError
from isthmus_server.flower.bells import Bells
from isthmus_server.flower.faults import RunGoneError
from isthmus_server.flower.link import Delivery, FlowerLink

NOTHING = 204
RUN_GONE = 409
REFUSED = 422


class FleetApi:
    """Answers a node that the gate has authenticated.

    Args:
        link: the SuperLink.
        bells: rung when a message is posted.
    """

    def __init__(self, link: FlowerLink, bells: Bells) -> None:
        self._link, self._bells = link, bells

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, node = Request(scope, receive), scope["isthmus.node"]
        handle = self._pull if scope["path"].endswith("/pull") else self._push
        try:
            response = await handle(request, node)
        except RunGoneError:
            response = JSONResponse({"refused": "run-gone"}, RUN_GONE)
        except (MessageRefusedError, DecodeError, ValueError) as error:
            response = JSONResponse({"refused": "message", "text": str(error)[:300]}, REFUSED)
        await response(scope, receive, send)

    async def _pull(self, request: Request, node: int) -> Response:
        known = [name.decode("ascii") for name in frames.split(await request.body())]
        wait_s = seconds(request)

        async def look() -> Delivery | None:
            return await asyncio.to_thread(self._link.next_for, node, known)

        found = await self._bells.first(node, wait_s, look)
        if found is None:
            return Response(status_code=NOTHING)
        head = PullMessagesResponse(
            messages_list=[found.message], message_object_trees=[found.tree]
        )
        return framed([head.SerializeToString(), *found.objects])

    async def _push(self, request: Request, node: int) -> Response:
        head, *objects = frames.split(await request.body())
        pushed = PushMessagesRequest.FromString(head)
        for wire in pushed.messages_list:
            await asyncio.to_thread(self._link.answer, node, wire, objects)
        return Response(status_code=NOTHING)


def seconds(request: Request) -> float:
    """For which the asker is ready to wait.

    Raises:
        ValueError: that is no number.
    """
    return max(0.0, float(request.query_params.get("wait", "0")))


def framed(parts: list[bytes]) -> Response:
    """A body of frames."""
    return Response(frames.join(parts), media_type="application/octet-stream")
