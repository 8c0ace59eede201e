"""Figures as people read them: short, aligned, with a real minus sign."""

from __future__ import annotations

from datetime import datetime

from isthmus_simulations.results import ModelName, NewcomerModel, PairedDifference

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
MISSING = "\N{EN DASH}"

_LABELS: dict[str, str] = {
    "popularity": "Popularity",
    "own_history": "Own history",
    "item_knn": "Item-kNN",
    "prior": "Text prior",
    "content": "Content",
    "local": "Local",
    "release": "Release",
    "federated": "Federated",
    "personalised": "Personalised",
    "pooled": "Pooled",
}

_MINUTE, _HOUR = 60, 3600  # seconds
_BYTES_STEP = 1000
_ONE_DECIMAL_BELOW = 0.095  # relative lifts smaller than this get a decimal


def label(model: ModelName | NewcomerModel) -> str:
    """A model's name for a heading."""
    return _LABELS[model]


def comparison(name: str) -> str:
    """A difference's label for a reader: "federated - local" with capitals and a minus sign."""
    sides = (_LABELS.get(side, side) for side in name.split(" - "))
    return f" {MINUS} ".join(sides)


def metric(value: float | None, digits: int = 4) -> str:
    """A metric between 0 and 1."""
    return MISSING if value is None else f"{value:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """With its sign, and none for what rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return (MINUS if value < 0 else "+") + text


def count(value: int) -> str:
    """An integer in groups of three digits."""
    return f"{value:,}".replace(",", THIN)


def lift(difference: PairedDifference) -> str:
    """Relative difference with interval, "+12 % [+3, +21]"; absolute where no ratio exists."""
    if difference.relative is None:
        ends = f"[{signed(difference.low, 4)}, {signed(difference.high, 4)}]"
        return f"{signed(difference.difference, 4)} {ends}"
    digits = int(abs(difference.relative) < _ONE_DECIMAL_BELOW)
    ends = f"[{_end(difference.relative_low, digits)}, {_end(difference.relative_high, digits)}]"
    return f"{signed(100 * difference.relative, digits)}{THIN}% {ends}"


def _end(value: float | None, digits: int) -> str:
    """One end of a relative interval; an unbounded end is a dash."""
    return MISSING if value is None else signed(100 * value, digits)


def absolute(mean: float | None, low: float | None, high: float | None) -> str:
    """A difference of metrics with its interval, "+0.0012 [+0.0003, +0.0021]"."""
    if mean is None or low is None or high is None:
        return MISSING
    return f"{signed(mean, 4)} [{signed(low, 4)}, {signed(high, 4)}]"


def duration(seconds: float) -> str:
    """Seconds as "0.4 s", "42 s", "3 min 5 s" or "1 h 12 min"."""
    if seconds < _MINUTE:
        return f"{seconds:.1f}{THIN}s" if seconds < 10 else f"{seconds:.0f}{THIN}s"  # noqa: PLR2004
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}{THIN}min {whole % _MINUTE}{THIN}s"
    return f"{whole // _HOUR}{THIN}h {whole % _HOUR // _MINUTE}{THIN}min"


def size(value: float) -> str:
    """Bytes in decimal units: "812 B", "1.2 MB"."""
    for unit in ("B", "kB", "MB"):
        if value < _BYTES_STEP:
            return f"{value:.0f}{THIN}{unit}" if unit == "B" else f"{value:.3g}{THIN}{unit}"
        value /= _BYTES_STEP
    return f"{value:.3g}{THIN}GB"


def moment(value: datetime | None) -> str:
    """A date, with the time only where it is not midnight."""
    if value is None:
        return MISSING
    clock = value.strftime(" %H:%M") if value.hour or value.minute else ""
    return f"{value:%Y-%m-%d}{clock} {value.tzname() or ''}".rstrip()
