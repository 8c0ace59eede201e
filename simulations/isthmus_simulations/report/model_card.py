"""A release: the shared encoder as safetensors, and its model card.

The card's sections follow M. Mitchell et al., Model Cards for Model Reporting (FAT* 2019).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_bytes, write_text
from isthmus.parameters import Shared
from isthmus_simulations.report import formats, verdicts
from isthmus_simulations.results import MAIN_DIFFERENCE, Results

ENCODER_NAME = "encoder.safetensors"
CARD_NAME = "model-card.md"
FORMAT = "isthmus-encoder-1"


@dataclass(frozen=True)
class Release:
    """A released encoder.

    Attributes:
        config: the encoder's shapes, as `isthmus.encoder.EncoderConfig` takes them.
        fingerprint: `encoder.fingerprint()`, checked on loading.
        round: after which it was taken.
    """

    encoder: Shared
    config: Mapping[str, Any]
    fingerprint: str
    round: int


def write_release(
    encoder: Shared, config: Mapping[str, Any], results: Results, folder: Path
) -> Path:
    """Write `encoder.safetensors` and `model-card.md` into `folder`, each wholly or not at all.

    The card is written last and names the encoder's fingerprint, so that `load_release` notices
    an old card that a crash has left beside a new encoder.

    Args:
        encoder: the shared parameters; the type keeps private ones out.
        config: the encoder's shapes, for instance `dataclasses.asdict(EncoderConfig())`.
        results: of the run that trained it.
        folder: made where absent.

    Returns:
        The path of the encoder.

    Guarantees:
        Nothing but `encoder`, `config` and figures aggregated over platforms is written; the card
        names no platform but a newcomer, which took no part in the training. This says nothing
        about what the encoder itself gives away: see the card's privacy statement.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    fingerprint = encoder.fingerprint()
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dict(config), sort_keys=True, allow_nan=False),
        "fingerprint": fingerprint,
        "round": str(taken_after(results)),
    }
    card = render_card(encoder, config, results)
    path = folder / ENCODER_NAME
    write_bytes(path, save(dict(encoder.tensors), metadata))
    write_text(folder / CARD_NAME, card)
    return path


def load_release(folder: Path) -> Release:
    """Read a release and check that it is what its card and its own metadata say.

    Raises:
        DataMissingError: there is no encoder in `folder`.
        DataInvalidError: it is damaged, of another format, or not the one that the card describes.
    """
    path = folder / ENCODER_NAME
    if not path.is_file():
        raise DataMissingError(f"no release: {path} is not there", hint="name a release's folder")
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataInvalidError(f"{path} is damaged: {error}", hint=_AGAIN) from error
    return _checked(path, Shared(tensors), metadata)


_AGAIN = "copy the release again, or write it anew by running the simulation"


def _checked(path: Path, encoder: Shared, metadata: Mapping[str, str]) -> Release:
    """The release, if metadata, card and values agree."""
    if metadata.get("format") != FORMAT:
        raise DataInvalidError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}", hint=_AGAIN
        )
    stated, real = metadata["fingerprint"], encoder.fingerprint()
    if stated != real:
        raise DataInvalidError(
            f"{path} was altered: fingerprint {real}, its metadata say {stated}", hint=_AGAIN
        )
    card = path.with_name(CARD_NAME)
    if card.is_file() and real not in card.read_text(encoding="utf-8"):
        raise DataInvalidError(f"{card} describes another encoder than {path}", hint=_AGAIN)
    return Release(encoder, json.loads(metadata["config"]), real, int(metadata["round"]))


def render_card(encoder: Shared, config: Mapping[str, Any], results: Results) -> str:
    """The card as Markdown; a pure function of its arguments."""
    environment = Environment(
        loader=PackageLoader("isthmus_simulations.report"),
        autoescape=False,  # noqa: S701 - Markdown; `plain` keeps foreign text from being markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        plain=_plain, count=formats.count, lift=formats.lift, metric=formats.metric
    )
    return environment.get_template("model-card.md.j2").render(
        config=json.dumps(dict(config), indent=2, sort_keys=True),
        encoder=encoder,
        encoder_name=ENCODER_NAME,
        lifts=_lifts(results),
        moment=formats.moment,
        results=results,
        size=formats.size(encoder.bytes),
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
