"""Kill processes of a federation at random points, and look at what an operator is told meanwhile.

Every random choice comes from one seed, so that a failure can be played again.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from deployment import Federation
from waiting import until

from isthmus_server.run_status import opened_state, run_view, server_is_up

CHILDREN: Final = {
    "superlink": "flower.superlink",
    "coordinator": "isthmus_server.coordinator",
    "control": "isthmus_server.control",
    "node": "isthmus_client.link.node",
    "worker": "isthmus_client.worker",
}
"""What is killed, by (part of) its module; `server` and `platform` are the supervisors."""

ON_SERVER: Final = frozenset({"server", "superlink", "coordinator", "control"})
WAITING: Final = frozenset({"proposed", "running", "paused", "failed", "stopped"})


@dataclass(frozen=True)
class Kill:
    """One `kill -9`.

    Attributes:
        what: a child, or `server` or `platform`: a supervisor, which the test starts again.
        where: `server`, or the platform's name.
        after_s: since the kill before it, or since the round that it is in began.
    """

    what: str
    where: str
    after_s: float


def drawn(
    seed: int, counts: Mapping[str, int], platforms: Sequence[str], longest_s: float
) -> tuple[Kill, ...]:
    """So many kills of each kind, in a random order at random moments."""
    source = random.Random(seed)  # noqa: S311 - moments, no secrets
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    source.shuffle(kinds)
    return tuple(
        Kill(
            kind,
            "server" if kind in ON_SERVER else source.choice(list(platforms)),
            source.uniform(0.0, longest_s),
        )
        for kind in kinds
    )


@dataclass
class Disturbance:
    """Kills during one run.

    Attributes:
        silent: looks at the run's status that gave no reason, of a run that is not finished.
        done: kills that hit a process, by kind.
    """

    federation: Federation
    run: str
    looks: int = 0
    silent: list[str] = field(default_factory=list)
    reasons: Counter = field(default_factory=Counter)
    done: Counter = field(default_factory=Counter)

    def carry_out(self, kills: Sequence[Kill], *, together: int, patience_s: float) -> None:
        """Do all kills while the run goes on.

        Args:
            kills: in this order.
            together: kills after which the run is left alone until it committed another round.
            patience_s: in which it has to.
        """
        for first in range(0, len(kills), together):
            reached = self.federation.committed(self.run)
            for kill in kills[first : first + together]:
                self._watch_for(kill.after_s)
                self._kill(kill)
            self._comes_on(reached, patience_s)

    def ends(self, seconds: float = 180) -> None:
        """Wait until the run is finished, and look at its status all the time."""

        def finished() -> bool:
            self.look()
            return self._told()["status"] == "finished"

        until(finished, seconds, f"the end of {self.run}: {self._told()}")

    def _kill(self, kill: Kill) -> None:
        up = self.federation.ups[kill.where]
        print(f"{datetime.now(UTC):%H:%M:%S.%f} {kill} round {self.look()}", flush=True)  # noqa: T201
        if kill.what in CHILDREN:
            # A child may be between two lives: then the next one is killed as it begins.
            until(lambda: up.kill(CHILDREN[kill.what]), 30, f"{kill} finds a process")
        else:
            up.kill()
            up.start()
        self.done[kill.what] += 1

    def _comes_on(self, reached: int, patience_s: float) -> None:
        def further() -> bool:
            self.look()
            over = self._told()["status"] == "finished"
            return over or self.federation.committed(self.run) > reached

        until(further, patience_s, f"a round after {reached} of {self.run}: {self._told()}")

    def _watch_for(self, seconds: float) -> None:
        """Look at the status again and again for a while."""
        ends = time.monotonic() + seconds
        until(lambda: self.look() < 0 or time.monotonic() >= ends, seconds + 60, "a while")

    def look(self) -> int:
        """What `isthmus server run status` tells now; the round."""
        told = self._told()
        self.looks += 1
        self.reasons[f"{told['status']}: {told['reason']}"] += 1
        if told["status"] in WAITING and not told["reason"].strip():
            self.silent.append(str(told))
        return int(told["round"])

    def _told(self) -> Mapping:
        home = self.federation.home
        with opened_state(home) as state:
            return run_view(state, self.run, datetime.now(UTC), up=server_is_up(home))
