"""The worker's composition root: keys, data and sides of one platform."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import torch

from isthmus.encoder_config import EncoderConfig
from isthmus.errors import IsthmusError
from isthmus_client.approvals_files import own_name
from isthmus_client.approvals_offers import ENDED, standings
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.home import Home
from isthmus_client.link.enrolled import load_keys as load_identity
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.worker.own_data import OwnData
from isthmus_client.worker.published import published_users
from isthmus_client.worker.serving import Serving
from isthmus_client.worker.sides import Owner, Sides, build_app
from isthmus_client.worker.status import StatusFile

_THREADS: Final = (
    1  # of PyTorch: sums keep their order, so that a round comes out the same anywhere
)
_SMALL: Final = EncoderConfig(content=4, dim=4, layers=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """What the worker's process holds."""

    home: Home
    serving: Serving
    sides: Sides
    data: OwnData

    def warm_up(self) -> None:
        """Make the sides of approved runs that are not over, so that their first round is quick.

        Where no number of users is published yet, the store is read for it, whatever runs there
        are: a private run cannot be proposed without. What fails here fails again, with its reason,
        when a message comes.
        """
        initial_parameters(_SMALL, 0)  # PyTorch imports a part of itself at the first drawing
        for each in standings(self.home):
            if each.status in ENDED or each.decided is None or each.decided.answer != "approved":
                continue
            try:
                self.sides.of(self.sides.agreed(each.contract.run))
            except IsthmusError as error:
                _log.warning("run %s is not ready: %s", each.contract.run, error)
        try:
            if published_users(self.home) is None:
                self.data.workspace(EncoderConfig())
        except (IsthmusError, OSError) as error:
            _log.warning("no number of users is published: %s", error)

    def close(self) -> None:
        """Let go of ledgers."""
        self.sides.close()


def compose(home: Home, status: StatusFile) -> Worker:
    """Everything that answers messages, with the keys loaded and the data not read yet.

    Raises:
        KeysError: the platform's keys are missing, or their passphrase is.
        IdentityError: the platform has joined no federation.
    """
    torch.set_num_threads(_THREADS)
    keyring = load_keys(home.keys)
    identity = load_identity(home, keyring)
    owner = Owner(home, own_name(home), identity.signing)
    data = OwnData(home, owner.name, keyring, HuggingFaceEncoder())
    sides = Sides(owner, data, build_app)
    return Worker(home, Serving(owner, sides, status), sides, data)
