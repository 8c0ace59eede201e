"""Events per second of our local training against plain PyTorch loops of the same shapes.

Passes of both are run in turn over the same users and compared in pairs, so that whatever else the
machine does hits both. The first pair warms up and does not count. Time is the process's own on
one thread. Content vectors are drawn: no speed depends on their values.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.progress import Advance, Progress, Silent
from isthmus_client.histories import Split
from isthmus_client.platform import Platform
from isthmus_client.relations import PlatformTables
from isthmus_client.sasrec import SasRecSettings, SasRecTraining
from isthmus_client.sequences import Ints
from isthmus_client.training import (
    Settings,
    batches,
    generator,
    optimiser_for,
    threads,
    train_content,
)
from isthmus_client.workspace import Workspace
from isthmus_simulations.benchmark_plain import PlainContent, PlainIds, PlainLoop
from isthmus_simulations.scenarios import load_scenario
from isthmus_simulations.scenarios.sources import read_source

Model = Literal["content", "sasrec"]
MODELS: tuple[Model, ...] = ("content", "sasrec")
GOAL = 2.0  # times the events per second of the plain loop
CONTENT = 384  # width of the content vectors, that of the default text encoder
EVENTS = 50  # of a window


@dataclass(frozen=True)
class Speed:
    """Our training against the plain loop, for one model on one platform.

    Attributes:
        users: trained on in a pass.
        mean_events: of a user's window; both sides pad it, ours to the batch's longest.
        ours: process seconds of each pass.
        plain: process seconds of the pass next to it.
    """

    model: Model
    platform: str
    users: int
    mean_events: float
    ours: tuple[float, ...]
    plain: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Our events per second over the plain loop's, pair by pair."""
        return tuple(slow / fast for fast, slow in zip(self.ours, self.plain, strict=True))

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)

    def events_per_second(self, seconds: tuple[float, ...]) -> float:
        """Of the median pass."""
        return self.users * self.mean_events / statistics.median(seconds)


def compare_training(
    platforms: list[str], *, users: int, pairs: int, seed: int, progress: Progress | None = None
) -> list[Speed]:
    """Time every model on every platform of the embedded data.

    Args:
        platforms: names in the scenario `journey`.
        users: at most, drawn at random.
        pairs: of passes that count; one more warms up.
    """
    shown = progress or Silent()
    found = []
    with threads(1):
        for name in platforms:
            workspace, drawn = _workspace(name, users, seed)
            for model in MODELS:
                with shown.track(f"{model} on {name}, pairs of passes", pairs + 1) as advance:
                    found.append(_compare(model, workspace, drawn, pairs, seed, advance))
    return found


def _workspace(name: str, users: int, seed: int) -> tuple[Workspace, Ints]:
    """A platform with content vectors that are drawn, and the users to train on."""
    plan = next(p for p in load_scenario("journey").platforms if p.name == name)
    random = generator(seed, "benchmark", name)
    workspace = Workspace(_platform(name, read_source(plan, None), random), EVENTS)
    able = workspace.sequences.training_users
    return workspace, np.sort(random.permutation(able)[:users])


def _platform(name: str, tables: PlatformTables, random: np.random.Generator) -> Platform:
    stop = tables.histories.offsets[1:]
    shape = (len(tables.catalogue), CONTENT)
    vectors = random.normal(size=shape).astype(np.float32)
    return Platform(name, tables.catalogue, vectors, tables.histories, Split("time", stop, stop))


def _compare(
    model: Model, workspace: Workspace, users: Ints, pairs: int, seed: int, advance: Advance
) -> Speed:
    """Passes of both in turn."""
    sides = {"content": _content_sides, "sasrec": _sasrec_sides}[model]
    our_pass, plain_pass = sides(workspace, users, seed)
    ours, plain = [], []
    for _ in range(pairs + 1):
        ours.append(_seconds(our_pass))
        plain.append(_seconds(plain_pass))
        advance(1)
    events = float(workspace.sequences.window_lengths(users).mean())
    name = workspace.platform.name
    return Speed(model, name, users.size, events, tuple(ours[1:]), tuple(plain[1:]))


def _seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


Sides = tuple[Callable[[], None], Callable[[], None]]
"""One pass of ours, and one of the plain loop."""


def _content_sides(workspace: Workspace, users: Ints, seed: int) -> Sides:
    config = EncoderConfig(content=CONTENT, max_events=EVENTS)
    settings = Settings(batch_size=64, negatives=256, learning_rate=5e-4)
    shared, random = initial_encoder(config, seed), generator(seed, "ours")
    optimiser = optimiser_for(shared, settings)
    plain = PlainContent(config, workspace.content)
    loop = PlainLoop(
        plain,
        workspace,
        settings,
        targets="horizon",
        per_user=True,
        clipped=True,
        random=generator(seed, "plain"),
    )

    def ours() -> None:
        train_content(
            shared,
            workspace.sequences,
            workspace.content,
            batches(users, settings, 1.0, random),
            settings=settings,
            random=random,
            optimiser=optimiser,
        )

    return ours, lambda: loop.one_pass(users)


def _sasrec_sides(workspace: Workspace, users: Ints, seed: int) -> Sides:
    settings = SasRecSettings()
    training = SasRecTraining(workspace, settings, seed=seed)
    config = EncoderConfig(
        dim=settings.dim,
        layers=settings.blocks,
        heads=settings.heads,
        expansion=1,
        max_events=EVENTS,
    )
    plain = PlainIds(config, workspace.items, settings.dropout)
    negatives = min(settings.negatives, workspace.items)  # ours takes no more either
    same = Settings(settings.batch_size, negatives, settings.learning_rate)
    loop = PlainLoop(
        plain,
        workspace,
        same,
        targets=settings.targets,
        per_user=False,
        clipped=False,
        random=generator(seed, "plain"),
    )
    return lambda: training.one_pass(users), lambda: loop.one_pass(users)
