"""Value before commitment: what a release would bring on a platform's own data.

Nothing is shared: the release is a file, the data stay where they are, and no module that is
imported here opens a connection.
"""

from __future__ import annotations

import importlib.metadata
import platform as machine
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from isthmus import __version__
from isthmus.encoder import SharedEncoder
from isthmus.errors import DataInvalidError
from isthmus.progress import Progress
from isthmus.statistics import paired_bootstrap
from isthmus_client.buckets import by_history, by_item
from isthmus_client.day_one import SIZES, Day, Measured, measure_days, task_count
from isthmus_client.day_one_models import OWN, STRONG, Recipe
from isthmus_client.evaluate import Evaluator
from isthmus_client.figures import Metrics, PairedDifference
from isthmus_client.gate import decide
from isthmus_client.mixing import FEWEST
from isthmus_client.own_platform import OwnPlatform
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.ranking import Ranking
from isthmus_client.release import Release
from isthmus_client.remembering import record_of
from isthmus_client.sasrec import SasRecSettings
from isthmus_client.track_record import Past, TrackRecord
from isthmus_client.training import Settings
from isthmus_client.trial_results import (
    MAIN_DIFFERENCE,
    GateFigures,
    OwnData,
    TrialResults,
    TrialSize,
    Tried,
)
from isthmus_client.workspace import Workspace

CANDIDATE: Final = "personalised"
SHARED: Final = (
    "Nothing left this computer: the release was read from a file, the tables from their sources"
)
VERSIONED: Final = ("torch", "numpy", "scipy", "duckdb", "safetensors", "sentence-transformers")
Value = TypeVar("Value")


@dataclass(frozen=True)
class TrialSettings:
    """How the models of a trial are trained; the defaults are the federation's.

    Attributes:
        passes: over the training users, at most; the platform's own model gets no fewer.
        ranked: users that a window is ranked for, at most: intervals of 2 000 are narrow enough,
            and of all they would take most of the trial's time.
        workers: models that are fitted at the same time.
    """

    seed: int = 7
    training: Settings = Settings(  # noqa: RUF009 - frozen
        batch_size=64, negatives=256, learning_rate=5e-4, weight_decay=0.01
    )
    ranker: RankerSettings = RankerSettings()  # noqa: RUF009 - frozen
    passes: int = 12
    patience: int = 4
    sasrec: SasRecSettings = SasRecSettings()  # noqa: RUF009 - frozen
    ranked: int = 2_000
    workers: int = 1


def run_trial(
    own: OwnPlatform,
    release: Release,
    settings: TrialSettings,
    progress: Progress,
    past: Past | None = None,
) -> TrialResults:
    """Fit and measure everything that the platform could serve, with the release and without it.

    Args:
        past: what an earlier release turned out to be worth; it counts where all users take part.

    Raises:
        DataInvalidError: the release reads other content vectors, or nobody can be tested.

    Guarantees:
        A function of its arguments that opens no connection and writes no file. The result holds
        means over users and counts: no id, no event, no text.
    """
    seconds: dict[str, float] = {}
    encoder = release.module()
    workspace = _workspace(own, encoder)
    tasks = task_count(workspace, SIZES, everyone=True, with_users=STRONG)
    with progress.track("fitting models", tasks) as advance:
        days = _timed(
            seconds,
            "models",
            lambda: measure_days(
                workspace,
                RankerModel(encoder, release.ranker_module()),
                _recipe(workspace, encoder, settings, alone=release.ranker is None),
                everyone=True,
                with_users=STRONG,
                most=settings.ranked,
                workers=settings.workers,
                advance=advance,
            ),
        )
    pasts = (*(None for _ in days[:-1]), past)
    sizes = _timed(
        seconds,
        "intervals",
        lambda: tuple(_size(*each, settings.seed) for each in zip(days, pasts, strict=True)),
    )
    tests = {name: found.test for name, found in days[-1].models.items()}
    return TrialResults(
        created=datetime.now(UTC).replace(microsecond=0),
        shared=SHARED,
        data=_data(own, workspace, sizes[-1]),
        release=_tried(release),
        sizes=sizes,
        items=by_item(workspace, tests),
        history=by_history(workspace, tests),
        seconds=seconds,
        seed=settings.seed,
        record=_record(workspace, release, tests),
        versions=_versions(),
        warnings=(
            *own.warnings,
            *_stand_in(release),
            *_sampled(workspace, settings),
            *_warnings(sizes[-1]),
        ),
    )


def _timed(seconds: dict[str, float], name: str, work: Callable[[], Value]) -> Value:
    """The value of `work`, its wall clock noted."""
    started = time.perf_counter()
    value = work()
    seconds[name] = time.perf_counter() - started
    return value


def _recipe(
    workspace: Workspace, encoder: SharedEncoder, settings: TrialSettings, *, alone: bool
) -> Recipe:
    """How the platform's own model is trained.

    Args:
        alone: whether the release brings no ranker; what stands in comes with the installation, so
            that the platform's own model may start from it too.
    """
    timed = workspace.platform.histories.timed
    return Recipe(
        encoder.config,
        settings.training,
        settings.ranker,
        settings.passes,
        settings.patience,
        settings.seed,
        settings.sasrec,
        ranker_start="public" if alone and timed else "mixture",
    )


def _workspace(own: OwnPlatform, encoder: SharedEncoder) -> Workspace:
    """The platform, ready for this release.

    Raises:
        DataInvalidError: widths differ, or no user has events to train on.
    """
    width, wanted = int(own.platform.vectors.shape[1]), encoder.config.content
    if width != wanted:
        raise DataInvalidError(
            f"the release reads content vectors of {wanted} numbers, "
            f"the text encoder makes {width}",
            hint="name the folder of the release's text encoder with --encoder",
        )
    workspace = Workspace(own.platform, own.read_by(encoder.config.max_events))
    if not workspace.sequences.training_users.size:
        raise DataInvalidError(
            "no user has two events before the validation window: there is nothing to train on",
            hint="give a longer stretch of events",
        )
    return workspace


def _record(
    workspace: Workspace, release: Release, tests: Mapping[str, Ranking]
) -> TrackRecord | None:
    """For a later trial's gate; None where the candidate was not fitted or has nobody to judge."""
    if CANDIDATE not in tests:
        return None
    own = tuple(name for name in OWN if name in tests)
    qualities = {name: ranking.ndcg for name, ranking in tests.items()}
    return record_of(workspace, release.whole, CANDIDATE, qualities, own)


def _size(day: Day, past: Past | None, seed: int) -> TrialSize:
    """One size's figures."""
    tests = {name: found.test for name, found in day.models.items()}
    if not tests["release"].users.size:
        raise DataInvalidError(
            "no user of the test window meets an item that is new to them: nothing can be measured",
            hint="give a longer stretch of events",
        )
    own = [name for name in OWN if name in tests]
    best = max(own, key=lambda name: tests[name].mean_ndcg or 0.0)
    return TrialSize(
        users=day.users,
        models={name: Metrics.of(ranking) for name, ranking in tests.items()},
        best_own=best,
        differences=_differences(tests, best, seed),
        gate=_gate(day.models, past, seed) if CANDIDATE in day.models else None,
        seconds={name: found.seconds for name, found in day.models.items()},
    )


def _differences(tests: Mapping[str, Ranking], best: str, seed: int) -> dict[str, PairedDifference]:
    """The release, as it is and fitted, against what the platform has without it."""
    pairs = {"release - prior": ("release", "prior"), "release - best own": ("release", best)}
    if CANDIDATE in tests:
        pairs[f"{CANDIDATE} - local"] = (CANDIDATE, "local")
        pairs[MAIN_DIFFERENCE] = (CANDIDATE, best)
    return {
        label: PairedDifference.of(paired_bootstrap(tests[a].ndcg, tests[b].ndcg, seed=seed))
        for label, (a, b) in pairs.items()
    }


def _gate(models: Mapping[str, Measured], past: Past | None, seed: int) -> GateFigures:
    """Candidate against the best own model, on the gate's users."""
    qualities = {name: found.gate.ndcg for name, found in models.items()}
    own = tuple(name for name in OWN if name in models)
    found = decide(CANDIDATE, qualities, own, seed=seed, past=past)
    return GateFigures(
        decision=found.decision,
        served=found.served,
        candidate=found.candidate,
        incumbent=found.incumbent,
        difference=PairedDifference.of(found.difference) if found.difference else None,
        users=found.users,
        both=found.both,
        validation=dict(found.validation),
    )


def _data(own: OwnPlatform, workspace: Workspace, whole: TrialSize) -> OwnData:
    histories = own.platform.histories
    return OwnData(
        platform=own.platform.name,
        users=histories.users,
        items=workspace.items,
        events=histories.events,
        training_users=int(workspace.sequences.training_users.size),
        test_users=whole.models["release"].users,
        split=own.platform.split.kind,
        validation_start=_moment(own.validation_start),
        test_start=_moment(own.test_start),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _tried(release: Release) -> Tried:
    return Tried(
        fingerprint=release.whole,
        round=release.round,
        text_encoder=release.text_encoder.name or "not stated",
        parameters=release.size,
    )


def _sampled(workspace: Workspace, settings: TrialSettings) -> list[str]:
    """Where not all test users were ranked."""
    whole = Evaluator(workspace, "test").task.users.size
    if whole <= settings.ranked:
        return []
    return [f"{settings.ranked} of {whole} test users were drawn at random"]


def _stand_in(release: Release) -> list[str]:
    """Where the release brings no ranker."""
    if release.ranker is not None:
        return []
    return [
        (
            "the release has no ranker: the public one that comes with Isthmus stands in; it "
            "learned from the embedded purchases, so that on those every figure flatters"
        )
    ]


def _warnings(whole: TrialSize) -> list[str]:
    """What weakens the figures."""
    users = whole.gate.users if whole.gate else 0
    if users >= FEWEST:
        return []
    return [f"{users} users decide the gate: too few for its decision to mean much"]


def _versions() -> dict[str, str]:
    found = {"isthmus": __version__, "python": machine.python_version()}
    return found | {name: importlib.metadata.version(name) for name in VERSIONED}
