"""The federation contract: all that a run is, agreed on before its first round.

The server signs it, a platform approves it, and whatever a round asks for beyond it is refused. It
has one encoding, so that its hash names the run: secure aggregation, receipts and releases are
bound to that hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from isthmus.encoder_config import EncoderConfig, Shape, encoder_sha256, tensor_shapes
from isthmus.errors import MessageRefusedError, NotApprovedError
from isthmus.federation_contract_rules import problems
from isthmus.messages import RoundPlan, Trust

VERSION: Final = 1
MAX_CONTRACT_BYTES: Final = 512 * 1024  # of the encoding; hundreds of members fit
MAX_PLATFORMS: Final = 256  # of a cohort, as secure aggregation has it
MAX_ROUNDS: Final = 10_000_000
PLATFORM: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
HEX256: Final = r"^[0-9a-f]{64}$"
_BYTES: Final = {"none": 4, "local": 4, "pooled": 8}  # of a number on the wire, in the clear
_MASKED: Final = 8  # bytes of a number in a masked vector

Plain = str | int | float
Name = Annotated[str, Field(pattern=f"^{PLATFORM}$")]
RunId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=HEX256)]


class Member(BaseModel):
    """One platform of the federation.

    Attributes:
        signing: its Ed25519 identity, 32 raw bytes as 64 hexadecimal digits.
        users: its published number of training users: a constant, never the live count.
        node: its other public key, PEM, for the fingerprint that people compare; "" = not told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    signing: Sha256
    users: int = Field(ge=0, le=10**12)
    node: str = Field(default="", max_length=1024)


def _plan(value: object) -> RoundPlan:
    """A plan as it is, or from its record."""
    if isinstance(value, RoundPlan):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be a table of settings")  # noqa: TRY004 - pydantic's own way
    try:
        return RoundPlan.from_record(value)
    except MessageRefusedError as error:
        raise ValueError(str(error)) from error


class FederationContract(BaseModel):
    """What a run asks of its platforms, and what it promises them.

    Attributes:
        run: the run's id.
        name: what people call it.
        encoder: shapes of the shared encoder.
        text_encoder: fingerprint of the frozen text encoder that all use; "" = not agreed on.
        seed: of the run; the initial encoder is a function of it and of the shapes.
        rounds: at most.
        plan: every round's; its round is 0, and a round fills in its own number and, where the
            clipping norm adapts, that norm.
        optimiser: the server optimiser's name and knobs.
        aggregation: the name and knobs of the rule that makes one update of many.
        members: platforms by name.
        secure: whether the server sees sums over platforms only.
        threshold: shares that reveal a secret of secure aggregation; 0 = two thirds, rounded up.
        minimum: platforms without whose updates a round is not finished.
        colluders: platforms that may work together with the server; pooled noise withstands them.
        trust: whom users must trust; `isthmus.messages.Trust`.
        epsilon: of the whole run for a user of one platform; 0 without privacy.
        delta: of that guarantee; 0 without privacy.
        metrics: names that a platform may report; none in a private run.
        deadline_s: seconds for one round; whoever is later is left out of it.
        patience: rounds without a better score before the run stops; 0 = off.
        score: the validation metric that it goes by; higher is better.
        tensors: shapes of all that is exchanged, by name.
        initial: "seed", or the SHA-256 of the release that the run starts from.
        release_of: run of that release; "" where the seed is the start.
        paid_rounds: that epsilon pays for: the rounds and some spare ones; 0 without privacy.

    Raises:
        pydantic.ValidationError: by field; `contract_from` and `from_bytes` say it in our words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: Literal[1] = VERSION
    run: RunId
    name: str = Field(min_length=1, max_length=200)
    encoder: EncoderConfig
    text_encoder: str = Field(default="", max_length=200)
    seed: int = Field(ge=0, lt=2**31)
    rounds: int = Field(ge=1, le=MAX_ROUNDS)
    plan: Annotated[RoundPlan, PlainValidator(_plan), PlainSerializer(RoundPlan.to_record)]
    optimiser: Mapping[str, Plain]
    aggregation: Mapping[str, Plain]
    members: Mapping[Name, Member] = Field(min_length=1, max_length=MAX_PLATFORMS)
    secure: bool
    threshold: int = Field(default=0, ge=0)
    minimum: int = Field(ge=1)
    colluders: int = Field(default=0, ge=0)
    trust: Trust = "none"
    epsilon: float = Field(default=0.0, ge=0)
    delta: float = Field(default=0.0, ge=0, lt=1)
    metrics: tuple[str, ...] = ()
    deadline_s: float = Field(gt=0, le=7 * 86_400)
    patience: int = Field(default=0, ge=0)
    score: str = Field(default="validation/ndcg@10", max_length=100)
    tensors: Mapping[str, Shape]
    initial: Annotated[str, Field(pattern=r"^(seed|[0-9a-f]{64})$")] = "seed"
    release_of: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,63})?$")
    paid_rounds: int = Field(default=0, ge=0, le=2 * MAX_ROUNDS)

    @model_validator(mode="after")
    def _consistent(self) -> FederationContract:
        if found := problems(self):
            raise ValueError("; ".join(f"{field} {problem}" for field, problem in found))
        return self

    @property
    def sha256(self) -> str:
        """Of the encoding: what `sha256sum` says of it, 64 hexadecimal digits."""
        return sha256(self.to_bytes()).hexdigest()

    @property
    def encoder_sha256(self) -> str:
        """Of the encoder's shapes, as an allow-list of a policy names them."""
        return encoder_sha256(self.encoder)

    @property
    def size(self) -> int:
        """Numbers that the platforms exchange."""
        return sum(math.prod(shape) for shape in self.tensors.values())

    @property
    def bytes_down(self) -> int:
        """Of the parameters that a round sends to a platform, without framing."""
        return 4 * self.size

    @property
    def bytes_up(self) -> int:
        """Of the update that a platform sends in a round, without framing."""
        return (_MASKED if self.secure else _BYTES[self.trust]) * self.size

    def to_bytes(self) -> bytes:
        """The one encoding: JSON with sorted keys and no spaces."""
        value = self.model_dump(mode="json")
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> FederationContract:
        """The contract again.

        Raises:
            MessageRefusedError: names each field that is missing, unknown or wrong; or the bytes
                are not the one encoding of what they say.
        """
        if len(data) > MAX_CONTRACT_BYTES:
            raise MessageRefusedError(
                f"federation contract has {len(data)} bytes, at most {MAX_CONTRACT_BYTES} pass"
            )
        try:
            found = cls.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise MessageRefusedError(f"federation contract: {_told(error)}") from None
        if found.to_bytes() != data:
            raise MessageRefusedError(
                "federation contract: the bytes are not in the one encoding: sorted keys, each "
                "once, no spaces"
            )
        return found

    def require_plan(self, plan: RoundPlan) -> None:
        """Refuse a round that asks for anything else than was approved.

        Guarantees:
            Of a plan that passes, only the round's number, within the run, and an adaptive
            clipping norm may differ from the contract's: what a round costs in privacy, and what
            it trains on, is what the platform agreed to.

        Raises:
            NotApprovedError: names the first setting that differs, and both values.
        """
        wanted = replace(self.plan, round=plan.round)
        if self.plan.adaptive:
            wanted = replace(wanted, clipping_norm=plan.clipping_norm)
        asked, agreed = plan.to_record(), wanted.to_record()
        for name in sorted(agreed):
            if asked[name] != agreed[name]:
                raise NotApprovedError(
                    f"run {self.run}, round {plan.round}: the server asks for {name} = "
                    f"{asked[name]!r}, approved is {agreed[name]!r}",
                    hint="the platform refuses it; the operator must propose a new contract",
                )
        if plan.round > self.rounds:
            raise NotApprovedError(
                f"run {self.run}: round {plan.round} is beyond the approved {self.rounds}",
                hint="the operator must propose a new contract",
            )


def require_plan(contract: FederationContract, plan: RoundPlan) -> None:
    """`FederationContract.require_plan`.

    Raises:
        NotApprovedError: as there.
    """
    contract.require_plan(plan)


def contract_from(values: Mapping[str, Any]) -> FederationContract:
    """A contract from its fields; `tensors` follow from the encoder where they are not given.

    Raises:
        MessageRefusedError: names each field that is missing, unknown or wrong.
    """
    given = dict(values)
    if "tensors" not in given and isinstance(encoder := given.get("encoder"), EncoderConfig):
        given["tensors"] = tensor_shapes(encoder)
    try:
        return FederationContract.model_validate(given)
    except ValidationError as error:
        raise MessageRefusedError(f"federation contract: {_told(error)}") from None


def _told(error: ValidationError) -> str:
    """Each mistake in a line's part: the field, and what is wrong with it."""
    parts = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(map(str, detail["loc"]))
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            message = "is unknown"
        parts.append(f"{where}: {message}" if where else message)
    return "; ".join(parts)
