"""Simulate a federation on this computer and report what each platform gains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from isthmus.cli_options import DEFAULT_CACHE, count, folder, switch, text
from isthmus.cli_options import seed as seed_option
from isthmus.cli_options import workers as workers_option
from isthmus.console import progress_for, show_banner, show_result
from isthmus.messages import Trust
from isthmus.progress import Progress
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

WHAT, HOW, WHERE = "What to run", "How to train", "Where, and how fast"
PRIVACY = "Differential privacy"

NOT_PRIVATE = (
    "N O T   P R I V A T E\n"
    "This run trains without differential privacy: no clipping, no noise, no guarantee.\n"
    "Use it on data that may be seen by everyone who sees the model."
)


ScenarioOption = Annotated[
    str,
    text(
        "A built-in scenario (journey, trio, markets, office, hostile) or a TOML file.", panel=WHAT
    ),
]
DataOption = Annotated[
    Path | None,
    folder("Folder of the data sets that trio, markets and office read.", panel=WHAT),
]
QuickOption = Annotated[bool, switch("--quick", "A small version, in two minutes.", panel=WHAT)]
NewcomerOption = Annotated[
    str | None,
    text(
        "Keep this platform out of the federation and measure its first day.",
        panel=WHAT,
        metavar="PLATFORM",
    ),
]
SeedOption = Annotated[int, seed_option(panel=WHAT)]
RoundsOption = Annotated[int | None, count("Rounds of the federation, at most.", panel=HOW)]
EpochsOption = Annotated[
    float | None, text("Passes over a platform's users in a round.", panel=HOW)
]
RateOption = Annotated[float | None, text("Step size of the local AdamW.", panel=HOW)]
OptimiserOption = Annotated[
    ServerOptimiser | None, text("How the server applies the mean update.", panel=HOW)
]
EncoderOption = Annotated[
    Path | None, folder("A Hugging Face text encoder instead of the built-in one.", panel=HOW)
]
SequenceOption = Annotated[
    bool,
    switch(
        "--sequence-models",
        "Each platform also trains a SASRec at home, whose ranks are fused in if that helps.",
        panel=HOW,
    ),
]
AggregationOption = Annotated[
    AggregationRule | None,
    text(
        "How the server combines updates; all but the mean must see single updates.",
        panel=HOW,
        default="mean",
    ),
]
WeightsOption = Annotated[
    Weighting | None,
    text("How much a platform's update counts.", panel=HOW, default="the rule's own"),
]
RecordOption = Annotated[
    Path | None,
    folder("An earlier run, on data up to this one's test, that the gates remember.", panel=HOW),
]
WindowsOption = Annotated[
    int,
    text(
        "Windows that the gates look at; 2 makes the earlier run first, for twice the work.",
        panel=HOW,
        min=1,
        max=2,
    ),
]
SecureOption = Annotated[
    bool,
    switch(
        "--secure-aggregation",
        "The server sees sums over platforms only; three platforms or more.",
        panel=PRIVACY,
    ),
]
PrivacyOption = Annotated[
    Trust, text("Whom users must trust: nobody (local), or most platforms (pooled).", panel=PRIVACY)
]
EpsilonOption = Annotated[float, text("Of the whole run, for a platform's user.", panel=PRIVACY)]
ColludersOption = Annotated[
    int, text("Platforms that may collude against another; pooled alone.", panel=PRIVACY, min=0)
]
ClipOption = Annotated[
    float | None, text("Largest norm of a user's gradient.", panel=PRIVACY, default="1.0")
]
QuantileOption = Annotated[
    float,
    text("Quantile of gradients that the norm follows; 0: fixed.", panel=PRIVACY, default="0"),
]
BatchOption = Annotated[
    int | None,
    text("Users of a private round, expected, of all platforms.", panel=PRIVACY, default="4096"),
]
CanariesOption = Annotated[
    int | None,
    text("Planted users of each platform; 0: no audit.", panel=PRIVACY, min=0, default="1000"),
]
EngineOption = Annotated[Engine, text("What carries the messages; results are equal.", panel=WHERE)]
WorkersOption = Annotated[
    int | None, workers_option("Platforms that train at the same time.", panel=WHERE)
]
OutOption = Annotated[
    Path | None,
    folder("The run's own folder.", panel=WHERE, default="isthmus-runs/SCENARIO-SEED"),
]
CacheOption = Annotated[
    Path, folder("Folder of the item embeddings, shared by all runs.", panel=WHERE)
]
ResumeOption = Annotated[
    bool,
    switch(
        "--resume",
        "Insist on continuing an interrupted run (one that is there is continued anyway).",
        panel=WHERE,
    ),
]
ForceOption = Annotated[
    bool, switch("--force", "Delete the run in the folder and start anew.", panel=WHERE)
]
JsonOption = Annotated[bool, switch("--json", "Print results.json and nothing else.", panel=WHERE)]


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
    record: RecordOption = None,
    windows: WindowsOption = 1,
    secure_aggregation: SecureOption = False,
    privacy: PrivacyOption = "none",
    epsilon: EpsilonOption = 8.0,
    colluders: ColludersOption = 0,
    clipping_norm: ClipOption = None,
    clipping_quantile: QuantileOption = 0.0,
    private_batch: BatchOption = None,
    canaries: CanariesOption = None,
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
        record=record,
        windows=windows,
        rounds=rounds,
        local_epochs=local_epochs,
        learning_rate=learning_rate,
        server_optimiser=server_optimiser,
        aggregation=aggregation,
        weights=weights,
        sequence_models=sequence_models,
        secure_aggregation=secure_aggregation,
        privacy=privacy,
        epsilon=epsilon,
        colluders=colluders,
        clipping_norm=clipping_norm,
        clipping_quantile=clipping_quantile,
        private_batch=private_batch,
        canaries=canaries,
        engine=engine,
        workers=workers,
        resume=resume,
    )
    if not as_json and privacy == "none":
        show_banner(NOT_PRIVATE)
    results = _results(options, force=force, progress=progress_for(as_json=as_json))
    if as_json:
        print((options.out / RESULTS).read_text(), end="")
    else:
        _show(results, options.out)


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

    show_result(render(results), out / REPORT)
