"""A certificate as one self-contained HTML file: no network, no script."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from isthmus_client.certificate import Certificate
from isthmus_client.certificate_words import facts, grounds, kind, label, metric, role


def render_page(certificate: Certificate) -> str:
    """The page as text; a pure function of its argument."""
    environment = Environment(
        loader=PackageLoader("isthmus_client", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"kind": kind, "label": label, "metric": metric})
    style = (files("isthmus_client") / "templates" / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("certificate.html.j2").render(
        found=certificate,
        facts=facts(certificate),
        grounds=grounds(certificate),
        role=lambda name: role(certificate, name),
        # A file of this package, so marking it safe lets nothing foreign in.
        style=Markup(style),  # noqa: S704
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'",
    )
