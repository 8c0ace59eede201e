"""Keeps the README's file tree true: `python docs/tree.py` writes it, `--check` only compares.

A Python file's line is the first line of its docstring; other files have theirs in `WORDS`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- tree -->\n```text\n", "```\n<!-- /tree -->"
SILENT = ("__init__.py", "py.typed")  # their package's line speaks for them
WHOLE = (
    "docs/decisions",
    "docs/examples",
    "client/isthmus_client/templates",
    "simulations/isthmus_simulations/audit/templates",
    "simulations/isthmus_simulations/report/templates",
    "tests",
)
ORDER = (".", ".ci", "shared", "client", "server", "simulations", "docker", "docs", "tests")

WORDS = {
    ".": "",
    ".ci": "",
    ".ci/run": "What continuous integration runs: install, test, lint",
    ".gitignore": "What is never committed",
    "CHANGELOG.md": "What changed, release by release",
    "LICENSE": "Apache-2.0",
    "Makefile": "The verbs: install, simulate, test, lint, fix, bench, docs, clean",
    "README.md": "This page",
    "pyproject.toml": "Packaging, dependencies, the floors, every tool's settings",
    "docker": "Images of server and client; every step is a script that runs without Docker too",
    "docker/.gitignore": "Secrets of a federation in containers",
    "docker/Dockerfile": "Both images, non-root, pinned; CPU and CUDA",
    "docker/Dockerfile.dockerignore": "What an image does not need",
    "docker/compose.cuda.yaml": "The platforms on a GPU",
    "docker/compose.sh": "Brings the compose file's federation up, step by step",
    "docker/compose.yaml": "PostgreSQL, a server, three platforms",
    "docker/constraints.txt": "Exact versions of everything in the images",
    "docker/install.sh": "Installs Isthmus into an image",
    "docker/platform-ready.sh": "Whether a platform's container does its work",
    "docker/platform.sh": "A platform's container: keys, data, joining, processes",
    "docker/policy.toml": "What the example's platforms approve unattended",
    "docker/server-ready.sh": "Whether a server's container does its work",
    "docker/server.sh": "A server's container: made at the first start, then run",
    "docs/deploying.md": "Processes, ports, files; containers; day by day",
    "docs/federation-contract.md": "What a run may ask of platforms, and how they decide",
    "docs/identity.md": "Keys, certificates, joining, revocation, audit logs",
    "docs/server-state.md": "The operator's database, migrations, backup and restore",
    "docs/superlink.md": "What of Flower is used, how it is shut off, what it costs",
    "docs/threat-model.md": "Each attack, what stops it, the test that holds it",
    "shared/isthmus/ranker_public.safetensors": "The public ranker: 955 numbers",
    "shared/isthmus/control/control.proto": "The control protocol",
    "shared/isthmus/control/control_pb2.pyi": "Types of the generated protocol",
    "server/isthmus_server/state/migrations/script.py.mako": "What a new migration starts from",
    "client/isthmus_client/templates": "Pages, and the text of a new platform.toml",
    "docs/forgetting.md": "A person deleted: what goes, what stays, what is owed, receipts",
    "docs/no-harm.md": "The gate, its certificate, hostile members and aggregation rules",
    "docs/platform-contract.md": "platform.toml: tables, columns, words, times, what may be kept",
    "docs/platform-keys.md": "A platform's keys: what each does, its mode, its backup",
    "docs/readiness.md": "`isthmus client check`: every finding, its severity, what to do",
    "docs/rows.md": "Which rows are usable: every rule and its reason",
    "docs/sources.md": "Files, databases and URLs: how each is read, with whose rights",
    "docs/store.md": "What the store holds, when it is written, when it is scrubbed",
    "docs/transfer-benchmark.md": "The transfer benchmark: protocol, tests, the JSON's fields",
    "docs/trial.md": "What a release would bring on one's own data, before joining",
    "docs": "Documentation, kept true by tests",
    "docs/architecture.md": "How the parts fit, and what crosses between them",
    "docs/cli.md": "Every command and option",
    "docs/decisions": "Why things are as they are, one file a decision",
    "docs/evaluation.md": "How quality is measured, and how the no-harm gate decides",
    "docs/examples/two-shops": "A scenario on files of one's own, to copy from",
    "docs/exit-codes.md": "What a command returns to the shell",
    "docs/experiments.md": "What was tried, with figures, failures included",
    "docs/privacy.md": "What a private run promises, to whom, and why it holds",
    "docs/privacy-accounting.md": "Which theorem gives which epsilon",
    "docs/privacy-audit.md": "The attack by canaries: what it can and cannot show",
    "docs/privacy-engine.md": "How users' gradients are clipped without being built",
    "docs/privacy-ledger.md": "The platform's own record of what was spent",
    "docs/price-of-privacy.md": "The benchmark of quality against epsilon",
    "docs/results-schema.md": "Every field of results.json",
    "docs/scenarios.md": "Every key of a scenario file",
    "docs/secure-aggregation.md": "The protocol, what it bears, its alarms and what it costs",
    "simulations/isthmus_simulations/audit/templates": "The audit's page",
    "simulations/isthmus_simulations/report/templates": "The page's HTML, style and script",
    "simulations/isthmus_simulations/scenarios/builtin": "Scenarios that ship with the package",
    "tests": "",
    "tests/browser": "The report in a real browser",
    "tests/docs": "README and docs are true: every command in them is run",
    "tests/processes": "Real processes: killed, resumed, kept offline",
    "tests/properties": "Laws that hold for all inputs",
    "tests/support": "What several tests build on",
    "tests/unit": "Each module by itself",
    "tests/unit/client": "Of the client",
    "tests/unit/server": "Of the server",
    "tests/unit/shared": "Of the ground floor",
    "tests/unit/simulations": "Of the simulation",
}


def tree() -> str:
    """The tree of all tracked files, a heading for each folder.

    Raises:
        KeyError: a file or folder has no line yet: give it a docstring, or add it to `WORDS`.
    """
    lines = [line for folder, files in _folders() for line in _section(folder, files)]
    width = max(len(left) for left, _ in lines) + 2
    return "".join(f"{left:{width}}{right}".rstrip() + "\n" for left, right in lines)


def _folders() -> Iterator[tuple[str, list[str]]]:
    """Each folder with its tracked files."""
    shown = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - whichever git the developer uses
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = sorted(
        (name for name in shown.stdout.splitlines() if (ROOT / name).exists()), key=_place
    )
    for folder, names in groupby(files, key=lambda name: Path(name).parent.as_posix()):
        yield folder, list(names)


def _place(name: str) -> tuple[int, str, str]:
    """Folders in the order in which one should meet them, then by name."""
    path = Path(name)
    top = path.parts[0] if len(path.parts) > 1 else "."
    return ORDER.index(top), path.parent.as_posix(), path.name


def _section(folder: str, files: list[str]) -> Iterator[tuple[str, str]]:
    if folder not in {".", ".ci"}:
        yield f"{folder}/", _folder_words(folder)
    if folder in WHOLE or any(folder.startswith(f"{whole}/") for whole in WHOLE):
        return
    for name in files:
        path = Path(name)
        if path.name not in SILENT:
            yield (name if folder in {".", ".ci"} else f"  {path.name}"), _words(name)


def _folder_words(folder: str) -> str:
    face = ROOT / folder / "__init__.py"
    return _docstring(face) if face.exists() else WORDS[folder]


def _words(name: str) -> str:
    path = ROOT / name
    if path.suffix == ".py":
        return _docstring(path)
    if path.suffix == ".toml" and path.parent.name == "builtin":
        return f"Scenario `{path.stem}`"
    return WORDS[name]


def _docstring(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_bytes()))
    if not text:
        raise KeyError(f"{path} has no docstring")
    return text.partition("\n")[0].rstrip(".")


def main(arguments: list[str]) -> int:
    """Write or check the README's tree; 1 if it is not true."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    new = tree()
    if "--check" in arguments:
        print("the tree is true" if old == new else "the tree is not true: python docs/tree.py")
        return int(old != new)
    readme.write_text(before + BEGIN + new + END + after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
