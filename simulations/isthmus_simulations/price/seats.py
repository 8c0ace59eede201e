"""One platform with some of its users held out of every training, so that it can be attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus_client.platform import Platform
from isthmus_client.sequences import Ints, Sequences
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace

HELD_OUT: Final = 0.1  # of the users who could train


@dataclass(frozen=True)
class Seat:
    """A platform whose training users are known to be members.

    Attributes:
        workspace: trains on the members alone; everybody is in its test window.
        everyone: training windows of members and held-out users alike.
        members: rows of users who train. (members,)
        held_out: rows of users who do not. (held out,)
    """

    workspace: Workspace
    everyone: Sequences
    members: Ints
    held_out: Ints


def seat(platform: Platform, max_events: int, seed: int) -> Seat:
    """Hold out a random tenth; the same for every training under the seed.

    Args:
        max_events: of a history that the encoder reads.
        seed: of the cell.
    """
    everyone = Workspace(platform, max_events).sequences
    users = everyone.training_users
    order = generator(seed, "held out", platform.name).permutation(users)
    count = round(HELD_OUT * users.size)
    held_out, members = np.sort(order[:count]), np.sort(order[count:])
    workspace = Workspace(platform, max_events, training_users=members)
    return Seat(workspace, everyone, members, held_out)
