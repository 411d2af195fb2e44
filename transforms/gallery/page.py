"""index.html: the markup, style and script of web/, with the index of the data.

The script is written as ES modules, which browsers do not load into a page that is opened from disk. They are joined
here, when the page is built, which needs no node on the user's machine and keeps no bundle in the repository that could
be older than its sources. The forms that can be joined are listed in modules.py.
"""

import base64
import hashlib
import html
import string
from functools import cache
from importlib import resources
from typing import Any

from transforms.gallery.chunks import js_literal
from transforms.gallery.modules import join_modules

_ENTRY = "page.js"


def page_html(title: str, index: dict[str, Any]) -> bytes:
    """Returns the page, with style and script inlined: it cannot disagree with a cached file.

    Args:
      title: the page's title, any text.
      index: the index that `data.js` expects, see `gallery_files`.
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
    """Returns the page's modules joined into one script."""
    modules = (file for file in resources.files("transforms.gallery").joinpath("web").iterdir())
    return join_modules(
        {file.name: file.read_text(encoding="utf-8") for file in modules if file.name.endswith(".js")}, _ENTRY
    )


def _content_security_policy(code: str) -> str:
    """Returns a policy that allows only this script, and images and scripts from the page's own origin.

    Plotly writes style elements and attributes, and 6.x loads an image from a data: address. Allowing both is safe,
    because no foreign text is ever parsed as markup or used as an address.
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
