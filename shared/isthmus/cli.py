"""The command `isthmus`.

Sub-commands come from the entry-point group `isthmus.commands`, so that a platform that installs
`isthmus[client]` needs nothing of the server. An entry point names a function or a Typer app; the
first line of its module's docstring is its line in `isthmus --help`, which imports none of them.
A group `isthmus.commands.NAME` brings further verbs of the app NAME, from other packages.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import click
import typer
from typer import rich_utils

from isthmus import __version__
from isthmus.cli_arguments import with_argument_help
from isthmus.cli_doctor import doctor
from isthmus.console import show_error, show_failure
from isthmus.errors import IsthmusError, NotInstalledError
from isthmus.extras import EXTRA_OF_PACKAGE, missing
from isthmus.offline import stay_offline

GROUP: Final = "isthmus.commands"
INTERRUPTED: Final = 130  # what a shell expects after Ctrl-C
UNFORESEEN: Final = 1

app = typer.Typer(
    name="isthmus",
    help="Federated cross-platform transfer of e-commerce user behaviour.",
    epilog="Begin with `isthmus simulate --quick`. Exit codes: docs/exit-codes.md.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    suggest_commands=False,  # Click does that itself
)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"isthmus {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and end.", callback=_print_version),
    ] = False,
) -> None:
    """Options before the sub-command."""
    del version  # its callback has done the work


class LazyCommand(click.Command):
    """A sub-command that is imported when it is called, not when it is listed."""

    def __init__(self, entry: metadata.EntryPoint) -> None:
        self.entry = entry
        self.extra = EXTRA_OF_PACKAGE.get(entry.module.partition(".")[0], "")
        super().__init__(entry.name, help=self._summary())

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The real command's context; Click invokes what the context names."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """Import the command.

        Raises:
            NotInstalledError: packages of its extra are missing.
        """
        if absent := self._absent():
            raise NotInstalledError(
                f"`{self._words()}` needs {', '.join(absent)}, which is not installed",
                hint=f"pip install 'isthmus[{self.extra}]'",
            )
        target = self.entry.load()
        if isinstance(target, typer.Typer):
            group = typer.main.get_group(target)
            _add(group, metadata.entry_points(group=f"{self.entry.group}.{self.name}"))
            return with_argument_help(group)
        alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        alone.command(self.name)(target)
        return with_argument_help(typer.main.get_command(alone))

    def _words(self) -> str:
        """What is typed to call it."""
        group = self.entry.group.removeprefix(GROUP).replace(".", " ")
        return f"isthmus{group} {self.name}"

    def _absent(self) -> tuple[str, ...]:
        return missing(self.extra) if self.extra else ()

    def _summary(self) -> str:
        """The module's first docstring line, read without importing it."""
        note = f" (needs isthmus[{self.extra}])" if self._absent() else ""
        spec = find_spec(self.entry.module)
        if spec is None or spec.origin is None:
            return note
        tree = ast.parse(Path(spec.origin).read_bytes())
        return (ast.get_docstring(tree) or "").partition("\n")[0] + note


def command(entries: Iterable[metadata.EntryPoint] | None = None) -> click.Group:
    """The whole command line, its sub-commands not yet imported.

    Args:
        entries: where the sub-commands are; None asks the installed packages.

    Raises:
        IsthmusError: two installed packages bring the same sub-command.
    """
    group = typer.main.get_group(app)
    found = metadata.entry_points(group=GROUP) if entries is None else entries
    _add(group, found)
    group.commands = dict(sorted(group.commands.items()))
    return group


def _add(group: click.Group, entries: Iterable[metadata.EntryPoint]) -> None:
    """Give a group what entry points name."""
    for entry in sorted(set(entries)):
        if entry.name in group.commands:
            raise IsthmusError(f"two packages bring the command {entry.name!r}: {entry.value}")
        group.add_command(LazyCommand(entry))


def run(arguments: Sequence[str], entries: Iterable[metadata.EntryPoint] | None = None) -> int:
    """Run a command line; what to return to the shell. Every failure is printed here."""
    as_json = "--json" in arguments
    try:
        result = command(entries).main(list(arguments), prog_name="isthmus", standalone_mode=False)
    except IsthmusError as error:
        if os.environ.get("ISTHMUS_DEBUG") == "1":
            traceback.print_exc()
        show_error(error, as_json=as_json)
        return error.exit_code
    except click.ClickException as error:
        return _show_usage(error, as_json=as_json)
    except click.Abort:
        return _show_interrupted(as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last line of defence tells all it knows
        return _show_unforeseen(error, as_json=as_json)
    if result == INTERRUPTED:
        return _show_interrupted(as_json=as_json)
    return result if isinstance(result, int) else 0


def _show_usage(error: click.ClickException, *, as_json: bool) -> int:
    """A wrong command line."""
    if as_json:
        message = error.format_message()
        hint = "see --help"
        show_failure("UsageError", message, hint=hint, exit_code=error.exit_code, as_json=True)
    else:
        rich_utils.rich_format_error(error)
    return error.exit_code


def _show_interrupted(*, as_json: bool) -> int:
    """Ctrl-C is no failure of ours; say how to go on."""
    show_failure(
        "Interrupted",
        "interrupted from the keyboard",
        hint="run the same command again, with --resume, to go on from the last finished round",
        exit_code=INTERRUPTED,
        as_json=as_json,
    )
    return INTERRUPTED


def _show_unforeseen(error: Exception, *, as_json: bool) -> int:
    """Something that we did not think of: everything that a report needs."""
    trace = "".join(traceback.format_exception(error))
    show_failure(
        type(error).__name__,
        str(error) or "no message",
        hint="this is a fault in Isthmus: please report it with the text above and the output of "
        "`isthmus doctor --json`",
        exit_code=UNFORESEEN,
        as_json=as_json,
        trace=trace,
    )
    return UNFORESEEN


def main() -> None:
    """The console script.

    One thread a process unless the user says otherwise, set before any library counts cores:
    platforms already work in parallel, and the number of threads decides the order of sums, hence
    the last bits of a result.
    """
    stay_offline()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End the process at once, with all that was printed.

    Ctrl-C may come while a thread is being started, which nobody waits for then. If it is within
    a native library when Python takes itself apart, the process is aborted (-6) instead of saying
    that it was interrupted. Files are whole at any moment, so there is nothing to tidy up.
    """
    try:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
