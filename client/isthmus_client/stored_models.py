"""Models as a certificate needs them: written once, measured again without any training.

Each is one safetensors file whose metadata say its kind and settings. They hold private heads and
stay where the platform's data is; with the platform's key for heads the file is sealed, as on any
real platform. Reading one runs no code.

| kind | holds | measured by |
|---|---|---|
| `popularity` | nothing | counting the platform's training events again |
| `item_knn` | its number of neighbours | the same |
| `content` | a shared encoder | ranking with it |
| `full` | a shared encoder and a private head | ranking with both |
| `ranker` | a shared encoder, a ranker, perhaps trees | making the signals again and ranking |
| `ranks` | where every target was ranked | taking the figures from these ranks, no model |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from lightgbm.basic import LightGBMError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import digest, write_bytes
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.evaluate import Evaluator
from isthmus_client.model import PlatformModel, PrivateHead
from isthmus_client.ranker_model import RankerModel, rank_models
from isthmus_client.ranking import Ranking, user_metrics
from isthmus_client.trees import Trees
from isthmus_client.vault import read_sealed, write_sealed

Kind = Literal["popularity", "item_knn", "content", "full", "ranker", "ranks"]
Settings = Mapping[str, str | int | float]
Quality = npt.NDArray[np.float64]

SUFFIX: Final = ".safetensors"
SEALED: Final = ".sealed"
_TREES: Final = "trees"


@dataclass(frozen=True)
class StoredModel:
    """One model, ready to be written.

    Attributes:
        settings: plain values that the kind needs, or that a reader should know.
        tensors: by name; empty for models that are counted from the data.
    """

    kind: Kind
    settings: Settings
    tensors: Mapping[str, npt.NDArray[Any]]

    def fingerprint(self) -> str:
        """SHA-256 over kind, settings, names, shapes and bytes."""
        parts = [self.kind.encode(), json.dumps(dict(self.settings), sort_keys=True).encode()]
        for name, tensor in sorted(self.tensors.items()):
            parts += [name.encode(), repr((tensor.shape, tensor.dtype.str)).encode()]
            parts.append(np.ascontiguousarray(tensor).tobytes())
        return digest(*parts)


def popularity_model() -> StoredModel:
    """Items by their training users."""
    return StoredModel("popularity", {}, {})


def item_knn_model(neighbours: int) -> StoredModel:
    """Item-kNN with this many neighbours."""
    return StoredModel("item_knn", {"neighbours": neighbours}, {})


def content_model(encoder: SharedEncoder) -> StoredModel:
    """Prior and shared encoder without a head: a release, or the untrained prior."""
    return StoredModel("content", asdict(encoder.config), _arrays(encoder))


def full_model(model: PlatformModel) -> StoredModel:
    """A shared encoder with its private head."""
    return StoredModel("full", asdict(model.shared.config), _arrays(model))


def ranker_model(model: RankerModel) -> StoredModel:
    """A shared encoder with its ranker, and the platform's trees where it has any.

    The trees are LightGBM's own text, as bytes; how they are used stands in the settings.
    """
    tensors = {f"encoder.{name}": value for name, value in _arrays(model.encoder).items()}
    tensors |= {f"ranker.{name}": value for name, value in _arrays(model.ranker).items()}
    settings: dict[str, str | int | float] = {**asdict(model.encoder.config)}
    if model.trees is not None:
        use = asdict(model.trees)
        tensors[_TREES] = np.frombuffer(use.pop("text").encode(), dtype=np.uint8)
        settings |= {f"{_TREES}.{name}": value for name, value in use.items()}
    return StoredModel("ranker", settings, tensors)


def ranked_model(ranking: Ranking, settings: Settings) -> StoredModel:
    """Any other model: its ranks on the gate's users stand for it."""
    tensors = {"ranks": ranking.target_ranks, "rows": ranking.target_rows}
    return StoredModel("ranks", settings, tensors)


def measure(model: StoredModel, evaluator: Evaluator) -> Quality:
    """NDCG@10 of every user of the evaluator's task. (users,).

    Raises:
        DataInvalidError: the model does not fit this platform.
    """
    try:
        return _measured(model, evaluator)
    except (KeyError, TypeError, ValueError, RuntimeError, LightGBMError) as error:
        raise DataInvalidError(
            f"a stored {model.kind} model does not fit {evaluator.workspace.platform.name}: {error}"
        ) from error


def _measured(model: StoredModel, evaluator: Evaluator) -> Quality:
    if model.kind == "popularity":
        return evaluator.popularity().ndcg
    if model.kind == "item_knn":
        return evaluator.item_knn(int(model.settings["neighbours"])).ndcg
    if model.kind == "ranks":
        return _from_ranks(model, evaluator)
    shapes = {n: v for n, v in model.settings.items() if not n.startswith(_TREES)}
    shared = initial_encoder(EncoderConfig(**shapes), seed=0)  # type: ignore[arg-type]  # checked there
    if model.kind == "ranker":
        return _with_ranker(model, shared, evaluator)
    if model.kind == "content":
        shared.load_state_dict(_tensors(model))
        return evaluator.content(shared).ndcg
    full = PlatformModel(shared, PrivateHead(evaluator.workspace.items, shared.config.dim))
    full.load_state_dict(_tensors(model))
    return evaluator.model(full).ndcg


def _with_ranker(model: StoredModel, encoder: SharedEncoder, evaluator: Evaluator) -> Quality:
    ranker = initial_ranker(RankerConfig(), seed=0)
    values = _tensors(model)
    for module, prefix in ((encoder, "encoder."), (ranker, "ranker.")):
        own = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
        module.load_state_dict(own)
    models = {"": RankerModel(encoder, ranker, trees=_trees(model))}
    return rank_models(evaluator.workspace, evaluator.window, evaluator.task, models)[""].ndcg


def _trees(model: StoredModel) -> Trees | None:
    """The platform's trees; None where it has none."""
    if _TREES not in model.tensors:
        return None
    use = {n.removeprefix(f"{_TREES}."): v for n, v in model.settings.items() if _TREES in n}
    text = bytes(np.ascontiguousarray(model.tensors[_TREES])).decode()
    return Trees(text, **use)  # type: ignore[arg-type]  # a wrong one is caught where it is used


def _from_ranks(model: StoredModel, evaluator: Evaluator) -> Quality:
    """The figures of stored ranks, if they are of the evaluator's targets."""
    task = evaluator.task
    rows = task.targets.nonzero()[0]
    if not np.array_equal(model.tensors["rows"], rows):
        raise ValueError("its ranks are of other users or targets")
    return user_metrics(model.tensors["ranks"], rows, task.users.size)[:, 0]


def write_models(
    models: Mapping[str, StoredModel], folder: Path, *, key: bytes | None = None
) -> None:
    """Write every model as NAME.safetensors, or NAME.sealed, each wholly or not at all.

    Args:
        models: by name.
        folder: theirs.
        key: `Keyring.heads`, which seals them; None leaves them open: right for public data alone.

    Guarantees:
        With a key, the disk holds nothing of a head but its sealed bytes, mode 0600.

    Raises:
        StoreError: a sealed model cannot be written.
        OSError: the folder cannot be written or the disk is full.
    """
    for name, model in models.items():
        metadata = {"kind": model.kind, "settings": json.dumps(dict(model.settings))}
        # Unlike `ascontiguousarray`, `array` keeps a scalar's shape ().
        tensors = {part: np.array(tensor, order="C") for part, tensor in model.tensors.items()}
        data = save(tensors, metadata)
        if key is None:
            write_bytes(folder / f"{name}{SUFFIX}", data)
        else:
            write_sealed(folder / f"{name}{SEALED}", key, _role(name), data)


def read_models(
    names: tuple[str, ...], folder: Path, *, key: bytes | None = None
) -> dict[str, StoredModel]:
    """The models of these names; `key` as they were written.

    Raises:
        DataMissingError: one is not there.
        DataInvalidError: one is damaged.
        KeysError, StoreError: one was sealed with another key, or altered.
    """
    suffix = SUFFIX if key is None else SEALED
    return {name: _read(folder / f"{name}{suffix}", name, key) for name in names}


def _role(name: str) -> str:
    """What a sealed model is; one cannot be taken for another."""
    return f"head {name}"


def _read(path: Path, name: str, key: bytes | None) -> StoredModel:
    if not path.is_file():
        raise DataMissingError(
            f"the stored model {path} is not there",
            hint="a certificate is verified where the run's private/ folder is",
        )
    data = path.read_bytes() if key is None else read_sealed(path, key, _role(name))
    try:
        metadata, tensors = _header(data), load(data)
        kind = next(each for each in get_args(Kind) if each == metadata["kind"])
        return StoredModel(kind, json.loads(metadata["settings"]), tensors)
    except (SafetensorError, ValueError, KeyError, StopIteration) as error:
        raise DataInvalidError(f"the stored model {path} is damaged: {error}") from error


def _header(data: bytes) -> Mapping[str, str]:
    """The metadata of safetensors' bytes, which its library reads from files alone.

    The format begins with the length of its JSON header, 8 bytes, little-endian.
    """
    length = int.from_bytes(data[:8], "little")
    metadata: Mapping[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata


def _arrays(module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def _tensors(model: StoredModel) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(tensor.copy()) for name, tensor in model.tensors.items()}
