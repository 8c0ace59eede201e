"""The main job: one scenario from raw tables to a report, through the federation's own code."""

from __future__ import annotations

from pathlib import Path

import torch

from isthmus.errors import ScenarioError
from isthmus.progress import Progress
from isthmus_client.platform import Platform
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_trainer import ranker_of
from isthmus_client.track_record import FOLDER
from isthmus_client.workspace import Workspace
from isthmus_server.history import RunResult
from isthmus_simulations.federation import federate, training_seconds
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.newcomer import report_newcomer
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.outcome import Outcome, publish
from isthmus_simulations.plan import plan_of
from isthmus_simulations.platform_report import OWN, report_platform
from isthmus_simulations.rankers import Rankers, train_rankers
from isthmus_simulations.results import Newcomer, PlatformResults, Results
from isthmus_simulations.run_folder import EARLIER, claim
from isthmus_simulations.scenarios import Prepared, Scenario, load_scenario, prepare
from isthmus_simulations.stages import Stages, encoder_of
from isthmus_simulations.track_records import Records, records_for, without_memory
from isthmus_simulations.training import own_sequence_models, train_without_federation


def simulate_scenario(options: SimulationOptions, progress: Progress) -> Results:
    """Run a scenario and write everything into `options.out`.

    With two windows the scenario is first run as it stood one window before, in `options.out` /
    `earlier`, a run like any other, whose track records the gates remember.

    Writes `results.json`, `report.html`, `release/` (the encoder and its model card) and each
    platform's no-harm certificate in `certificates/`, with its private models in `private/`, and
    in `records/` what a later run's gate may know of this one; to go on after an interruption,
    `platforms/`, `rounds/`, `ranker-rounds/` and `stages/`; `outbox/` holds the receipts of all
    that left a platform.

    Raises:
        ScenarioError: the scenario or an option is wrong, or two windows are asked of a scenario
            without times.
        DataMissingError, DataInvalidError: the data is not there or breaks its contract.
        FederationError: a round could not be finished.
        ResumeError: the folder's checkpoints belong to another run.
    """
    return _simulate(options, load_scenario(options.scenario), progress)


def _simulate(options: SimulationOptions, scenario: Scenario, progress: Progress) -> Results:
    clock = Clock()
    with clock.stage("data and item embeddings"):
        prepared = prepare(
            scenario,
            data=options.data,
            cache=options.cache,
            seed=options.seed,
            quick=options.quick,
            encoder=options.encoder,
            progress=progress,
        )
    record = options.record
    if options.windows > 1:
        with clock.stage("one window before"):
            record = _one_window_before(options, scenario, prepared, progress)
    plan = plan_of(options, prepared)
    job = Job(options, plan, progress, Stages(options.out / "stages"), clock)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # platforms run in parallel; within one, sums keep their order
    try:
        outcome = _measure_all(job, prepared, record)
    finally:
        torch.set_num_threads(threads)
    return publish(outcome, scenario)


def _one_window_before(
    options: SimulationOptions, scenario: Scenario, prepared: Prepared, progress: Progress
) -> Path | None:
    """The folder of a finished run on the data as they stood when this one's test window began.

    None where it left no record: nobody has two users with times in its test window.

    Guarantees:
        No event from the start of the test window on has a part in it.
    """
    start, stop = prepared.validation_start, prepared.test_start
    if start is None or stop is None:
        raise ScenarioError(
            "--windows 2: the scenario is split without times, so that no window is earlier",
            hint="leave --windows out",
        )
    before = options.model_copy(
        update={"out": options.out / EARLIER, "windows": 1, "earlier": True, "resume": False}
    )
    with claim(before) as state:
        if state != "finished":
            progress.say(f"the scenario as it stood one window before, in {before.out}")
            _simulate(before, scenario.earlier(start, stop), progress)
            progress.say("the scenario as it stands")
    return before.out if (before.out / FOLDER).is_dir() else None


def _measure_all(job: Job, prepared: Prepared, record: Path | None) -> Outcome:
    """Train in every way, measure every platform, and the newcomer if there is one."""
    members, newcomer = _divide(prepared, job.options.newcomer)
    names = [platform.name for platform in members]
    records = records_for(record, names, OWN, prepared.test_start)
    asked = record is not None or job.options.windows > 1
    warnings = without_memory(names, records) if asked else ()
    events = job.plan.encoder.max_events
    workspaces = tuple(Workspace(platform, events) for platform in members)
    with job.clock.stage("federation"):
        run = federate(job, workspaces)
    with job.clock.stage("training alone and pooled"):
        alone, pooled = train_without_federation(job, workspaces)
    with job.clock.stage("rankers"):
        own = own_sequence_models(job, workspaces) if job.options.sequence_models else None
        ranking, rankers = train_rankers(job, workspaces, run.best, alone, pooled, own)
    with job.clock.stage("evaluation"):
        platforms = _report(job, workspaces, (run, ranking), rankers, records)
    # An earlier run is there for its members' records: it has no first day to measure.
    day_one = _day_one(job, None if job.options.earlier else newcomer, run, ranking)
    return Outcome(job, prepared, workspaces, run, ranking, platforms, day_one, warnings)


def _divide(
    prepared: Prepared, newcomer: str | None
) -> tuple[tuple[Platform, ...], Platform | None]:
    """The federation's members, and the platform that stays out."""
    names = [platform.name for platform in prepared.platforms]
    if newcomer is not None and newcomer not in names:
        raise ScenarioError(
            f"--newcomer {newcomer}: the scenario has no such platform",
            hint=f"choose one of: {', '.join(names)}",
        )
    members = tuple(p for p in prepared.platforms if p.name != newcomer)
    if not members:
        raise ScenarioError(f"without --newcomer {newcomer} no platform is left to federate")
    return members, next((p for p in prepared.platforms if p.name == newcomer), None)


def _report(
    job: Job,
    workspaces: tuple[Workspace, ...],
    runs: tuple[RunResult, RunResult],
    rankers: dict[str, Rankers],
    records: Records,
) -> dict[str, PlatformResults]:
    """Every platform's gate, then its test figures.

    Args:
        runs: the encoder's federation and the ranker's.
        records: of an earlier run, for the gates.
    """
    with job.progress.track("gate and test", len(workspaces)) as advance:

        def one(workspace: Workspace) -> PlatformResults:
            name = workspace.platform.name
            found = report_platform(
                workspace, rankers[name], job.plan, job.options.out, records.get(name)
            )
            advance(1)
            shared = sum(training_seconds(run, name) for run in runs)
            return found.model_copy(
                update={"seconds": {"federated training": shared, **found.seconds}}
            )

        reports = job.parallel(one, workspaces)
    return {w.platform.name: r for w, r in zip(workspaces, reports, strict=True)}


def _day_one(
    job: Job, newcomer: Platform | None, run: RunResult, ranking: RunResult
) -> Newcomer | None:
    """What the release gives the platform that stayed out."""
    if newcomer is None:
        return None
    workspace = Workspace(newcomer, job.plan.encoder.max_events)
    with job.clock.stage("newcomer"):
        release = RankerModel(encoder_of(run.best, job.plan.encoder), ranker_of(ranking.best))
        return report_newcomer(workspace, release, job.plan, job.progress, job.workers)
