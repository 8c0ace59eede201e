"""A small release that is not the initial one, and the settings of a quick trial of it."""

import torch

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.release import Release, TextEncoderName
from isthmus_client.sasrec import SasRecSettings
from isthmus_client.training import Settings
from isthmus_client.trial import TrialSettings

SETTINGS = TrialSettings(
    seed=3,
    training=Settings(batch_size=32, negatives=9),
    ranker=RankerSettings(hard=9, uniform=6, batch_size=16),
    passes=2,
    sasrec=SasRecSettings(epochs=2),
)


def released(*, content=6):
    config = EncoderConfig(content=content, dim=4, layers=1, heads=2, max_events=7)
    encoder = initial_encoder(config, seed=8)
    with torch.no_grad():
        encoder.item.weight.normal_(std=0.2, generator=torch.Generator().manual_seed(2))
    shared = split(encoder)[0]
    shape = {"content": content, "dim": 4, "layers": 1, "heads": 2, "max_events": 7}
    return Release(shared, shape, shared.fingerprint(), 5, TextEncoderName("tiny"))
