"""Text, names, counts and tables as HTML: whatever comes from the grid is escaped."""

import html
from collections.abc import Iterable, Sequence

MAX_LABELS = 12
MAX_LABEL_CHARS = 80


def text_html(value: str, most: int | None = None) -> str:
    """Returns text as HTML, cut to `most` characters."""
    return html.escape(value if most is None or len(value) <= most else value[: most - 1] + "…")


def label_html(label: str) -> str:
    """Returns the label of a value as HTML, cut to a readable length."""
    return text_html(label, MAX_LABEL_CHARS)


def name_html(key: str) -> str:
    """Returns the name of a dimension as HTML: words, without the prefix of the manifest's further columns."""
    return label_html(key.removeprefix("extra.").replace("_", " "))


def count_html(number: int, noun: str) -> str:
    """Returns `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table_html(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> str:
    """Returns a table, which scrolls where it is too wide.

    Args:
      caption, heads, rows: HTML; the first cell of a row names it.
      numbers_from: columns from this one on hold numbers.
    """
    kinds = [' class="number"' if column >= numbers_from else "" for column in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{text}</th>' for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" role="region" aria-label="{caption}" tabindex="0">{table}</div>'
