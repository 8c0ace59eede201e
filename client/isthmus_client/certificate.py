"""The no-harm certificate: what the gate compared, on whom, and why it decided so.

One JSON file for each platform and release, holding figures over users and digests, and no event,
no user and no parameter. Whoever holds the platform's data and the stored models can measure
everything in it again: see `certify_again`.
"""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import AwareDatetime, Field, JsonValue

from isthmus import __version__
from isthmus.files import digest
from isthmus.sources import source_digest
from isthmus.statistics import Equivalence
from isthmus_client.evaluate import Evaluator
from isthmus_client.figures import Count, Document, Figures, PairedDifference, Share
from isthmus_client.gate import Decision, Quality, decide
from isthmus_client.platform import Platform
from isthmus_client.ranking import window_bounds
from isthmus_client.stored_models import Kind, StoredModel, measure
from isthmus_client.track_record import Both, TrackRecord
from isthmus_client.workspace import Workspace

SCHEMA_VERSION: Literal[1] = 1
VERSIONED: Final = ("numpy", "scipy", "torch", "safetensors")
TOLERANCE: Final = 1e-6  # of a figure: another processor may add up in another order


class ModelRecord(Figures):
    """One model that the gate judged.

    Attributes:
        parameters: SHA-256 of the stored model.
        ndcg: mean NDCG@10 of the gate's users; None without users.
    """

    kind: Kind
    settings: dict[str, JsonValue]
    parameters: str
    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")


class EquivalenceRecord(Figures):
    """Schuirmann's two one-sided tests at the 5 % level, margin relative to the incumbent."""

    margin: Share
    p_no_loss: Share
    p_no_gain: Share
    no_harm_shown: bool
    equality_shown: bool

    @classmethod
    def of(cls, found: Equivalence) -> EquivalenceRecord:
        """From `isthmus.statistics.equivalence`."""
        return cls(
            margin=found.margin,
            p_no_loss=found.p_no_loss,
            p_no_gain=found.p_no_gain,
            no_harm_shown=found.no_harm(),
            equality_shown=found.equal(),
        )


class WindowRecord(Figures):
    """Whom and when was judged by: for the gate, its half of the validation users.

    Attributes:
        first: the window's first event on the platform; None where events have no times.
        last: its last one.
    """

    split: Literal["time", "leave-one-out"]
    first: AwareDatetime | None
    last: AwareDatetime | None
    users: Count


class DataRecord(Figures):
    """Which data, without the data: sizes, and SHA-256 of the columns."""

    users: Count
    items: Count
    events: Count
    histories_sha256: str
    catalogue_sha256: str


class Certificate(Document):
    """The content of `certificates/PLATFORM.json`.

    Attributes:
        both: what decided, where a track record took part; None where this window decided alone.
        past: the track record as it was given.

    Guarantees:
        Means over the gate's users, counts and digests only; no value of a single user.
    """

    WHAT: ClassVar[str] = "certificate"
    BROKEN: ClassVar[str] = "write it anew by running the simulation again"

    schema_version: Literal[1] = SCHEMA_VERSION
    created: AwareDatetime
    platform: str
    release: str
    decision: Literal["federated", "local"]
    served: str
    candidate: str
    incumbent: str
    reason: str
    own: tuple[str, ...]
    models: dict[str, ModelRecord]
    difference: PairedDifference | None
    standard_error: Annotated[float, Field(ge=0)] | None
    equivalence: EquivalenceRecord | None
    both: Both | None = None
    past: TrackRecord | None = None
    window: WindowRecord
    data: DataRecord
    max_events: Count
    seed: Count
    code_sha256: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Judged:
    """What a certificate is made of.

    Attributes:
        models: everything that the gate compares, by name.
        candidate: the federation's model that may be served.
        own: what the platform has without the federation; a tie goes to the earlier one.
        release: fingerprint of encoder and ranker together.
        past: what an earlier release turned out to be worth.
    """

    models: Mapping[str, StoredModel]
    candidate: str
    own: tuple[str, ...]
    release: str
    seed: int
    past: TrackRecord | None = None


def certify(
    workspace: Workspace, judged: Judged, qualities: Mapping[str, Quality] | None = None
) -> Certificate:
    """Let the gate decide and write down everything that the decision rests on.

    Args:
        qualities: NDCG@10 of every model on the gate's users, where they were measured already;
            None measures the stored models now. each (users,)

    Raises:
        DataInvalidError: a stored model does not fit the platform.
    """
    evaluator = Evaluator(workspace, "validation", "gate")
    if qualities is None:
        qualities = {name: measure(model, evaluator) for name, model in judged.models.items()}
    found = decide(
        judged.candidate,
        {name: qualities[name] for name in judged.models},
        judged.own,
        seed=judged.seed,
        past=judged.past.past if judged.past else None,
    )
    return Certificate(
        created=datetime.now(UTC).replace(microsecond=0),
        platform=workspace.platform.name,
        release=judged.release,
        **_outcome(found),
        own=judged.own,
        models=_models(judged.models, found),
        past=judged.past,
        window=window_record(evaluator),
        data=data_record(workspace.platform),
        max_events=workspace.max_events,
        seed=judged.seed,
        code_sha256=code_digest(),
        versions=_versions(),
    )


def _outcome(found: Decision) -> dict[str, Any]:
    """The gate's part, under the certificate's names."""
    tests = found.equivalence
    return {
        "decision": found.decision,
        "served": found.served,
        "candidate": found.candidate,
        "incumbent": found.incumbent,
        "reason": found.reason,
        "difference": PairedDifference.of(found.difference) if found.difference else None,
        "standard_error": found.standard_error,
        "equivalence": EquivalenceRecord.of(tests) if tests else None,
        "both": found.both,
    }


def _models(models: Mapping[str, StoredModel], found: Decision) -> dict[str, ModelRecord]:
    return {
        name: ModelRecord(
            kind=model.kind,
            settings=dict(model.settings),
            parameters=model.fingerprint(),
            ndcg=found.validation[name],
        )
        for name, model in models.items()
    }


def window_record(evaluator: Evaluator) -> WindowRecord:
    """The evaluator's window as the platform's events fill it."""
    platform = evaluator.workspace.platform
    histories = platform.histories
    start, stop = window_bounds(histories, platform.split, evaluator.window)
    owner = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    place = np.arange(histories.events)
    times = histories.times[(place >= start[owner]) & (place < stop[owner])]
    known = histories.timed and times.size > 0
    return WindowRecord(
        split=platform.split.kind,
        first=datetime.fromtimestamp(int(times.min()), UTC) if known else None,
        last=datetime.fromtimestamp(int(times.max()), UTC) if known else None,
        users=int(evaluator.task.users.size),
    )


def data_record(platform: Platform) -> DataRecord:
    """Sizes and digests of a platform's data.

    Guarantees:
        A digest tells whether two platforms' data are the same, and nothing else about them.
    """
    histories, split, catalogue = platform.histories, platform.split, platform.catalogue
    columns = (histories.offsets, histories.items, histories.behaviours, histories.times)
    cuts = (split.train_stop, split.validation_stop)
    texts = "\0".join((*catalogue.item_ids, *catalogue.texts)).encode()
    return DataRecord(
        users=histories.users,
        items=len(catalogue),
        events=histories.events,
        histories_sha256=digest(*(np.ascontiguousarray(a).tobytes() for a in (*columns, *cuts))),
        catalogue_sha256=digest(texts, np.ascontiguousarray(platform.vectors).tobytes()),
    )


def code_digest() -> str:
    """SHA-256 over the source files of what measures: the ground floor and the client."""
    return source_digest(("isthmus", "isthmus_client"))


def _versions() -> dict[str, str]:
    found = {"isthmus": __version__, "python": machine.python_version()}
    return found | {name: metadata.version(name) for name in VERSIONED}
