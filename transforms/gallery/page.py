"""index.html: markup, style and script of web/, joined with the index of the data.

The script is written as ES modules, which browsers do not load into a page that is opened from disk. They are joined
here, when the page is built: that needs no node on the user's machine, and no bundle lies in the repository that might
be older than its sources. See modules.py for what is joined.
"""

import base64
import hashlib
import html
import string
from functools import cache
from importlib import resources
from typing import Any

from transforms.gallery.js_literal import js_literal
from transforms.gallery.modules import join_modules

_ENTRY = "page.js"


def page_html(title: str, index: dict[str, Any]) -> bytes:
    """The page with everything inlined that is always needed: it cannot disagree with a cached style or script.

    Args:
      title: the page's title, any text.
      index: what `data.js` expects; see Summary.index.
    """
    page = string.Template(_source("page.html")).substitute(
        policy=_content_security_policy("\n" + script()),
        title=html.escape(title),
        style=_source("page.css"),
        index=js_literal(index),
        script="\n" + script(),
    )
    return page.encode(errors="replace")  # a title may come from a path, which may be any bytes


@cache
def script() -> str:
    """The page's modules as one script."""
    modules = (file for file in resources.files("transforms.gallery").joinpath("web").iterdir())
    return join_modules(
        {file.name: file.read_text(encoding="utf-8") for file in modules if file.name.endswith(".js")}, _ENTRY
    )


def _content_security_policy(code: str) -> str:
    """Nothing but this script, and pictures and scripts from where the page itself lies.

    Plotly writes style elements and attributes, and 6.x asks for a picture in a data: address. No foreign text is ever
    parsed as markup or taken as an address, so that neither opens anything.
    """
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
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
