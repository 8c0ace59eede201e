"""`isthmus client privacy show`, `history`, `export` and `budget`: the platform's own ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.text import Text

from isthmus.cli_options import count, file, switch, text
from isthmus.console import progress_for
from isthmus.errors import DataMissingError, LedgerError

if TYPE_CHECKING:
    from isthmus_client.ledger import Ledger

LedgerOption = Annotated[
    Path | None,
    text(
        "The ledger's file.",
        default="$ISTHMUS_LEDGER, else ~/.isthmus/ledger.sqlite",
        metavar="FILE",
    ),
]
ReceiptsOption = Annotated[
    Path | None,
    file("Receipts of what left: refuse a ledger that lacks a row which they name."),
]
PlatformsOption = Annotated[
    int, count("Compose for a person on one to so many platforms that spent as much each.")
]
LastOption = Annotated[int, count("The last so many rows; 0 is all.", least=0)]
OutOption = Annotated[Path, file("Where to write the rows, one JSON object a line.")]
EpsilonOption = Annotated[float, text("Largest epsilon of each data set, over all time.")]
DeltaOption = Annotated[float, text("Its delta.")]
ReasonOption = Annotated[str, text("Why; it is kept in the ledger.", metavar="WORDS")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]


def show(
    *,
    ledger: LedgerOption = None,
    receipts: ReceiptsOption = None,
    platforms: PlatformsOption = 3,
    as_json: JsonOption = False,
) -> None:
    """Show what each data set's privacy has cost, what is left of the budget, and in how many runs.

    Every row is checked first; a ledger that was altered or rolled back is refused.

    Example: isthmus client privacy show --receipts outbox/shop.jsonl
    """
    from isthmus.privacy.overlap import local_epsilon  # noqa: PLC0415 - imports NumPy
    from isthmus_client.ledger.words import shown, standing_value  # noqa: PLC0415

    with _opened(ledger, receipts) as found:
        keys, composed = found.keys(), []
        standings = [found.standing(key) for key in keys]
        budget, head, rows = found.budget, found.head(), found.verify()
        with progress_for(as_json=as_json).track("composing", len(keys)) as advance:
            for key in keys:
                events = found.events(key)
                numbers = range(1, platforms + 1)
                composed.append({n: local_epsilon(events, budget.delta, n) for n in numbers})
                advance(1)
    if as_json:
        value = {
            "ledger": str(found.path),
            "head": head,
            "rows": rows,
            "budget": {"epsilon": budget.epsilon, "delta": budget.delta},
            "data_sets": list(map(standing_value, standings, composed)),
        }
        print(json.dumps(value, indent=2))
        return
    console = Console(highlight=False)
    console.print(shown(standings, composed, budget))
    console.print(Text(f"{rows:,} rows in {found.path}, head {head}"), soft_wrap=True)


def history(
    *, ledger: LedgerOption = None, last: LastOption = 0, as_json: JsonOption = False
) -> None:
    """Show the ledger's rows, first to last, after checking all of them.

    Example: isthmus client privacy history --last 20
    """
    from isthmus_client.ledger.words import listed  # noqa: PLC0415

    with _opened(ledger) as found:
        rows = found.entries()[-last:]
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
    else:
        Console(highlight=False).print(listed(rows))


def export(*, out: OutOption, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Write all rows, one JSON object a line, for anybody to check without Isthmus.

    Each line names the hash of the one before it and its own; docs/privacy-ledger.md says how to
    check them. An altered ledger is refused and not written.

    Example: isthmus client privacy export --out ledger.jsonl
    """
    from isthmus_client.ledger.export import export_rows  # noqa: PLC0415

    with _opened(ledger) as found:
        head, rows = export_rows(found, out), found.verify()
    if as_json:
        print(json.dumps({"out": str(out), "rows": rows, "head": head}, indent=2))
    else:
        Console(highlight=False).print(Text(f"{rows:,} rows in {out}, head {head}"), soft_wrap=True)


def budget(
    *,
    epsilon: EpsilonOption,
    delta: DeltaOption,
    reason: ReasonOption,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set another budget, larger or smaller; the ledger keeps the old one and the reason.

    Example: isthmus client privacy budget --epsilon 8 --delta 1e-5 --reason "agreed on 3 May"
    """
    with _opened(ledger, read_only=False) as found:
        before = found.budget
        head = found.raise_budget(epsilon=epsilon, delta=delta, reason=reason)
    if as_json:
        value: dict[str, Any] = {"epsilon": epsilon, "delta": delta, "reason": reason}
        old = {"epsilon": before.epsilon, "delta": before.delta}
        print(json.dumps({**value, "before": old, "head": head}, indent=2))
    else:
        words = f"budget: epsilon {before.epsilon:g} at delta {before.delta:.3g} until now, "
        now = f"epsilon {epsilon:g} at delta {delta:.3g} from now on; head {head}"
        Console(highlight=False).print(Text(words + now), soft_wrap=True)


def _opened(path: Path | None, receipts: Path | None = None, *, read_only: bool = True) -> Ledger:
    """The ledger, checked, against receipts where there are some."""
    from isthmus_client.ledger import Ledger, default_path, recorded_heads  # noqa: PLC0415

    if receipts is not None and not receipts.is_file():
        raise DataMissingError(f"there are no receipts at {receipts}", hint="see --receipts")
    heads = () if receipts is None else recorded_heads(receipts)
    found = Ledger(default_path() if path is None else path, read_only=read_only)
    try:
        found.require_contains(*heads)
    except LedgerError:
        found.close()
        raise
    return found
