"""Words of positional arguments for `--help`.

Since Click 8.5 an argument of Click's has a help text of its own, empty unless it is passed on; and
Typer 0.20, the newest that Flower allows, sets its text before it and passes none on. So the text
is set once more.
"""

from __future__ import annotations

import click
from typer.models import ArgumentInfo
from typer.utils import get_params_from_function


def with_argument_help(command: click.Command) -> click.Command:
    """The command, and those under it, with the help texts that their arguments were declared with.

    Args:
        command: made by Typer; changed in place.
    """
    if isinstance(command, click.Group):
        for each in command.commands.values():
            with_argument_help(each)
        return command
    declared = get_params_from_function(command.callback) if command.callback else {}
    for parameter in command.params:
        meta = declared.get(parameter.name or "")
        if isinstance(parameter, click.Argument) and meta is not None:
            info = meta.default if isinstance(meta.default, ArgumentInfo) else None
            parameter.help = info.help if info else None
    return command
