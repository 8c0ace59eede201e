"""Simulate a federation on this computer and report what each platform gains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from isthmus.console import RichProgress, show_banner
from isthmus.progress import Progress, Silent
from isthmus_simulations.options import (
    AggregationRule,
    Engine,
    ServerOptimiser,
    SimulationOptions,
    Weighting,
    checked,
    default_out,
)
from isthmus_simulations.run_folder import REPORT, RESULTS, claim

if TYPE_CHECKING:
    from isthmus_simulations.results import Results

DEFAULT_CACHE = Path(".isthmus-cache")
WHAT, HOW, WHERE = "What to run", "How to train", "Where, and how fast"

NOT_PRIVATE = (
    "N O T   P R I V A T E\n"
    "This run trains without differential privacy: no clipping, no noise, no guarantee.\n"
    "Use it on data that may be seen by everyone who sees the model."
)


ScenarioOption = Annotated[
    str,
    typer.Option(
        help="A built-in scenario (journey, trio, markets, office, hostile) or a TOML file.",
        rich_help_panel=WHAT,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the data sets that trio, markets and office read.",
        rich_help_panel=WHAT,
    ),
]
QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="A small version, in two minutes.", rich_help_panel=WHAT),
]
NewcomerOption = Annotated[
    str | None,
    typer.Option(
        metavar="PLATFORM",
        help="Keep this platform out of the federation and measure its first day.",
        rich_help_panel=WHAT,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**31 - 1,
        help="The same seed gives the same result.",
        rich_help_panel=WHAT,
    ),
]
RoundsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Rounds of the federation, at most.", rich_help_panel=HOW),
]
EpochsOption = Annotated[
    float | None,
    typer.Option(help="Passes over a platform's users in a round.", rich_help_panel=HOW),
]
RateOption = Annotated[
    float | None,
    typer.Option(help="Step size of the local AdamW.", rich_help_panel=HOW),
]
OptimiserOption = Annotated[
    ServerOptimiser | None,
    typer.Option(help="How the server applies the mean update.", rich_help_panel=HOW),
]
EncoderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A Hugging Face text encoder instead of the built-in one.",
        rich_help_panel=HOW,
    ),
]
SequenceOption = Annotated[
    bool,
    typer.Option(
        "--sequence-models",
        help="Each platform also trains a SASRec at home, whose ranks are fused in if that helps.",
        rich_help_panel=HOW,
    ),
]
AggregationOption = Annotated[
    AggregationRule | None,
    typer.Option(
        help="How the server combines updates; all but the mean must see single updates.",
        show_default="mean",
        rich_help_panel=HOW,
    ),
]
WeightsOption = Annotated[
    Weighting | None,
    typer.Option(
        help="How much a platform's update counts.",
        show_default="the rule's own",
        rich_help_panel=HOW,
    ),
]
EngineOption = Annotated[
    Engine,
    typer.Option(help="What carries the messages; results are equal.", rich_help_panel=WHERE),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Platforms that train at the same time.",
        show_default="one per core",
        rich_help_panel=WHERE,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The run's own folder.",
        show_default="isthmus-runs/SCENARIO-SEED",
        rich_help_panel=WHERE,
    ),
]
CacheOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder of the item embeddings, shared by all runs.",
        rich_help_panel=WHERE,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Insist on continuing an interrupted run (one that is there is continued anyway).",
        rich_help_panel=WHERE,
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Delete the run in the folder and start anew.", rich_help_panel=WHERE
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print results.json and nothing else.", rich_help_panel=WHERE),
]


def simulate(
    *,
    scenario: ScenarioOption = "journey",
    data: DataOption = None,
    quick: QuickOption = False,
    newcomer: NewcomerOption = None,
    seed: SeedOption = 7,
    rounds: RoundsOption = None,
    local_epochs: EpochsOption = None,
    learning_rate: RateOption = None,
    server_optimiser: OptimiserOption = None,
    aggregation: AggregationOption = None,
    weights: WeightsOption = None,
    sequence_models: SequenceOption = False,
    encoder: EncoderOption = None,
    engine: EngineOption = "memory",
    workers: WorkersOption = None,
    out: OutOption = None,
    cache: CacheOption = DEFAULT_CACHE,
    resume: ResumeOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate a federation on this computer and report what each platform gains.

    Every platform's gain stands next to honest baselines: popularity, item-kNN, the untrained
    prior, and the same model trained at home. The report is one HTML file.

    Example: isthmus simulate --scenario journey --newcomer nutrition --seed 11
    """
    options = checked(
        scenario=scenario,
        data=data,
        out=out or default_out(scenario, seed, quick=quick, newcomer=newcomer),
        cache=cache,
        seed=seed,
        quick=quick,
        newcomer=newcomer,
        encoder=encoder,
        rounds=rounds,
        local_epochs=local_epochs,
        learning_rate=learning_rate,
        server_optimiser=server_optimiser,
        aggregation=aggregation,
        weights=weights,
        sequence_models=sequence_models,
        engine=engine,
        workers=workers,
        resume=resume,
    )
    if as_json:
        _results(options, force=force, progress=Silent())
        print((options.out / RESULTS).read_text(), end="")
        return
    show_banner(NOT_PRIVATE)
    _show(_results(options, force=force, progress=RichProgress()), options.out)


def _results(options: SimulationOptions, *, force: bool, progress: Progress) -> Results:
    """The results of a new, a continued or an already finished run; also on disk."""
    from isthmus_simulations.results import Results  # noqa: PLC0415 - keeps `--help` fast

    with claim(options, force=force) as state:
        if state == "finished":
            progress.say(f"{options.out} is finished already; --force computes it anew")
            return Results.load(options.out / RESULTS)
        from isthmus_simulations.run import simulate_scenario  # noqa: PLC0415 - imports PyTorch

        if state == "unfinished":
            progress.say(f"continuing the interrupted run in {options.out}")
        resume = state == "unfinished"
        return simulate_scenario(options.model_copy(update={"resume": resume}), progress)


def _show(results: Results, out: Path) -> None:
    """The main table, and where the rest is."""
    from isthmus_simulations.report.terminal import render  # noqa: PLC0415 - keeps `--help` fast

    console = Console(highlight=False)
    console.print(render(results))
    console.print(f"Report: {(out / REPORT).resolve()}", soft_wrap=True)
