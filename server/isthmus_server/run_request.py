"""What an operator asks for when a run is started: options, or a `run.toml` with the same names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.encoder_config import EncoderConfig
from isthmus.errors import DataMissingError, ScenarioError
from isthmus.messages import Trust

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
RunName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,63})?$")]


class RunRequest(BaseModel):
    """One run, before it is known who takes part and what its privacy costs.

    Attributes:
        run: the id; "" = the next free `run-N`.
        name: what people call it; "" = the id.
        members: platforms; none named = all that are approved.
        users: published numbers of training users by platform; the others' are as they told.
        encoder: shapes; what is not named has the default. None = those of `release`, else the
            defaults, which in a private run have narrow adapters.
        text_encoder: fingerprint of the frozen text encoder that all must use; "" = not checked.
        release: id of a release to go on from; "" = a new encoder, from the seed.
        rounds: None = 12, or 100 in a private run.
        learning_rate: of the platforms' AdamW; in a private run of the server's Adam. None = the
            default of either.
        server_learning_rate: of FedAvg and its kin; None = the optimiser's own.
        weights: how much an update counts; None = the rule's own.
        patience: None = 4, or none in a private run.
        minimum: platforms in a round; None = all where noise is pooled, 3 or the threshold where
            sums are secure, else 2.
        accept_noise: propose a private run although its noise drowns what could be learned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunName = ""
    name: str = Field(default="", max_length=200)
    members: tuple[str, ...] = ()
    users: Mapping[str, Annotated[int, Field(ge=0)]] = {}
    encoder: EncoderConfig | None = None
    text_encoder: str = ""
    release: str = ""
    seed: int = Field(default=7, ge=0, lt=2**31)
    rounds: int | None = Field(default=None, ge=1)
    local_epochs: Rate = 1.0
    max_steps: int = Field(default=0, ge=0)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: Rate | None = None
    weight_decay: float = Field(default=0.01, ge=0)
    negatives: int = Field(default=256, ge=1)
    proximal: float = Field(default=0.0, ge=0)
    validate_rounds: bool = True
    server_optimiser: Literal["fedavg", "fedavgm", "fedadam"] = "fedavg"
    server_learning_rate: Rate | None = None
    aggregation: Literal["mean", "norm_bounded", "trimmed_mean", "median", "cosine"] = "mean"
    weights: Literal["users", "equal", "sqrt_users"] | None = None
    privacy: Trust = "local"
    epsilon: float = Field(default=8.0, gt=0, le=200)
    colluders: int = Field(default=0, ge=0)
    clipping_norm: Rate = 1.0
    clipping_quantile: float = Field(default=0.0, ge=0, lt=1)
    private_batch: int = Field(default=4096, ge=1)
    accept_noise: bool = False
    secure_aggregation: bool = True
    threshold: int = Field(default=0, ge=0)
    minimum: int | None = Field(default=None, ge=1)
    deadline: Rate = 600.0  # seconds for one round
    patience: int | None = Field(default=None, ge=0)


def request_from(given: Mapping[str, Any], where: str = "the command line") -> RunRequest:
    """A request from its fields.

    Raises:
        ScenarioError: names each wrong or unknown field.
    """
    try:
        return RunRequest.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(_told(each) for each in error.errors(include_url=False))
        raise ScenarioError(f"{where}: {wrong}", hint="isthmus server run start --help") from None


def read_request(path: Path) -> dict[str, Any]:
    """The fields in a `run.toml`, still unchecked.

    Raises:
        DataMissingError: there is no such file.
        ScenarioError: it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise DataMissingError(f"there is no {path}", hint="see --config") from None
    except (OSError, ValueError) as error:  # tomllib's and UTF-8's errors are ValueErrors
        raise ScenarioError(f"{path} cannot be read: {error}") from error


def _told(detail: Any) -> str:
    key = ".".join(map(str, detail["loc"]))
    if detail["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"{key} is no setting of a run"
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{key}: {message} (given: {detail['input']!r})"
