"""A release: the shared encoder and ranker as safetensors, and their model card.

The card's sections follow M. Mitchell et al., Model Cards for Model Reporting (FAT* 2019).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from isthmus.files import write_text
from isthmus.parameters import Shared
from isthmus.release_files import ENCODER_NAME, TextEncoderName
from isthmus_client.release import (
    CARD_NAME,
    RANKER_NAME,
    fingerprint_of,
    write_encoder,
    write_ranker,
)
from isthmus_simulations.report import formats, verdicts
from isthmus_simulations.report.claims import claims_of
from isthmus_simulations.results import MAIN_DIFFERENCE, Results


def write_release(
    encoder: Shared,
    config: Mapping[str, Any],
    results: Results,
    folder: Path,
    *,
    ranker: Shared | None = None,
) -> Path:
    """Write encoder, ranker and model card into `folder`, each wholly or not at all.

    The card is written last and names the fingerprints of both parts, so that `load_release`
    notices an old card that a crash has left beside a new encoder or ranker.

    Args:
        encoder: the shared parameters; the type keeps private ones out.
        config: the encoder's shapes, for instance `dataclasses.asdict(EncoderConfig())`.
        results: of the run that trained it.
        folder: made where absent.
        ranker: the shared ranker around this encoder; None writes none.

    Returns:
        The path of the encoder.

    Guarantees:
        Nothing but `encoder`, `ranker`, `config` and figures aggregated over platforms is
        written; the card names no platform but a newcomer, which took no part in the training.
        This says nothing about what the parameters themselves give away: see the card's privacy
        statement.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    card = render_card(encoder, config, results, ranker=ranker)
    path = write_encoder(
        encoder,
        config,
        folder,
        taken_after=taken_after(results),
        text_encoder=_text_encoder(results),
    )
    if ranker is not None:
        write_ranker(ranker, folder, encoder=encoder)
    write_text(folder / CARD_NAME, card)
    return path


def _text_encoder(results: Results) -> TextEncoderName:
    """What made the content vectors; a run's configuration names it."""
    names = ("text_encoder", "text_encoder_fingerprint")
    return TextEncoderName(*(str(results.config.get(name) or "") for name in names))


def render_card(
    encoder: Shared,
    config: Mapping[str, Any],
    results: Results,
    *,
    ranker: Shared | None = None,
) -> str:
    """The card as Markdown; a pure function of its arguments."""
    environment = Environment(
        loader=PackageLoader("isthmus_simulations.report"),
        autoescape=False,  # noqa: S701 - Markdown; `plain` keeps foreign text from being markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        plain=_plain,
        count=formats.count,
        lift=formats.lift,
        metric=formats.metric,
        size=formats.size,
    )
    return environment.get_template("model-card.md.j2").render(
        claims=claims_of(results.privacy),
        config=json.dumps(dict(config), indent=2, sort_keys=True),
        encoder=encoder,
        encoder_name=ENCODER_NAME,
        lifts=_lifts(results),
        moment=formats.moment,
        ranker=ranker,
        ranker_name=RANKER_NAME,
        ranker_taken_after=results.config.get("ranker_best_round"),
        release=fingerprint_of(encoder, ranker) if ranker is not None else None,
        results=results,
        summary=verdicts.summary(results),
        taken_after=taken_after(results),
        totals=_totals(results),
    )


def taken_after(results: Results) -> int:
    """The round whose parameters are released: the best by validation, not always the last."""
    best = results.config.get("best_round")
    return best if isinstance(best, int) else results.cost.rounds


def _plain(text: str) -> str:
    """One line of foreign text that neither Markdown nor HTML takes for markup."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in line)


def _totals(results: Results) -> dict[str, int]:
    """Sums over platforms: the federation in aggregate."""
    names = ("training_users", "users", "items", "events", "test_users")
    platforms = results.platforms.values()
    return {name: sum(getattr(platform, name) for platform in platforms) for name in names}


def _lifts(results: Results) -> str:
    """Lowest, median and highest relative lift over platforms; "" where there is none."""
    found = [p.differences.get(MAIN_DIFFERENCE) for p in results.platforms.values()]
    relative = [d.relative for d in found if d is not None and d.relative is not None]
    if not relative:
        return ""
    figures = (min(relative), statistics.median(relative), max(relative))
    low, middle, high = (f"{formats.signed(100 * figure, 1)} %" for figure in figures)
    return f"lowest {low}, median {middle}, highest {high}"
