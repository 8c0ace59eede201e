"""`isthmus client privacy`: plan a private run before anything is spent, and read the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, switch, text
from isthmus.console import progress_for
from isthmus.errors import BudgetError

if TYPE_CHECKING:
    from isthmus.privacy.planner import Plan, Row
    from isthmus.privacy.remedies import Remedies

ASKED, POOL = "What is to be trained", "Pooled noise"
_PERSONS: Final = (1, 2, 3, 5)  # platforms that a person may be on

UsersOption = Annotated[
    int, count("Users of this platform, as published; never the live count.", least=2, panel=ASKED)
]
RoundsOption = Annotated[int, count("Noised releases, fixed in advance.", panel=ASKED)]
EpsilonOption = Annotated[float, text("Epsilon of all rounds together.", panel=ASKED)]
ParametersOption = Annotated[int, count("Parameters that are shared and trained.", panel=ASKED)]
BatchOption = Annotated[
    int | None, count("Expected users in a round.", panel=ASKED, default="several")
]
DeltaOption = Annotated[
    float | None, text("Delta.", panel=ASKED, default="users^-1.1, at most 1e-5")
]
PlatformsOption = Annotated[
    int, count("Platforms that pool their noise; 1 adds its own.", panel=POOL)
]
ColludersOption = Annotated[
    int | None,
    count("Platforms whose collusion the noise withstands.", least=0, panel=POOL, default="1"),
]
CohortOption = Annotated[
    int | None,
    count("Published users of all platforms together.", panel=POOL, default="platforms * users"),
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of tables.")]

privacy = typer.Typer(
    help="Plan what privacy costs before it is spent, and read what was spent.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@privacy.callback()
def _root() -> None:
    """Plan what privacy costs before it is spent, and read what was spent."""


@privacy.command()
def plan(
    *,
    users: UsersOption,
    rounds: RoundsOption,
    epsilon: EpsilonOption,
    parameters: ParametersOption,
    batch: BatchOption = None,
    delta: DeltaOption = None,
    platforms: PlatformsOption = 1,
    colluders: ColludersOption = None,
    cohort_users: CohortOption = None,
    as_json: JsonOption = False,
) -> None:
    """Work out a private run's noise and whether it can learn anything. Nothing is spent.

    A noise norm (noise multiplier * root of the parameters / batch) up to about 2 is useful. Above
    it the command says what would be: fewer parameters, fewer rounds, or noise pooled with other
    platforms. It returns 0 where the plan is useful as asked and 32 where it is not.

    Example: isthmus client privacy plan --users 10000 --rounds 300 --epsilon 8 --parameters 50000
    """
    from isthmus.privacy import planner, remedies  # noqa: PLC0415 - keeps `--help` fast

    withstood = min(1, platforms - 1) if colluders is None else colluders
    wish = planner.Wish(
        users, rounds, epsilon, parameters, batch, delta, platforms, withstood, cohort_users
    )
    found = planner.plan(wish, progress_for(as_json=as_json))
    persons, colluding = _persons(found), _colluding(found)
    cures = None if found.best.useful else remedies.remedies(found)
    if as_json:
        print(json.dumps(_value(found, persons, colluding, cures), indent=2))
    else:
        _show(found, persons, colluding)
    if cures is not None:
        raise BudgetError(_drowned(found), hint=_hint(cures, wish.users))


def _persons(found: Plan) -> dict[int, float]:
    """Epsilon by how many platforms a person is on, all with this plan."""
    from isthmus.privacy.overlap import local_epsilon, pooled_epsilon  # noqa: PLC0415

    if found.wish.platforms == 1:
        return {n: local_epsilon([found.event], found.delta, n) for n in _PERSONS}
    within = [n for n in _PERSONS if n <= found.wish.platforms]
    return {n: pooled_epsilon(found.event, found.delta, n) for n in within}


def _colluding(found: Plan) -> dict[int, float]:
    """Epsilon by how many platforms of a pool collude; none where nothing is pooled."""
    from dataclasses import replace  # noqa: PLC0415

    from isthmus.privacy.accounting import epsilon  # noqa: PLC0415
    from isthmus.privacy.overlap import left_noise  # noqa: PLC0415

    pool, planned = found.wish.platforms, found.wish.colluding
    if pool == 1:
        return {}
    noise = {
        c: left_noise(found.event.noise_multiplier, pool, planned, c)
        for c in range(min(pool, planned + 3))
    }
    return {
        c: epsilon([replace(found.event, noise_multiplier=each)], found.delta)
        for c, each in noise.items()
    }


def _show(found: Plan, persons: dict[int, float], colluding: dict[int, float]) -> None:
    wish, console = found.wish, Console(highlight=False)
    mode = "local" if wish.platforms == 1 else f"pooled over {wish.platforms} platforms"
    console.print(
        f"{wish.rounds:,} rounds of {wish.parameters:,} parameters, {wish.users:,} users, "
        f"delta {found.delta:.3g}, trust mode {mode}\n"
    )
    rows = [*found.rows, *found.others]
    table = _table("epsilon", "batch", "rate", "noise multiplier", "noise norm", "verdict")
    for number, row in enumerate(rows, start=1):
        table.add_row(*_cells(row, best=row is found.best))
        if number == len(found.rows):
            table.add_section()
    console.print(table)
    console.print(_by_number("A person on platforms", persons))
    if colluding:
        console.print(_by_number("Colluding platforms", colluding))


def _cells(row: Row, *, best: bool) -> tuple[str, ...]:
    verdict = "useful" if row.useful else "too noisy"
    return (
        f"{row.epsilon:g}",
        f"{row.batch:,}",
        f"{row.sampling_rate:.3g}",
        f"{row.noise_multiplier:.3g}",
        f"{row.noise_norm:.2f}",
        f"{verdict}, {'best' if row.useful else 'least'}" if best else verdict,
    )


def _by_number(title: str, values: dict[int, float]) -> Table:
    table = _table(title, *(str(number) for number in values))
    table.add_row("epsilon", *(f"{value:.3g}" for value in values.values()))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (first, *others):
        table.add_column(name, justify="left" if name == "verdict" else "right")
    return table


def _value(
    found: Plan, persons: dict[int, float], colluding: dict[int, float], cures: Remedies | None
) -> dict[str, Any]:
    return {
        "wish": asdict(found.wish),
        "mode": "local" if found.wish.platforms == 1 else "pooled",
        "delta": found.delta,
        "epsilon": found.spent,
        "useful": found.best.useful,
        "best": asdict(found.best),
        "rows": [asdict(row) for row in found.rows],
        "other_epsilons": [asdict(row) for row in found.others],
        "epsilon_of_a_person_on_platforms": persons,
        "epsilon_by_colluding_platforms": colluding,
        "remedies": None if cures is None else asdict(cures),
    }


def _drowned(found: Plan) -> str:
    best = found.best
    return (
        f"epsilon {best.epsilon:g} leaves nothing to learn from: the noise is "
        f"{best.noise_norm:.1f} times as long as the longest gradient, useful is at most 2; "
        "nothing was spent"
    )


def _hint(cures: Remedies, users: int) -> str:
    ways = []
    if cures.parameters is not None:
        ways.append(f"train at most {cures.parameters:,} parameters (an adapter, a lower rank)")
    if cures.rounds is not None:
        ways.append(f"run {cures.rounds:,} rounds")
    if cures.platforms is not None:
        ways.append(
            f"pool the noise of {cures.platforms:,} platforms of {users:,} users "
            f"(--platforms {cures.platforms})"
        )
    if not ways:
        return (
            "neither fewer parameters, nor fewer rounds, nor pooling would do: "
            "it takes more users or a larger epsilon"
        )
    return "; or ".join(ways)
