"""`isthmus client trial`: what a release would bring on one's own data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli_options import CORES, DEFAULT_CACHE, count, file, folder, switch
from isthmus.cli_options import seed as seed_option
from isthmus.cli_options import workers as workers_option
from isthmus.console import progress_for, show_result
from isthmus.progress import Progress

if TYPE_CHECKING:
    from isthmus_client.contract.model import Contract
    from isthmus_client.trial_results import TrialResults

DEFAULT_OUT = Path("isthmus-trial")
DEFAULT_USERS = 20_000
DATA, HOW = "Your data", "How, and where to"

ReleaseArgument = Annotated[
    Path, typer.Argument(help="Folder of the release: encoder.safetensors and its model card.")
]
EventsOption = Annotated[
    Path | None, file("CSV, JSON Lines or Parquet: user_id, item_id, timestamp, ...", panel=DATA)
]
ItemsOption = Annotated[
    Path | None, file("CSV, JSON Lines or Parquet: item_id, title or text, ...", panel=DATA)
]
PlatformOption = Annotated[
    Path | None, file("Contract that says where the tables are and what they mean.", panel=DATA)
]
UntimedOption = Annotated[
    bool, switch("--untimed", "Events have no times: their order is all.", panel=DATA)
]
UsersOption = Annotated[
    int, count("Users drawn at random, at most; 0 takes all.", least=0, panel=DATA)
]
EncoderOption = Annotated[
    Path | None,
    folder("The release's text encoder, where it is not the built-in one.", panel=HOW),
]
RecordOption = Annotated[
    Path | None,
    folder("An earlier trial, on data up to this one's test, that the gate remembers.", panel=HOW),
]
CacheOption = Annotated[Path, folder("Folder of the item embeddings.", panel=HOW)]
OutOption = Annotated[Path, folder("Where trial.json and trial.html go.", panel=HOW)]
SeedOption = Annotated[int, seed_option(panel=HOW)]
WorkersOption = Annotated[
    int, workers_option("Models that are fitted at the same time.", panel=HOW)
]
JsonOption = Annotated[bool, switch("--json", "Print trial.json and nothing else.", panel=HOW)]


def trial(
    *,
    release: ReleaseArgument,
    events: EventsOption = None,
    items: ItemsOption = None,
    platform: PlatformOption = None,
    untimed: UntimedOption = False,
    max_users: UsersOption = DEFAULT_USERS,
    encoder: EncoderOption = None,
    record: RecordOption = None,
    cache: CacheOption = DEFAULT_CACHE,
    out: OutOption = DEFAULT_OUT,
    seed: SeedOption = 7,
    workers: WorkersOption = CORES,
    as_json: JsonOption = False,
) -> None:
    """Measure on your own data what a release would bring. Nothing leaves this computer.

    The release, as it is and fitted at home, stands next to popularity, item-kNN, SASRec, the
    untrained text prior and your own trained model: with the catalogue alone, with 100, 300 and
    1 000 of your users, and with all.

    Example: isthmus client trial release --events events.csv --items items.csv
    """
    from isthmus_client.own_platform import own_contract  # noqa: PLC0415 - keeps `--help` fast

    own = own_contract(platform, events=events, items=items, untimed=untimed)
    progress = progress_for(as_json=as_json)
    results = _run(
        own,
        release,
        (encoder, cache),
        record,
        seed=seed,
        most=(max_users, workers),
        progress=progress,
    )
    _write(results, out)
    if as_json:
        print(results.to_json(), end="")
        return
    _show(results, out)


def _run(
    own: Contract,
    released: Path,
    texts: tuple[Path | None, Path],
    record: Path | None,
    *,
    seed: int,
    most: tuple[int, int],
    progress: Progress,
) -> TrialResults:
    """Load and check the release, prepare the data, try it."""
    from isthmus_client.own_platform import prepare_platform  # noqa: PLC0415 - imports DuckDB
    from isthmus_client.release import load_release, require_text_encoder  # noqa: PLC0415
    from isthmus_client.text_encoder import HuggingFaceEncoder  # noqa: PLC0415
    from isthmus_client.trial import TrialSettings, run_trial  # noqa: PLC0415 - imports PyTorch
    from isthmus_client.trial_memory import earlier_past  # noqa: PLC0415 - the same

    started = time.perf_counter()
    release = load_release(released)
    encoder = HuggingFaceEncoder(texts[0])
    require_text_encoder(release, encoder.name, encoder.fingerprint)
    platform = prepare_platform(own, encoder, texts[1], progress, max_users=most[0], seed=seed)
    past = earlier_past(record, platform)
    prepared = time.perf_counter() - started
    settings = TrialSettings(seed=seed, workers=most[1])
    results = run_trial(platform, release, settings, progress, past)
    seconds = {"data and item embeddings": prepared, **results.seconds}
    return results.model_copy(update={"seconds": seconds})


def _write(results: TrialResults, out: Path) -> None:
    """The page, then the JSON: its presence means that both are there."""
    from isthmus_client.trial_page import write_page  # noqa: PLC0415 - keeps `--help` fast

    write_page(results, out / "trial.html")
    results.save(out / "trial.json")


def _show(results: TrialResults, out: Path) -> None:
    """The tables, and where the rest is."""
    from isthmus_client.trial_table import render  # noqa: PLC0415 - keeps `--help` fast

    show_result(render(results), out / "trial.html")
