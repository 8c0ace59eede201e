"""What `isthmus client approve-run`, `status` and `outbox` show to a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_words import asked, changes, member_fingerprint
from isthmus_client.approvals import Standing


def contract_words(
    found: Standing, before: FederationContract | None, known: Mapping[str, str]
) -> RenderableType:
    """A contract for the person who is to approve it.

    Args:
        found: the contract, and what keeps it from being approved.
        before: the contract that this platform approved last; None = there is none.
        known: identity keys that this platform has pinned, by name.
    """
    contract = found.contract
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    for subject, words in asked(contract):
        rows.add_row(subject, Text(words))
    parts: list[RenderableType] = [rows, _members(contract, known), _tensors(contract)]
    parts.append(Text(_compared(contract, before)))
    parts += [Text(f"PROBLEM: {each}", style="bold red") for each in found.problems]
    return Group(*parts)


def answers_words(runs: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The runs that were offered, and what was answered."""
    if not runs:
        return Text("The server has offered no run yet.")
    table = _table("run", "status", "rounds", "privacy", "answer", "why")
    for each in runs:
        if each["answer"] == "unreadable":
            table.add_row(each["run"], "", "", "", each["answer"], Text(each["reason"]))
            continue
        price = each["trust"] if each["trust"] == "none" else f"{each['trust']} {each['epsilon']:g}"
        answer = each["answer"] if each["by"] is None else f"{each['answer']} by {each['by']}"
        why = Text("; ".join([*each["problems"], each["reason"]]))
        table.add_row(each["run"], each["status"], str(each["rounds"]), price, answer, why)
    return table


def status_words(view: Mapping[str, Any]) -> RenderableType:
    """The platform's part in its federation on one screen."""
    certificate = view["certificate"]
    good = certificate["state"] == "good"
    left = f", {certificate['seconds_left'] / 3600:.1f} h left" if good else ""
    why = f": {certificate['reason']}" if certificate["reason"] else ""
    head = _line(
        f"{view['name']} in the federation {view['federation']}, server {view['server']}\n"
        f"fingerprint   {view['fingerprint']}\n"
        f"certificate   {certificate['state']}{left}{why}"
    )
    processes = [
        _line(f"{name:<13} {_process(told)}") for name, told in sorted(view["processes"].items())
    ]
    account = [_line(f"privacy       {_privacy(view['privacy'])}")]
    account.append(_line(f"outbox        {_outbox(view['outbox'])}"))
    return Group(head, *processes, *account, answers_words(view["runs"]))


def departures_words(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What left, a line for each departure."""
    if not found:
        return Text("Nothing has left this platform.")
    table = _table("line", "when (UTC)", "kind", "run", "round", "bytes", "epsilon", "sha256")
    for each in found:
        epsilon, size = each.get("epsilon"), each.get("bytes")
        table.add_row(
            str(each["line"]),
            _when(each.get("time")),
            str(each.get("kind", "")),
            str(each["run"]),
            str(each.get("round", "")),
            "" if size is None else f"{size:,}",
            "" if epsilon is None else f"{epsilon:.3g}",
            str(each["sha256"])[:12],
        )
    return table


def departure_words(receipt: Mapping[str, Any]) -> RenderableType:
    """One receipt, whole."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in receipt.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, Text(shown))
    return table


def _compared(contract: FederationContract, before: FederationContract | None) -> str:
    if before is None:
        return "This platform has approved no other run yet."
    found = changes(before, contract)
    if not found:
        return f"It asks for what the run {before.run} did, which was approved last."
    lines = "\n".join(f"  {each}" for each in found)
    return f"What is other than in the run {before.run}, which was approved last:\n{lines}"


def _members(contract: FederationContract, known: Mapping[str, str]) -> Table:
    table = _table("member", "users", "known", "fingerprint")
    for name, member in sorted(contract.members.items()):
        words = "new" if name not in known else "as before"
        if known.get(name, member.signing) != member.signing:
            words = "ANOTHER KEY"
        users = f"{member.users:,}" if member.users else "not told"
        table.add_row(name, users, words, member_fingerprint(member))
    return table


def _tensors(contract: FederationContract) -> Table:
    table = _table("tensor", "shape")
    for name, shape in contract.tensors.items():
        table.add_row(name, " x ".join(map(str, shape)) or "one number")
    return table


def _process(told: Mapping[str, Any]) -> str:
    reason = told.get("reason") or ""
    doing = f"run {told['run']}" if told.get("run") else ""
    at = f", round {told['round']}" if told.get("round") else ""
    return "; ".join(part for part in (str(told["state"]), f"{doing}{at}", str(reason)) if part)


def _privacy(view: Mapping[str, Any]) -> str:
    if view.get("budget") is None:
        return str(view["reason"])
    return (
        f"at most epsilon {view['spent_at_most']:.3g} of {view['budget']['epsilon']:g} spent; "
        f"exactly: isthmus client privacy show --ledger {view['ledger']}"
    )


def _outbox(view: Mapping[str, Any]) -> str:
    if view["departures"] is None:
        return str(view["reason"])
    if not view["departures"]:
        return "nothing has left"
    last = f"run {view['last_run']}, round {view['last_round']}"
    return f"{view['departures']:,} departures, {view['bytes']:,} bytes, the last for {last}"


def _when(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%m-%d %H:%M:%S")


def _line(words: str) -> Text:
    """Text that a terminal may break but we do not, so that it can be copied whole."""
    return Text(words, no_wrap=True, overflow="ignore")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
