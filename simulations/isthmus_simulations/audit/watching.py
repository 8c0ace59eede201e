"""Watching a private run from outside, canary by canary, while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.messages import RoundPlan
from isthmus.privacy.grid import STEPS, summed
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp.canaries import Canaries, Watch
from isthmus_simulations.audit.records import read_watch, watch_path, write_watch

Steps = Mapping[str, npt.NDArray[np.int64]]


class Auditor:
    """Knows each platform's canaries, and adds up what an attacker sees of them.

    With local noise the attacker sees each platform's sum, with pooled noise the cohort's alone. No
    two platforms' canaries share a coordinate: in a cohort's sum they would hide each other.

    Args:
        run: the run's folder; canaries that stand there already are taken up again.
        platforms: that have canaries.
        count: of canaries on each platform.
        names: of the encoder's parameters, in the order of `named_parameters()`.
        parameters: numbers in them.

    Raises:
        PrivacyError: the encoder has too few parameters for so many canaries.
    """

    def __init__(
        self, run: Path, platforms: Sequence[str], count: int, names: Sequence[str], parameters: int
    ) -> None:
        self._run, self._names = run, names
        self._lock = threading.Lock()
        self._gathered_round = -1
        self._pending: dict[str, Steps] = {}
        drawn = Canaries.drawn(count * len(platforms), parameters, SecureSource())
        parts = drawn.divided(len(platforms))
        self._watches = {n: self._begun(n, part) for n, part in zip(platforms, parts, strict=True)}

    def canaries(self, platform: str) -> Canaries:
        """A platform's canaries."""
        return self._watches[platform].canaries

    def eye(self, platform: str) -> Callable[[RoundPlan, Steps], None]:
        """What is told each time that the platform's noised sum leaves."""

        def see(plan: RoundPlan, steps: Steps) -> None:
            with self._lock:
                if plan.privacy == "local":
                    self._note(platform, steps)
                else:
                    self._gather(platform, plan.round, steps)

        return see

    def _gather(self, platform: str, number: int, steps: Steps) -> None:
        """Pooled: nothing is seen before every platform's share of one round is in.

        A platform that sends stored bytes once more makes no new share: that round is missed.
        """
        if number != self._gathered_round:
            self._gathered_round, self._pending = number, {}
        self._pending[platform] = steps
        if len(self._pending) == len(self._watches):
            total = summed(list(self._pending.values()))
            self._pending = {}
            for name in self._watches:
                self._note(name, total)

    def _note(self, platform: str, seen: Steps) -> None:
        # What leaves is a step downhill, in grid steps: its negative is the sum of gradients.
        watch = self._watches[platform].observed(seen, self._names, scale=-1.0 / STEPS)
        self._watches[platform] = watch
        write_watch(self._run, platform, watch)

    def _begun(self, platform: str, fresh: Canaries) -> Watch:
        """What stands in the folder, or else a start with fresh canaries."""
        if watch_path(self._run, platform).exists():
            return read_watch(self._run, platform)
        watch = Watch.over(fresh)
        write_watch(self._run, platform, watch)
        return watch
