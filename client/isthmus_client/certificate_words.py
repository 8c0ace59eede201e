"""A certificate in words and as tables for a terminal."""

from __future__ import annotations

from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_client.certificate import Certificate, EquivalenceRecord
from isthmus_client.figures import PairedDifference
from isthmus_client.stored_models import Kind

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"
_LABELS = {
    "popularity": "popularity",
    "item_knn": "item-kNN",
    "prior": "the text prior",
    "local": "the platform's own trained model",
    "content": "the released encoder alone",
    "federated": "the release as it is",
    "personalised": "the release with what is added at home",
}
_KINDS: dict[Kind, str] = {
    "popularity": "the data",
    "item_knn": "the data",
    "content": "the stored encoder",
    "full": "the stored encoder and head",
    "ranker": "the stored encoder and ranker",
    "ranks": "stored ranks",
}


def render(certificate: Certificate) -> RenderableType:
    """Decision, models and grounds."""
    served = f"{certificate.platform} serves {label(certificate.served)}."
    head = Text(f"{served} {certificate.reason}", style="bold")
    pairs = Table(box=None, show_header=False, pad_edge=False)
    for term, words in facts(certificate) + grounds(certificate):
        pairs.add_row(Text(term, style="dim"), Text(words))
    return Group(head, _models(certificate), pairs)


def _models(certificate: Certificate) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Model", "Role", "Measured from"):
        made.add_column(heading)
    made.add_column("NDCG@10", justify="right")
    for name, model in certificate.models.items():
        style = "bold" if name == certificate.served else ""
        cells = (label(name), role(certificate, name), kind(model.kind), metric(model.ndcg))
        made.add_row(*(Text(cell, style=style) for cell in cells))
    return made


def label(model: str) -> str:
    """A model's name in a sentence."""
    return _LABELS.get(model, model)


def kind(found: Kind) -> str:
    """What a model's figure was measured from."""
    return _KINDS[found]


def role(certificate: Certificate, name: str) -> str:
    """What a model is in the comparison."""
    if name == certificate.candidate:
        return "candidate"
    if name == certificate.incumbent:
        return "incumbent: the best without the federation"
    return "without the federation" if name in certificate.own else "for comparison"


def metric(value: float | None) -> str:
    """A metric between 0 and 1."""
    return MISSING if value is None else f"{value:.4f}"


def facts(certificate: Certificate) -> list[tuple[str, str]]:
    """The difference and what is shown by it."""
    found, tests = certificate.difference, certificate.equivalence
    if found is None or tests is None:
        return [("Difference", "nobody could be judged by")]
    error = certificate.standard_error
    return [
        ("Candidate over incumbent", _difference(found)),
        ("Standard error", MISSING if error is None else f"{error:.5f}"),
        *_earlier(certificate),
        ("Loss below the margin", _shown(tests, tests.no_harm_shown, tests.p_no_loss)),
        (
            "Equal within the margin",
            _shown(tests, tests.equality_shown, max(tests.p_no_loss, tests.p_no_gain)),
        ),
    ]


def _earlier(certificate: Certificate) -> list[tuple[str, str]]:
    """What the track record says, where there is one."""
    record, both = certificate.past, certificate.both
    if record is None:
        return []
    past, when = record.past, _window(record.first, record.last)
    gain = past.share(past.own[certificate.incumbent].gain)
    found = f"{_signed(100 * gain, 1)} %, {past.users:,} users, {when}, release {record.release}"
    if both is None:
        return [("An earlier release", f"{found}; too few users to count")]
    error = f"standard error of one {100 * both.standard_error:.1f} %"
    return [
        ("An earlier release", found),
        ("Both windows", f"{_signed(100 * both.gain, 1)} %, {error}: this decides"),
    ]


def grounds(certificate: Certificate) -> list[tuple[str, str]]:
    """Data, code and everything else that it takes to measure again."""
    window, data = certificate.window, certificate.data
    versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
    return [
        ("Release", certificate.release),
        ("Window", f"{_window(window.first, window.last)}, split {window.split}"),
        ("Users judged by", f"{window.users:,}"),
        ("Data", f"{data.users:,} users, {data.items:,} items, {data.events:,} events"),
        ("Histories and split, SHA-256", data.histories_sha256),
        ("Catalogue, SHA-256", data.catalogue_sha256),
        ("Code, SHA-256", certificate.code_sha256),
        ("Seed", str(certificate.seed)),
        ("Versions", versions),
    ]


def _difference(found: PairedDifference) -> str:
    ends = f"95 % interval {_signed(found.low)} to {_signed(found.high)}"
    if found.relative is None:
        return f"{_signed(found.difference)}, {ends}"
    return f"{_signed(found.difference)} ({_signed(100 * found.relative, 1)} %), {ends}"


def _shown(tests: EquivalenceRecord, shown: bool, p_value: float) -> str:
    words = "shown" if shown else "not shown"
    return f"{words} (margin {100 * tests.margin:g} %, p = {p_value:.4f})"


def _window(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return "events without times"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _signed(value: float, digits: int = 5) -> str:
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else (MINUS if value < 0 else "+") + text
