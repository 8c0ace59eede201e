"""How every page is made: one file, all that it prints escaped, nothing let in from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES: Final = "templates"


def environment(package: str, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Templates of a package's folder `templates`; everything that they print is escaped.

    Args:
        package: its name.
        filters: besides Jinja's own.
    """
    made = Environment(
        loader=PackageLoader(package, TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters)
    return made


def asset(package: str, name: str) -> str:
    """A style or script among a package's templates."""
    return (files(package) / TEMPLATES / name).read_text(encoding="utf-8")


def plain_assets() -> dict[str, str | Markup]:
    """The assets of a page without script, in the one style that such pages have."""
    return assets(asset("isthmus_client", "page.css"))


def assets(style: str, script: str = "") -> dict[str, str | Markup]:
    """`style`, `script` and `policy`, which allows these two alone, by their hashes.

    Args:
        style: of a file of our own packages: it is printed as it is.
        script: the same; "" = none, and none is allowed.
    """
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; {scripts}"
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # Both are files of our packages, so marking them safe lets nothing foreign in.
    return {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704


def _hash(text: str) -> str:
    """A source expression of Content Security Policy level 3."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
