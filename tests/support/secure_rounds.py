"""Rounds of secure aggregation in memory, with platforms and servers that lie on the way."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Array, ArrayRecord, Error, Message
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.supercore.task_identity import TaskIdentity
from toy_platforms import INITIAL, server_config

from isthmus.records import ARRAYS, sealed_bytes, sealed_wire
from isthmus.secagg import Site
from isthmus_client.app import build_client_app
from isthmus_client.outbox import DECLARED_METRICS, Outbox
from isthmus_client.secure_side import Attendance, Seat
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import SecureCohort
from isthmus_server.flower.records import to_arrays
from isthmus_server.flower.strategy import FederationStrategy
from isthmus_simulations.engines.memory import MemoryGrid

CONTRACT = bytes(range(32))
KINDS = {
    "keys": "train.advertise",
    "shares": "query.share",
    "vectors": "train.mask",
    "agreements": "query.agree",
    "reveals": "query.reveal",
}


def key_of(place):
    return Ed25519PrivateKey.from_private_bytes(bytes([place + 1] * 32))


def honest(_name, _message, answer):
    return answer()


@dataclass
class Hall:
    """Platforms by name, and a server's folder.

    Attributes:
        meddle: `(platform, message, answer) -> reply`; `answer()` is the honest reply.
        replies: every reply, as (platform, kind, message).
    """

    folder: Path
    trainers: list
    meddle: object = honest
    minimum: int = 3
    threshold: int = 0
    colluders: int = 0
    metrics: tuple = tuple(sorted(DECLARED_METRICS))
    replies: list = field(default_factory=list)

    @property
    def names(self):
        return [trainer.platform for trainer in self.trainers]

    @property
    def keys(self):
        return {name: key_of(place) for place, name in enumerate(sorted(self.names))}

    @property
    def identities(self):
        return {n: key.public_key().public_bytes_raw() for n, key in self.keys.items()}

    @property
    def cohort(self):
        return SecureCohort(
            CONTRACT,
            self.identities,
            self.threshold,
            self.minimum,
            self.colluders,
            self.metrics,
        )

    def seat(self, name):
        site = Site(name, self.keys[name], self.identities, CONTRACT, colluders=self.colluders)
        return Seat(site, Attendance(self.folder / "seats" / f"{name}.json"))

    def outbox(self, name):
        return Outbox(name, self.folder / f"{name}.jsonl")

    def app(self, *, secure=True):
        return build_client_app(
            lambda context: self.trainers[int(context.node_config["partition-id"])],
            self.outbox,
            self.seat if secure else None,
        )

    def run(self, *, secure=True, store="rounds", **settings):
        """The strategy after a run."""
        TaskIdentity.run_id, TaskIdentity.task_id = 1, 1
        TaskIdentity.node_id = SUPERLINK_NODE_ID
        told = {n: settings.pop(n) for n in ("interrupt", "tell", "attempts") if n in settings}
        config = replace(server_config(**settings), secure=self.cohort if secure else None)
        strategy = FederationStrategy(
            config, CheckpointStore(self.folder / store), lambda _: None, **told
        )
        grid = MemoryGrid(_Meddling(self, self.app(secure=secure)), self.names, workers=3)
        try:
            strategy.start(grid, to_arrays(INITIAL))
        finally:
            grid.close()
        return strategy

    def receipts(self, name):
        return (self.folder / f"{name}.jsonl").read_text().splitlines()


@dataclass
class _Meddling:
    """A client app whose replies pass through the hall's meddler."""

    hall: Hall
    app: object

    def __call__(self, message, context):
        name = self.hall.names[int(context.node_config["partition-id"])]
        reply = self.hall.meddle(name, message, lambda: self.app(message, context))
        self.hall.replies.append((name, message.metadata.message_type, reply))
        return reply


def dropping(drops, rounds=None):
    """Platforms that fail from a phase on: name -> phase; in these rounds alone."""
    order = list(KINDS.values())

    def meddle(name, message, answer):
        kind = message.metadata.message_type.replace("evaluate", "train")
        late = name in drops and order.index(kind) >= order.index(KINDS[drops[name]])
        if late and (rounds is None or int(message.metadata.group_id) in rounds):
            return Message(Error(5, "node unavailable"), reply_to=message)
        return answer()

    return meddle


def rewritten(message, reply, change):
    """The reply with other bytes of secure aggregation."""
    data = change(sealed_bytes(reply.content[ARRAYS]))
    content = reply.content
    content[ARRAYS] = ArrayRecord({n: Array(*wire) for n, wire in sealed_wire(data).items()})
    return Message(content, reply_to=message)


def altering(victim, phase, change, number=1):
    """A platform whose bytes of one phase of one round are changed on the way up."""

    def meddle(name, message, answer):
        reply = answer()
        here = (name, message.metadata.message_type) == (victim, KINDS[phase])
        if here and int(message.metadata.group_id) == number:
            return rewritten(message, reply, change)
        return reply

    return meddle
