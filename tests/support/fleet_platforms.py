"""Toys behind real nodes: Flower's client app, an outbox, and answers to `query.initial`."""

from dataclasses import dataclass

import numpy as np
from contract_cases import plain_contract
from fleet_node import AnsweringNode
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from toy_platforms import SCORE, Toy

from isthmus.parameters import Shared
from isthmus.records import ARRAYS, pack
from isthmus_client.app import build_client_app
from isthmus_client.outbox import Outbox
from isthmus_server.flower.initial import QUERY


@dataclass(frozen=True)
class EncoderToy(Toy):
    """Scores by any tensor."""

    def evaluate(self, parameters, plan):  # noqa: ARG002 - the seam's face
        first = next(iter(parameters.tensors.values()))
        return {SCORE: float(1 / (1 + np.abs(first - self.target).mean()))}


def initial_of(contract, seed=0):
    random = np.random.default_rng(seed)
    return Shared(
        {
            name: random.normal(size=shape).astype(np.float32)
            for name, shape in contract.tensors.items()
        }
    )


def toy(name, place):
    return EncoderToy(name, users=5 + 3 * place, target=1.0 + place)


def contract_for(server, **changes):
    """A contract between all platforms of a test server, signed and in its state."""
    members = {
        name: {"signing": each.keys.public.signing.hex(), "users": 100}
        for name, each in server.platforms.items()
    }
    return plain_contract(members=members, minimum=len(members), **changes)


def answers(name, place, receipts, contract, initial=None):
    """What a platform answers to each message."""
    trainer = toy(name, place)
    app = build_client_app(lambda _: trainer, lambda each: Outbox(each, receipts))
    arrays = pack(initial or initial_of(contract))

    def answer(message):
        if message.metadata.message_type == QUERY:
            record = ArrayRecord({key: Array(*wire) for key, wire in arrays.items()})
            return Message(RecordDict({ARRAYS: record}), reply_to=message)
        return app(message, Context(message.metadata.run_id, 0, {}, RecordDict(), {}))

    return answer


def nodes_of(server, contract, wrap=lambda _, answer: answer, **initials):
    """A node for each platform of a server."""
    return [
        AnsweringNode(
            server.port,
            each.context,
            each.keys,
            wrap(
                name,
                answers(name, place, each.folder / "receipts", contract, initials.get(name)),
            ),
        )
        for place, (name, each) in enumerate(server.platforms.items())
    ]
