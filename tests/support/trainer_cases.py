"""The two trainers behind one seam, each with a round to work on, and a platform with secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from planted_histories import histories_of, random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus.records import ARRAYS, PLAN, pack
from isthmus_client.app import build_client_app
from isthmus_client.federated_trainer import FederatedTrainer
from isthmus_client.outbox import Outbox
from isthmus_client.ranker_trainer import RankerData, RankerTrainer
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.trainer import LocalTrainer
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
FEW = RankerSettings(users=27, hard=4, uniform=5)
VALIDATED = {f"validation/{name}" for name in ("ndcg@10", "hr@10", "mrr", "users")}


def encoder_trainer(platform, **settings):
    return FederatedTrainer(Workspace(platform, CONFIG.max_events, **settings), CONFIG)


def ranker_trainer(platform, **settings):
    workspace = Workspace(platform, CONFIG.max_events, **settings)
    return RankerTrainer(RankerData(workspace, 2, FEW), initial_encoder(CONFIG, seed=1))


def later_encoder():
    """Parameters of a later round: the item side is no longer zero."""
    made = initial_encoder(CONFIG, seed=2)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(2))
    return split(made)[0]


def later_ranker():
    """Parameters of a later round: they weigh the signals."""
    made = initial_ranker(RankerConfig(), seed=2)
    with torch.no_grad():
        made.narrow.weight.normal_(generator=torch.Generator().manual_seed(2))
    return split(made)[0]


@dataclass(frozen=True)
class Case:
    """One trainer and a round for it."""

    make: Callable[..., LocalTrainer]
    received: Shared
    plan: RoundPlan


ROUND = RoundPlan("r", 3, 5, batch_size=4, learning_rate=0.01, local_epochs=2.0)
CASES = {
    "encoder": Case(encoder_trainer, later_encoder(), replace(ROUND, negatives=12)),
    "ranker": Case(ranker_trainer, later_ranker(), ROUND),
}


ODD = {
    "one user who trains": (histories_of([0, 1, 2, 3, 4], [3]), 9),
    "a catalogue of one": (histories_of([0, 0, 0], [0, 0]), 1),
    "nobody with a past": (histories_of([4], [2], [7]), 9),
    "untimed": (histories_of([0, 1, 2, 3], [4, 5, 6, 7], timed=False), 9),
    "nobody": (histories_of(), 5),
    "empty histories": (histories_of([], []), 5),
}
"""Odd platforms: (histories, items). Each trains on what it has, or says that it has nothing."""


def outcome(result):
    """All that a round must repeat; seconds do not."""
    numbers = {name: value for name, value in result.metrics.items() if name != "seconds"}
    return result.update.fingerprint(), result.users, numbers


def secret_platform():
    """Ids and texts that must never leave; named grocer, which may."""
    platform = random_platform(users=20, seed=1, name="grocer")
    ids = tuple(f"customer-4711-{u}" for u in range(20))
    names = tuple(f"secret-sku-{i}" for i in range(15))
    return replace(
        platform,
        histories=replace(platform.histories, user_ids=ids),
        catalogue=replace(platform.catalogue, item_ids=names, texts=names),
    )


def reply_of(trainer, received, plan, folder, kind="train"):
    """What the client's app answers through its outbox; receipts go to `folder`."""
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    arrays = ArrayRecord({name: Array(*wire) for name, wire in pack(received).items()})
    content = RecordDict({ARRAYS: arrays, PLAN: ConfigRecord(dict(plan.to_record()))})
    app = build_client_app(lambda _: trainer, lambda name: Outbox(name, folder / f"{name}.jsonl"))
    return app(Message(content, 2, kind), Context(1, 2, {}, RecordDict(), {}))
