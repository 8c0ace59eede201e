"""Every page lets in its own style and script by their hashes, and nothing else."""

import base64
import hashlib

import pytest
from jinja2 import UndefinedError

from isthmus_client.pages import asset, assets, environment, plain_assets


def source(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_names_the_hashes_of_what_is_given():
    policy = assets("b { color: red }", "let x = 1;")["policy"]
    assert f"style-src '{source('b { color: red }')}'" in policy
    assert f"script-src '{source('let x = 1;')}'" in policy
    for refused in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"):
        assert refused in policy
    assert "unsafe" not in policy


def test_without_a_script_none_is_allowed():
    found = plain_assets()
    assert found["style"] == asset("isthmus_client", "page.css")
    assert found["script"] == ""
    assert "script-src" not in found["policy"]  # default-src 'none' holds


def test_what_a_template_prints_is_escaped_and_what_is_missing_is_an_error():
    made = environment("isthmus_client", {"twice": lambda text: text + text})
    shown = made.from_string("{{ name|twice }}").render(name="<b>")
    assert shown == "&lt;b&gt;&lt;b&gt;"
    with pytest.raises(UndefinedError):
        made.from_string("{{ nobody }}").render()
