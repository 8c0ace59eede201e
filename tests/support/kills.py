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
DONE: Final = "all of its rounds are done"  # what a finished run tells, and no other
LOOK_S: Final = 0.15  # between two looks at a run's status, which take time themselves


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
        told: at the last look at the run's status.
        looked: when that was, by `time.monotonic`.
        silent: looks that gave no reason, of a run that is not finished.
        reasons: how often each was told.
        done: kills that hit a process, by kind.
    """

    federation: Federation
    run: str
    told: Mapping = field(default_factory=dict)
    looked: float = 0.0
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

        until(lambda: self.look() == "finished", seconds, f"the end of {self.run}: {self.told}")

    def _kill(self, kill: Kill) -> None:
        up = self.federation.ups[kill.where]
        if kill.what in CHILDREN:
            # A child may be between two lives: then the next one is killed as it begins.
            until(lambda: up.kill(CHILDREN[kill.what]), 30, f"{kill} finds a process")
        else:
            up.kill()
            up.start()
        self.done[kill.what] += 1
        when = f"{datetime.now(UTC):%H:%M:%S.%f} after round {self.federation.committed(self.run)}"
        print(f"kill -9 {kill.what} of {kill.where} at {when}", flush=True)  # noqa: T201

    def _comes_on(self, reached: int, patience_s: float) -> None:
        def further() -> bool:
            return self.look() == "finished" or self.federation.committed(self.run) > reached

        until(further, patience_s, f"a round after {reached} of {self.run}: {self.told}")

    def _watch_for(self, seconds: float) -> None:
        """Look at the status again and again for a while; not at all for no time."""
        if not seconds:
            return
        ends = time.monotonic() + seconds
        until(lambda: bool(self.look()) and time.monotonic() >= ends, seconds + 60, "a while")

    def look(self) -> str:
        """The run's status as `isthmus server run status` tells it, some times a second."""
        if time.monotonic() - self.looked < LOOK_S:
            return str(self.told.get("status", "?"))
        home = self.federation.home
        with opened_state(home) as state:
            told = run_view(state, self.run, datetime.now(UTC), up=server_is_up(home))
        self.told, self.looked = told, time.monotonic()
        self.reasons[f"{told['status']}: {told['reason']}"] += 1
        if told["status"] != "finished" and told["reason"].strip() in {"", DONE}:
            self.silent.append(str(told))
        return str(told["status"])
