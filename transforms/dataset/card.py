"""dataset/README.md, the card of the published dataset. A rebuild keeps what a curator has written into it."""

import dataclasses
import io
import logging
import re
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from stylecore.errors import one_line
from stylecore.measures.measure import MEASURES
from transforms.dataset.axes import Axis
from transforms.dataset.schema import Layout
from transforms.output.record import DATASET, about, columns

logger = logging.getLogger(__name__)

BEGIN = "<!-- Written by stylebeam from here; anything above or below is kept when the dataset is built again. -->"
END = "<!-- Written by stylebeam up to here. -->"
# Foreign text is cut at this length: a heading of 10,000 characters cannot be read.
MAX_TEXT = 200
# Of an axis so many values are named.
MAX_LABELS = 12

_HEAD = re.compile(r"\A---\s*\n(?P<head>.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_PUNCTUATION = str.maketrans(
    {**{mark: f"\\{mark}" for mark in string.punctuation}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
_SIZES = ((10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M"))

_TEXT = """\
# ${title}

${rows} rows, each with a picture made by neural style transfer: by an optimisation of its pixels towards the content of
one image and the style of others. Made with ${versions}; the configuration of every picture stands in its row.

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/directory")
```

${pictures}
${sample}
| split | rows | files |
|---|---|---|
${splits}

## The grid

${axes}
${ranges}
## Columns

${columns}

## Licence

The pictures derive from the content and style images. Fill in `license` at the head of this file after looking at the
licences of those.
"""


@dataclasses.dataclass(frozen=True)
class Range:
    """The least and the largest value of a measure, and the number of rows that have it."""

    least: float
    largest: float
    rows: int = 1

    @classmethod
    def over(cls, known: "Range | None", value: float) -> "Range":
        """Returns the range with one more row's value."""
        if known is None:
            return cls(value, value)
        return cls(min(known.least, value), max(known.largest, value), known.rows + 1)


@dataclasses.dataclass(frozen=True)
class CardFacts:
    """What a card says about a dataset.

    Attributes:
      title: any text.
      layout: the layout of the rows.
      rows: the number of rows of each split.
      files: the number of files of each split.
      versions: the versions that made the pictures, such as "StyleBeam 0.1.0".
      axes: what varies between the pictures.
      ranges: the range of each measure, by column.
      sample: the name of a picture beside the card; None if there is none.
    """

    title: str
    layout: Layout
    rows: Mapping[str, int]
    files: Mapping[str, int]
    versions: tuple[str, ...]
    axes: tuple[Axis, ...] = ()
    ranges: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    sample: str | None = None


def dataset_card(facts: CardFacts, existing: str | None = None) -> str:
    """Returns the card as Markdown with a YAML head; what people wrote into the existing one is kept.

    A rebuild replaces the fields `configs` and `size_categories` and the part between the two comments. Foreign text is
    escaped everywhere.

    Args:
      facts: what the card says.
      existing: the card of an earlier build, possibly edited; None if there is none.
    """
    part = f"{BEGIN}\n{_text(facts)}{END}"
    if existing is None:
        return f"---\n{_dump(_head(facts, CommentedMap()))}---\n\n{part}\n"
    found = _HEAD.match(existing)
    try:
        kept = YAML().load(found["head"]) if found else CommentedMap()
    except YAMLError:
        kept = None
    if not isinstance(kept, CommentedMap):
        logger.warning("dataset/README.md: the YAML at its head is damaged, the file is left as it is")
        return existing
    body = existing[found.end() :] if found else existing
    return f"---\n{_dump(_head(facts, kept))}---\n{_PART.sub(lambda _: part, body)}"


def _head(facts: CardFacts, head: CommentedMap) -> CommentedMap:
    if "license" not in head:
        head["license"] = "unknown"
        head.yaml_add_eol_comment("fill in, such as cc-by-4.0", "license")
    head.setdefault("pretty_name", _one_line(facts.title))
    head.setdefault("task_categories", ["image-to-image"])
    head.setdefault("tags", ["neural-style-transfer", "style-transfer", "stylebeam"])
    head["size_categories"] = [_size_category(sum(facts.rows.values()))]
    # The number of files stands in the pattern, so that shards of an older build do not match.
    files = [{"split": split, "path": f"{split}-*-of-{facts.files[split]:05d}.parquet"} for split in facts.rows]
    head["configs"] = [{"config_name": "default", "data_files": files}]
    return head


def _size_category(rows: int) -> str:
    names = ["n<", *(name for bound, name in _SIZES if bound <= rows)]
    above = next((name for bound, name in _SIZES if bound > rows), None)
    if above is None:
        return f"n>{names[-1]}"
    return f"n<{above}" if len(names) == 1 else f"{names[-1]}<n<{above}"


def _dump(head: CommentedMap) -> str:
    yaml = YAML()
    yaml.width = 10_000
    out = io.StringIO()
    yaml.dump(head, out)
    return out.getvalue()


def _text(facts: CardFacts) -> str:
    full = facts.layout.mode == "full"
    return string.Template(_TEXT).substitute(
        title=escape(facts.title),
        rows=f"{sum(facts.rows.values()):,}",
        versions=", ".join(map(escape, facts.versions)) or "StyleBeam",
        pictures="Pictures come as PIL images." if full else "The pictures themselves are not in these files.",
        splits="\n".join(f"| {escape(split)} | {facts.rows[split]:,} | {facts.files[split]} |" for split in facts.rows),
        columns="\n".join(_columns(facts.layout)),
        sample=f"\n![One of the pictures]({facts.sample})\n" if facts.sample else "",
        axes="\n".join(_axes(facts.axes)),
        ranges="\n".join(_ranges(facts.ranges)),
    )


def _axes(axes: Sequence[Axis]) -> Iterator[str]:
    if not axes:
        yield "Nothing varies but the further columns of the manifest."
        return
    yield "| what varies | values | number |"
    yield "|---|---|---|"
    for axis in axes:
        shown = ", ".join(map(escape, axis.labels[:MAX_LABELS]))
        others = len(axis.labels) - MAX_LABELS
        more = f" and {'more than ' if axis.has_more else ''}{others:,} more" if others > 0 else ""
        number = f"{'more than ' if axis.has_more else ''}{len(axis.labels):,}"
        yield f"| {escape(axis.name)} | {shown}{more} | {number} |"


def _ranges(ranges: Mapping[str, Range]) -> Iterator[str]:
    if not ranges:
        return
    yield "\n## Measures\n\n| measure | better | least | largest | rows |\n|---|---|---|---|---|"
    for one in MEASURES:
        if one.key in ranges:
            found, better = ranges[one.key], "more" if one.better == "max" else "less"
            yield f"| `{one.key}` | {better} | {found.least:.4g} | {found.largest:.4g} | {found.rows:,} |"
    yield ""


def _columns(layout: Layout) -> Iterator[str]:
    full = layout.mode == "full"
    if full:
        yield "- `image`: the picture"
    else:
        yield "- `image_path`: where the picture lies, relative to the directory above this one"
    yield from (f"- `{column}`: {about(column)}" for column in columns(DATASET))
    yield f"- `config`: {about('config')}; layer weights as a list of `{{layer, weight}}`"
    if layout.has_frames:
        where = "`image`" if full else "`image_path`, where it lies"
        yield f"- `frames`: thumbnails of the picture on the way, each with its `iteration` and {where}"
    if layout.has_choices:
        yield "- `rating`, `tags`, `rejected`: what was chosen in the gallery: 1 to 5 or null, texts, true or false"
    for label in layout.labels:
        kind = "JSON text" if label.kind == "json" else label.kind
        renamed = "" if label.column == label.key else f", there called {escape(label.key) or 'nothing at all'}"
        yield f"- {escape(label.column)}: {kind}, a further column of the manifest{renamed}"


def escape(text: str) -> str:
    """Returns Markdown that shows any text literally, on one line."""
    return _one_line(text).translate(_PUNCTUATION)


def _one_line(text: str) -> str:
    """Returns one line of limited length; controls that would break it or turn its direction become U+FFFD."""
    line = one_line(text)
    line = line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}…"
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_control(mark) else mark for mark in line)


def _is_control(mark: str) -> bool:
    return unicodedata.category(mark).startswith("C") or unicodedata.category(mark) in ("Zl", "Zp")
