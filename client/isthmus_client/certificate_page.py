"""A certificate as one self-contained HTML file: no network, no script."""

from __future__ import annotations

from isthmus_client.certificate import Certificate
from isthmus_client.certificate_words import facts, grounds, kind, label, metric, role
from isthmus_client.pages import environment, plain_assets


def render_page(certificate: Certificate) -> str:
    """The page as text; a pure function of its argument."""
    made = environment("isthmus_client", {"kind": kind, "label": label, "metric": metric})
    return made.get_template("certificate.html.j2").render(
        **plain_assets(),
        found=certificate,
        facts=facts(certificate),
        grounds=grounds(certificate),
        role=lambda name: role(certificate, name),
    )
