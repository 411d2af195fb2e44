"""index.html: markup, style and script of this directory, joined with the index of the data."""

import base64
import hashlib
import html
import string
from importlib import resources
from typing import Any

from transforms.gallery.js_literal import js_literal

# In the order in which they build on each other; one file of the page is one idea, as in Python.
SCRIPTS = (
    *("dom.js", "data.js", "state.js", "grid.js", "matrix.js", "controls.js"),
    *("charts.js", "detail.js", "compare.js", "failures.js", "page.js"),
)


def page_html(title: str, index: dict[str, Any]) -> bytes:
    """The page with everything inlined that is always needed: it cannot disagree with a cached style or script.

    Args:
      title: the page's title, any text.
      index: what `data.js` expects; see Summary.index.
    """
    script = "\n(() => {\n" + "\n".join(['"use strict";', *map(_source, SCRIPTS)]) + "})();\n"
    page = string.Template(_source("page.html")).substitute(
        policy=_content_security_policy(script),
        title=html.escape(title),
        style=_source("page.css"),
        index=js_literal(index),
        script=script,
    )
    return page.encode(errors="replace")  # a title may come from a path, which may be any bytes


def _content_security_policy(script: str) -> str:
    """Nothing but this script, and pictures and scripts from where the page itself lies.

    Plotly writes style elements and attributes, and 6.x asks for a picture in a data: address. No foreign text is ever
    parsed as markup or taken as an address, so that neither opens anything.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{digest}' 'self'",
            "img-src 'self' data:",
            "style-src 'unsafe-inline'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _source(name: str) -> str:
    return resources.files("transforms.gallery").joinpath("web").joinpath(name).read_text(encoding="utf-8")
