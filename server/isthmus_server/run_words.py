"""What `isthmus server run` shows to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_words import asked, member_fingerprint
from isthmus_server.run_proposal import Proposal
from isthmus_server.run_status import ENDED

LATE_S = 30.0  # without a heartbeat after which a platform is shown as silent


def proposal_words(found: Proposal, *, proposed: bool) -> RenderableType:
    """What a run asks of its platforms.

    Args:
        found: the contract and its privacy.
        proposed: whether it was, or only would be.
    """
    contract = found.contract
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for subject, words in asked(contract):
        table.add_row(subject, Text(words))
    if found.privacy is not None:
        norm = found.privacy.noise_norm
        verdict = "useful" if norm <= 2 else "TOO NOISY"  # noqa: PLR2004 - the planner's bound
        words = f"{norm:.2f} times the longest gradient, {verdict} (up to 2 is useful)"
        table.add_row("noise", Text(words))
    done = "Proposed" if proposed else "Nothing was proposed; if it were"
    closing = Text(
        f"{done}: it starts when {contract.minimum} of {len(contract.members)} platforms have "
        f"approved it: isthmus client approve-run {contract.run}"
    )
    return Group(table, "", members_table(contract), closing)


def members_table(contract: FederationContract) -> Table:
    """Members with their published users and fingerprints."""
    table = _table("member", "users", "fingerprint")
    for name, member in sorted(contract.members.items()):
        users = f"{member.users:,}" if member.users else "not told"
        table.add_row(name, users, member_fingerprint(member))
    return table


def status_words(view: Mapping[str, Any]) -> RenderableType:
    """A run's state on one screen."""
    parts: list[RenderableType] = [_headline(view), Text(f"why: {view['reason']}", overflow="fold")]
    if not view["server_up"] and view["status"] not in ENDED:
        parts.append(Text("the server is not up, so nothing happens: isthmus server up"))
    if view["rollback_to"] is not None:
        parts.append(Text(f"goes back to round {view['rollback_to']} before the next one"))
    if view["privacy"] is not None:
        parts.append(Text(_privacy(view["privacy"])))
    if view["seconds"]["last_round"] is not None:
        last, mean = view["seconds"]["last_round"], view["seconds"]["mean_round"]
        parts.append(Text(f"seconds a round: {last:.2f} the last one, {mean:.2f} on average"))
    parts.append(_members(view["platforms"]))
    if view["refusals"]:
        parts.append(_refusals(view["refusals"]))
    if view["alarms"]:
        parts.append(_alarms(view["alarms"]))
    return Group(*parts)


def list_words(views: Sequence[Mapping[str, Any]]) -> RenderableType:
    """All runs, a line each."""
    if not views:
        return Text("There is no run yet: isthmus server run start")
    table = _table("run", "status", "round", "privacy", "why")
    for view in views:
        table.add_row(
            view["run"],
            _state(view),
            f"{view['round']} of {view['rounds']}",
            view["trust"],
            Text(view["reason"]),
        )
    return table


def _headline(view: Mapping[str, Any]) -> Text:
    again = f", attempt {view['attempt']}" if view["attempt"] else ""
    words = f": {_state(view)}, round {view['round']} of {view['rounds']}{again}"
    return Text.assemble((view["run"], "bold"), words)


def _state(view: Mapping[str, Any]) -> str:
    wanted = {
        "run": ("proposed", "running", "finished"),
        "pause": ("paused",),
        "stop": ("stopped",),
    }
    if view["status"] in (*wanted[view["wanted"]], "finished"):
        return str(view["status"])
    return f"{view['status']}, wanted: {view['wanted']}"


def _privacy(view: Mapping[str, Any]) -> str:
    return (
        f"privacy: epsilon {view['spent_by_committed_rounds']:.3g} of {view['epsilon']:g} spent by "
        f"the committed rounds, delta {view['delta']:.3g}, {view['trust']}"
    )


def _members(platforms: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("platform", "contract", "last seen", "identity", "note")
    for each in platforms:
        table.add_row(each["name"], each["answer"], _seen(each), each["status"], Text(_note(each)))
    return table


def _seen(platform: Mapping[str, Any]) -> str:
    seconds = platform["last_seen_s"]
    if seconds is None:
        return "never"
    words = f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"  # noqa: PLR2004
    return f"{words}, silent" if seconds > LATE_S else words


def _note(platform: Mapping[str, Any]) -> str:
    """What an operator has to know of a platform, the worst first."""
    parts = []
    if platform["status"] != "approved":
        parts.append(platform["status_note"])
    if platform["answer"] != "approved":
        parts.append(platform["answer_reason"])
    skew = platform.get("skew_s")
    if skew is not None and abs(skew) > 5:  # noqa: PLR2004 - seconds; as heartbeats warn
        parts.append(f"its clock is {skew:+.0f} s off")
    return "; ".join(part for part in parts if part)


def _refusals(found: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("round", "not used of", "because")
    for each in found:
        table.add_row(str(each["round"]), each["platform"], Text(str(each["reason"])))
    return table


def _alarms(found: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("when", "level", "what")
    for each in found:
        times = f" ({each['times']} times)" if each["times"] > 1 else ""
        table.add_row(each["at"], each["level"], Text(f"{each['text']}{times}"))
    return table


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
