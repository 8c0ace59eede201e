"""A platform's side of a round: validate what came, train from it on content alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from isthmus.border import merge, split
from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.errors import ScenarioError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus_client.computing import stopwatch
from isthmus_client.evaluate import Evaluator
from isthmus_client.trainer import LocalResult
from isthmus_client.training import Settings, batches, generator, optimiser_for, train_content
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class FederatedTrainer:
    """Trains the shared encoder on one platform; keeps nothing from round to round.

    Guarantees:
        The result is a function of the platform's data, the parameters and the plan: no private
        head, no optimiser state and no earlier round goes in.

    Attributes:
        device: where to train, as PyTorch names it; validation stays on the CPU.
    """

    workspace: Workspace
    config: EncoderConfig
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse an encoder that cannot read this platform.

        Raises:
            ScenarioError: names both widths or lengths.
        """
        width = int(self.workspace.platform.vectors.shape[1])
        if width != self.config.content:
            raise ScenarioError(
                f"platform {self.platform}: content vectors have {width} numbers, "
                f"the shared encoder reads {self.config.content}",
                hint="every platform of a federation uses the same text encoder",
            )
        if self.workspace.max_events > self.config.max_events:
            raise ScenarioError(
                f"platform {self.platform}: histories of {self.workspace.max_events} events, "
                f"the shared encoder reads {self.config.max_events}",
            )

    @property
    def platform(self) -> str:
        """The platform's name."""
        return self.workspace.platform.name

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.workspace, "validation", purpose="tuning")

    def train(self, parameters: Shared, plan: RoundPlan) -> LocalResult:
        """Validate the received parameters (if the plan says so), then train from them."""
        spent = stopwatch()
        shared = self.load(parameters)
        metrics = self._validate(shared) if plan.validate else {}
        shared.to(self.device)
        settings = settings_of(plan)
        random = generator(plan.seed, "round", self.platform, plan.round)
        users = self.workspace.sequences.training_users
        parts = batches(users, settings, plan.local_epochs, random)
        loss = train_content(
            shared,
            self.workspace.sequences,
            self._content,
            parts,
            settings=settings,
            random=random,
            optimiser=optimiser_for(shared, settings),
        )
        done = {"loss": loss, "steps": float(len(parts)), "seconds": spent()}
        update = split(shared.cpu())[0].minus(parameters)
        return LocalResult(update, int(users.size), {**metrics, **done})

    def evaluate(self, parameters: Shared, plan: RoundPlan) -> Mapping[str, float]:
        """Validation metrics of the parameters as received."""
        del plan  # the window is the platform's own
        return self._validate(self.load(parameters))

    @cached_property
    def _content(self) -> Tensor:
        """The catalogue's content where it is trained on; moved there once. (items, content)."""
        return self.workspace.content.to(self.device)

    def _validate(self, shared: SharedEncoder) -> dict[str, float]:
        """Empty on a platform without validation users: it has nothing to say."""
        ranking = self._evaluator.content(shared)
        if not ranking.users.size:
            return {}
        names = ("ndcg@10", "hr@10", "mrr", "users")
        return {f"validation/{name}": ranking.summary()[name] for name in names}

    def load(self, parameters: Shared) -> SharedEncoder:
        """The encoder with these parameters.

        Raises:
            MessageRefusedError: names or shapes are not the encoder's.
        """
        shared = initial_encoder(self.config, seed=0)
        merge(shared, parameters)
        return shared


def settings_of(plan: RoundPlan) -> Settings:
    """The training settings that a round's plan asks for."""
    return Settings(
        batch_size=plan.batch_size,
        negatives=plan.negatives,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        proximal=plan.proximal,
        max_steps=plan.max_steps,
    )


def initial_parameters(config: EncoderConfig, seed: int) -> Shared:
    """The shared parameters of round 0."""
    with torch.no_grad():
        return split(initial_encoder(config, seed))[0]
