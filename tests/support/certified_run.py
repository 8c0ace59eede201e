"""A run's folder with one small platform's certificate, for tests that read or damage it."""

import numpy as np
import torch
from planted_histories import random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.certificate import Judged
from isthmus_client.evaluate import Evaluator
from isthmus_client.model import PlatformModel, PrivateHead
from isthmus_client.stored_models import (
    content_model,
    full_model,
    item_knn_model,
    popularity_model,
    ranked_model,
)
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
ITEMS = 25
OWN = ("popularity", "item_knn", "forest")


def small_workspace(users=90, seed=3):
    return Workspace(random_platform(users=users, items=ITEMS, seed=seed), max_events=6)


def release(seed=2):
    made = initial_encoder(CONFIG, seed=seed)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return made


def personal_model(bias):
    """A release whose head adds a bias. bias: (items,)."""
    model = PlatformModel(release(), PrivateHead(ITEMS, CONFIG.dim))
    with torch.no_grad():
        model.private.bias.copy_(torch.as_tensor(bias, dtype=torch.float32))
    return model


def judged(workspace, bias=None):
    """A release with a head, against three models of the platform's own, one of them foreign."""
    gate = Evaluator(workspace, "validation", "gate")
    scores = np.random.default_rng(1).random((workspace.platform.histories.users, ITEMS))
    foreign = gate.scorer(lambda users: scores[users].astype(np.float32))
    models = {
        "popularity": popularity_model(),
        "item_knn": item_knn_model(20),
        "forest": ranked_model(foreign, {"trees": 7}),
        "federated": content_model(release()),
        "personalised": full_model(personal_model(np.zeros(ITEMS) if bias is None else bias)),
    }
    return Judged(models, "personalised", OWN, split(release())[0].fingerprint(), seed=5)
