"""Rounds of secure aggregation in memory, with drop-outs and altered messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.errors import AggregationError
from isthmus.secagg import Conversation, Site, Terms, default_threshold, opened

MODEL = bytes(range(32))
CONTRACT = bytes(range(32, 64))
PHASES = ("advert", "shares", "vector", "agreement", "reveal")
Alter = Callable[[str, str, bytes], bytes]


@dataclass(frozen=True)
class Case:
    """Platforms p0, p1, ... and the terms of one round."""

    platforms: int = 4
    threshold: int = 0  # 0 = the default
    minimum: int = 2
    length: int = 7
    bits: int = 64
    round: int = 5
    attempt: int = 1
    run: str = "spring"

    @cached_property
    def names(self):
        return [f"p{i}" for i in range(self.platforms)]

    @cached_property
    def keys(self):
        return {
            name: Ed25519PrivateKey.from_private_bytes(bytes([i + 1] * 32))
            for i, name in enumerate(self.names)
        }

    @cached_property
    def identities(self):
        return {name: key.public_key().public_bytes_raw() for name, key in self.keys.items()}

    @cached_property
    def terms(self):
        threshold = self.threshold or default_threshold(self.platforms)
        return Terms(
            self.run,
            self.round,
            CONTRACT,
            tuple(sorted(self.identities.items())),
            threshold,
            self.length,
            self.bits,
            self.minimum,
            self.attempt,
        )

    def site(self, name, **changes):
        values = {"minimum": 2, "enrolled": self.identities, "contract": CONTRACT, **changes}
        return Site(name, self.keys[name], **values)

    def talks(self):
        return {name: Conversation(self.site(name), self.terms, MODEL) for name in self.names}

    def vectors(self, seed=3):
        random = np.random.default_rng(seed)
        word = np.uint64 if self.bits == 64 else np.uint32
        top = np.iinfo(word).max
        return {n: random.integers(0, top, self.length, word, endpoint=True) for n in self.names}


@dataclass
class Played:
    """What came of a round.

    Attributes:
        total: the sum, if the round ended well.
        counted: whose vectors are in it.
        alarms: of refused messages, by who sent or received them.
        aborted: the alarm with which the server gave the round up.
        sent: every message of platforms by phase and name.
    """

    total: np.ndarray | None = None
    counted: tuple[str, ...] = ()
    alarms: list[tuple[str, str]] = field(default_factory=list)
    aborted: str = ""
    sent: dict[tuple[str, str], bytes] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


def unaltered(_phase, _name, data):
    return data


def play(
    case: Case,
    vectors: Mapping[str, np.ndarray],
    drops: Mapping[str, str] | None = None,
    *,
    up: Alter = unaltered,
    down: Alter = unaltered,
    talks: Mapping[str, Conversation] | None = None,
) -> Played:
    """One round.

    Args:
        case: who and how.
        vectors: by name.
        drops: name of a platform -> the phase in which it does not send, nor later.
        up: alters what platforms send on its way: (phase, sender, bytes).
        down: alters what the server sends: (phase that it starts, receiver, bytes).
        talks: the platforms' sides; honest ones by default.
    """
    played, gone, talks = Played(), set(), talks or case.talks()
    phase, answers = opened(case.terms, MODEL), {n: t.opening for n, t in talks.items()}
    try:
        for index, step in enumerate(PHASES):
            gone |= {name for name, when in (drops or {}).items() if when == step}
            for name in [n for n in answers if n not in gone]:
                data = played.sent[step, name] = up(step, name, answers[name])
                phase = _tried(played, name, lambda p=phase, d=data: p.receive(d)) or phase
            if step == "vector":
                played.counted = tuple(sorted(phase.got))
            if step == "reveal":
                played.total = phase.close()
                break
            phase, notices = phase.close()
            answers = {}
            for name in [n for n in notices if n not in gone]:
                data = down(PHASES[index + 1], name, notices[name])
                answer = _tried(
                    played,
                    name,
                    lambda n=name, i=index, d=data: _answer(talks[n], i, d, vectors[n]),
                )
                if answer is not None:
                    answers[name] = answer
            played.texts += [repr(phase), *(repr(t._state) for t in talks.values())]
    except AggregationError as error:
        played.aborted = error.alarm
        played.texts.append(f"{error} {error.hint}")
    return played


def _answer(talk, index, data, vector):
    if index == 1:
        return talk.mask(data, vector)
    return (talk.share, None, talk.agree, talk.reveal)[index](data)


def _tried(played, name, act):
    try:
        return act()
    except AggregationError as error:
        played.alarms.append((name, error.alarm))
        played.texts.append(f"{error} {error.hint}")
        return None


def total_of(case, vectors, names):
    """The plain sum modulo 2^bits, in Python's whole numbers."""
    columns = zip(*(vectors[name].tolist() for name in names), strict=True)
    word = np.uint64 if case.bits == 64 else np.uint32
    return np.array([sum(column) % 2**case.bits for column in columns], word)
