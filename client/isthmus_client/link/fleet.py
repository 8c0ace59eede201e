"""A platform's place in Flower's fleet: messages in, replies out.

Flower's own paths activate the node, keep its lease and name a run's bundle. Messages travel on
ours, `/isthmus/fleet/pull` and `/push`: whole, in one request, asked for once and answered when
there is one. A message that was pulled is handed out again to whoever does not name it, until its
reply is stored, so that a node may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from flwr.app import Message
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient

from isthmus import frames
from isthmus.errors import FederationError, IdentityError, MessageRefusedError, ServiceError
from isthmus.plain_text import plain
from isthmus_client.link.fleet_http import Ahead, ContextFactory, FleetHttp, Signer
from isthmus_client.link.fleet_messages import pulled_message, pushed_reply

HEARTBEAT_S: Final = 10.0
"""Half of a node's lease: Flower takes a node for gone after twice as long without a heartbeat."""

MAX_WAIT_S: Final = 20.0  # the server keeps a request waiting no longer
_PULL: Final = "/isthmus/fleet/pull"
_PUSH: Final = "/isthmus/fleet/push"
_NOTHING, _RUN_GONE, _REFUSED = 204, 409, 422
_RUN_OVER: Final = frozenset(
    {ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED, ApiErrorCode.FLEET_GET_RUN_FAILED}
)
T = TypeVar("T")


class LeaseHeldError(ServiceError):
    """The server still takes this node for active; a lease that nobody renews ends by itself."""


class RunOverError(FederationError):
    """The run of a message has ended; nobody waits for an answer."""


@dataclass(frozen=True)
class Pulled:
    """A message for this platform.

    Attributes:
        name: by which the server knows it.
    """

    name: str
    message: Message


class FleetLink:
    """One node's connection. Every call may be repeated.

    Args:
        address: of the server's fleet listener, `host:port`.
        node_key: the platform's, P-384.
        context: makes the TLS context from the certificate in use.
        idle_s: seconds in which no byte moves, after which a request is given up.
        ahead: seconds by which this machine's clock is ahead of the server's.
    """

    def __init__(
        self,
        address: str,
        node_key: EllipticCurvePrivateKey,
        context: ContextFactory,
        *,
        idle_s: float = 60.0,
        ahead: Ahead = lambda: 0.0,
    ) -> None:
        self.address, self.ahead = address, ahead
        self._public = public_key_to_bytes(node_key.public_key())
        self._wait_s = min(MAX_WAIT_S, idle_s / 3)
        self._http = FleetHttp(address, Signer(node_key, ahead), context, idle_s=idle_s)
        self._node = Node(node_id=0)

    @property
    def node_id(self) -> int:
        """As Flower numbers this platform; 0 before it is active."""
        return int(self._node.node_id)

    def activate(self) -> int:
        """Enter the fleet; the node's number.

        Raises:
            LeaseHeldError: it is taken for active still; try again.
            IdentityError, ServiceError: as every call.
        """
        request = ActivateNodeRequest(public_key=self._public, heartbeat_interval=HEARTBEAT_S)
        found = self._call(lambda flower: flower.ActivateNode(request))
        self._node = Node(node_id=found.node_id)
        return self.node_id

    def resume(self, node_id: int) -> None:
        """Go on as the node that this platform was, without a moment of being gone.

        A node that enters anew leaves first, and Flower answers for it that it is gone.

        Raises:
            LeaseHeldError, IdentityError: it is that node no more: activate it.
        """
        self._node = Node(node_id=node_id)
        self.beat()

    def beat(self) -> None:
        """Renew the lease.

        Raises:
            LeaseHeldError: the server does not know the node any more: activate it again.
        """
        request = SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=HEARTBEAT_S)
        if not self._call(lambda flower: flower.SendNodeHeartbeat(request)).success:
            raise LeaseHeldError("the server does not know this node any more")

    def deactivate(self) -> None:
        """Leave the fleet at once instead of at the end of the lease."""
        request = DeactivateNodeRequest(node_id=self.node_id)
        self._call(lambda flower: flower.DeactivateNode(request))

    def bundle_of(self, run_id: int) -> str:
        """SHA-256 of the bundle that a run names; the bundle itself is never fetched.

        Raises:
            RunOverError: the run has ended.
        """
        request = GetRunRequest(node=self._node, run_id=run_id)
        return str(self._call(lambda flower: flower.GetRun(request)).run.fab_hash)

    def pull(self, known: Iterable[str] = (), *, wait_s: float | None = None) -> Pulled | None:
        """The oldest message for this platform, waited for a while; None = there is none.

        Args:
            known: messages in hand, which are not wanted again.
            wait_s: seconds; None = as long as the idle limit allows.

        Raises:
            MessageRefusedError: what came is no message.
        """
        body = frames.join(name.encode("ascii") for name in known)
        waited = self._wait_s if wait_s is None else min(wait_s, self._wait_s)
        response = self._post(_PULL, body, wait=f"{waited:.3f}")
        if response.status_code == _NOTHING:
            return None
        name, message = pulled_message(response.content)
        return Pulled(name, message)

    def push(self, reply: Message, *, seconds: float = 0.0) -> None:
        """Hand in the reply to a message; the first one stays.

        Args:
            reply: as the worker made it.
            seconds: that the worker took.

        Raises:
            RunOverError: the run has ended.
            MessageRefusedError: nobody waits for it any more.
        """
        self._post(_PUSH, pushed_reply(reply, self._node, ahead=self.ahead(), seconds=seconds))

    def renew(self) -> None:
        """Show the certificate that is on the disk now; requests under way are not disturbed.

        Raises:
            IdentityError: it cannot be used; the old one stays in use.
        """
        self._http.renew()

    def move(self, address: str) -> None:
        """Speak to another address from the next request on.

        Raises:
            IdentityError: as of `renew`.
        """
        if address != self.address:
            self.address = address
            self._http.move(address)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _post(self, path: str, body: bytes, **query: str) -> httpx.Response:
        """One of our own requests, answered with success."""
        try:
            response = self._http.post(path, body, **query)
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise _refused(error.response) from None
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        return response

    def _call(self, call: Callable[[FleetHttpClient], T]) -> T:
        """One of Flower's requests."""
        try:
            with self._http.flower() as flower:
                return call(flower)
        except httpx.HTTPStatusError as error:
            raise _refused(error.response) from None
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except ValueError as error:  # Flower's word for a body that is no protobuf
            raise MessageRefusedError(f"{self.address} answered in another language") from error

    def _unreachable(self, error: httpx.TransportError) -> ServiceError:
        return ServiceError(
            f"the server's fleet listener {self.address} cannot be reached: "
            f"{type(error).__name__} {error}".strip(),
            hint="it is tried again; if it stays so, ask the operator whether the server is up",
        )


def _refused(response: httpx.Response) -> Exception:
    """What a refusal means to a platform."""
    flower = FlowerError.from_json(response.text)
    if response.status_code == _RUN_GONE or (flower is not None and flower.code in _RUN_OVER):
        return RunOverError("the run has ended")
    if flower is not None and flower.code == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED:
        return LeaseHeldError("the server still takes this node for active")
    said = _reason(response)
    if response.status_code == _REFUSED:
        return MessageRefusedError(f"the server refused a reply: {said}")
    if response.status_code in {401, 403}:
        return IdentityError(
            f"the server refuses this platform: {said}",
            hint="ask the operator whether it was approved, suspended or revoked",
        )
    return ServiceError(f"the server answered with {response.status_code}: {said}")


def _reason(response: httpx.Response) -> str:
    """The server's own word, bounded."""
    try:
        told = response.json()
        return plain(str(told.get("refused") or told.get("detail") or ""), 300)
    except (ValueError, AttributeError):
        return plain(response.text, 100)
