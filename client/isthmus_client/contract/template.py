"""The text of a new `platform.toml`: every key with its meaning and its default."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def contract_text(name: str, *, example: bool) -> str:
    """A contract that is valid as it is.

    Args:
        name: of the platform; letters, digits, - and _.
        example: whether it is to fit the example tables, which have words of their own.
    """
    made = Environment(
        loader=PackageLoader("isthmus_client"),
        autoescape=False,  # noqa: S701 - TOML; the name holds nothing that would need it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return made.get_template("platform.toml.j2").render(name=name, example=example)
