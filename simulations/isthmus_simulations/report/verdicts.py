"""What a platform's figures say in plain words: the same words on the page, card and terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isthmus_simulations.report import formats
from isthmus_simulations.results import (
    MAIN_DIFFERENCE,
    ModelName,
    PairedDifference,
    PlatformResults,
    Results,
)

Kind = Literal["gain", "loss", "unclear", "unknown"]

_IN_WORDS: dict[ModelName, str] = {
    "popularity": "popularity",
    "own_history": "own-history frequency",
    "item_knn": "item-kNN",
    "prior": "the untrained text prior",
    "content": "the released encoder alone",
    "local": "the locally trained model",
    "federated": "the release as it is",
    "personalised": "the personalised federated model",
    "pooled": "the pooled model",
}


@dataclass(frozen=True)
class Verdict:
    """One platform's sentence in parts, so that each medium can set them in its own way.

    Attributes:
        kind: whether the interval of the lift lies above 0, below it, or on both sides.
        lift: of the candidate over the best local baseline, with interval; "" where unknown.
        said: between the platform's name and the gate's part.
        gate: what the gate did; "" where there was none.
        federated: whether the platform serves a federated model.
    """

    platform: str
    kind: Kind
    before: str
    lift: str
    after: str
    gate: str
    federated: bool

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{self.platform} {self.before}{self.lift}{self.after}{self.gate}."


def verdict(name: str, platform: PlatformResults) -> Verdict:
    """The sentence on one platform, from its main difference and its gate."""
    difference = platform.differences.get(MAIN_DIFFERENCE)
    found = kind(difference)
    before, after = _lift_words(found, platform.best_baseline)
    return Verdict(
        platform=name,
        kind=found,
        before=before,
        lift=formats.lift(difference) if difference else "",
        after=after,
        gate=_gate_words(found, platform),
        federated=bool(platform.gate and platform.gate.decision == "federated"),
    )


def kind(difference: PairedDifference | None) -> Kind:
    """Which side of 0 the interval lies on."""
    if difference is None:
        return "unknown"
    if difference.low > 0:
        return "gain"
    return "loss" if difference.high < 0 else "unclear"


def in_words(model: ModelName) -> str:
    """A model inside a sentence."""
    return _IN_WORDS[model]


def _lift_words(found: Kind, baseline: ModelName | None) -> tuple[str, str]:
    """What stands before and after the lift."""
    best = "its best local baseline" + (f", {_IN_WORDS[baseline]}" if baseline else "")
    words: dict[Kind, tuple[str, str]] = {
        "gain": ("gains ", f" over {best}"),
        "loss": ("falls behind: ", f" against {best}"),
        "unclear": ("shows no clear difference: ", f" against {best}"),
        "unknown": ("has no comparison with a baseline", ""),
    }
    return words[found]


def _gate_words(found: Kind, platform: PlatformResults) -> str:
    """What the gate did, and how that sits with the test window."""
    gate = platform.gate
    if gate is None:
        return ""
    served = _IN_WORDS[gate.served]
    if gate.decision == "federated":
        if found == "loss":
            return f"; the gate, deciding on the validation window, serves {served} all the same"
        return f"; the gate serves {served}"
    if found == "gain":
        return f"; the gate, deciding on the validation window, nevertheless keeps {served}"
    return f"; the gate keeps {served}, so the federation costs it nothing"


@dataclass(frozen=True)
class Summary:
    """The federation in four counts.

    Attributes:
        gains: platforms whose candidate beats the best local baseline beyond the interval.
        served: platforms that serve a federated model.
        harmed: platforms that serve a federated model which tested worse, beyond the interval.
    """

    platforms: int
    gains: int
    served: int
    harmed: int


def summary(results: Results) -> Summary:
    """Count over all platforms."""
    verdicts = [verdict(name, platform) for name, platform in results.platforms.items()]
    return Summary(
        platforms=len(verdicts),
        gains=sum(v.kind == "gain" for v in verdicts),
        served=sum(v.federated for v in verdicts),
        harmed=sum(v.federated and v.kind == "loss" for v in verdicts),
    )
