"""The columns of the dataset, as Arrow types and as Hugging Face features, so that pictures decode."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from transforms.output.choices import Choice
from transforms.output.paths import frame_path
from transforms.output.record import DATASET, columns, metrics_schema

DEFAULT_SPLIT = "train"
SPLIT_COLUMN = "split"
# A further column of that name with more values than this identifies rows; it does not split them.
MAX_SPLITS = 50
MAX_SPLIT_CHARACTERS = 60

Row = dict[str, Any]

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_CARRIED_AS_THEY_ARE = columns(DATASET)
_ITERATION = pa.field("iteration", pa.int64())
_CHOICE_FIELDS = (
    pa.field("rating", pa.int64()),
    pa.field("tags", pa.list_(pa.string())),
    pa.field("rejected", pa.bool_()),
)
_LABEL_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
_FEATURE_TYPES = {pa.float64(): "float64", pa.float32(): "float32"}


@dataclasses.dataclass(frozen=True)
class Label:
    """A further column of the manifest.

    Attributes:
      key: its name in the manifest.
      column: its name in the dataset.
      kind: bool, int, float or string; json for other or mixed values (int mixed with float is float).
    """

    key: str
    column: str
    kind: str


@dataclasses.dataclass(frozen=True)
class Layout:
    """The form of a dataset's rows.

    Attributes:
      mode: "full" or "metadata", see DATASET_MODES.
      labels: the further columns.
      splits: the names of the splits.
      has_frames: whether there is the column `frames`.
      has_choices: whether there are the columns of choices.json.
    """

    mode: str
    labels: tuple[Label, ...]
    splits: tuple[str, ...]
    has_frames: bool = False
    has_choices: bool = False

    def split_of(self, extra: Mapping[str, Any]) -> str:
        """Returns the split to which a row with these further columns belongs."""
        name = split_name(extra)
        return name if name in self.splits else DEFAULT_SPLIT

    def schema(self) -> pa.Schema:
        """Returns the Arrow schema, with the Hugging Face features as its metadata."""
        metrics = metrics_schema()
        config = [_config_field(field) for field in metrics.field("config").type]
        fields = [
            self._image_field(),
            *(metrics.field(name) for name in _CARRIED_AS_THEY_ARE),
            pa.field("config", pa.struct(config)),
            *([pa.field("frames", pa.list_(pa.struct([_ITERATION, self._image_field()])))] if self.has_frames else []),
            *(_CHOICE_FIELDS if self.has_choices else []),
            *(pa.field(label.column, _LABEL_TYPES.get(label.kind, pa.string())) for label in self.labels),
        ]
        features = {"info": {"features": {field.name: _feature(field.type) for field in fields}}}
        return pa.schema(fields, metadata={"huggingface": json.dumps(features)})

    def row(self, metrics_row: Mapping[str, Any], extra: Mapping[str, Any], choice: Choice | None = None) -> Row:
        """Returns the dataset's row of a finished run in the form of `schema`, without the bytes of pictures.

        Args:
          metrics_row: has at least METRICS_COLUMNS.
          extra: the row's further columns, parsed.
          choice: what somebody said of the run, if anybody did.
        """
        run_id = metrics_row["run_id"]
        return {
            **self._image(metrics_row["image"], f"{run_id}.png"),
            **{name: metrics_row[name] for name in _CARRIED_AS_THEY_ARE},
            "config": {name: _config_value(value) for name, value in metrics_row["config"].items()},
            **({"frames": self._frames(run_id, metrics_row["frames"] or [])} if self.has_frames else {}),
            **(_choice_values(choice or Choice()) if self.has_choices else {}),
            **{label.column: _label_value(label.kind, extra.get(label.key)) for label in self.labels},
        }

    def _image_field(self) -> pa.Field:
        return pa.field("image", _IMAGE) if self.mode == "full" else pa.field("image_path", pa.string())

    def _image(self, path: str, name: str) -> Row:
        """Returns the value of `_image_field`: where a picture lies in the output directory, or its name."""
        return {"image": {"bytes": None, "path": name}} if self.mode == "full" else {"image_path": path}

    def _frames(self, run_id: str, iterations: Sequence[int]) -> list[Row]:
        return [
            {"iteration": number, **self._image(frame_path(run_id, number), f"{run_id}-{number}.webp")}
            for number in iterations
        ]


# The columns of the metrics that a dataset needs.
METRICS_COLUMNS = (*_CARRIED_AS_THEY_ARE, "status", "image", "config", "extra", "frames")


def _choice_values(choice: Choice) -> Row:
    return {"rating": choice.rating, "tags": list(choice.tags), "rejected": choice.rejected}


def parse_extra(text: str | None) -> dict[str, Any]:
    """Returns a row's further columns; none if the text is not a JSON object."""
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        return {}
    return extra if isinstance(extra, dict) else {}


def split_name(extra: Mapping[str, Any]) -> str:
    """Returns the name of the split that a row asks for, in characters that file names and `load_dataset` allow."""
    asked = extra.get(SPLIT_COLUMN)
    if asked is None or isinstance(asked, dict | list):
        return DEFAULT_SPLIT
    name = re.sub(r"\W+", "_", str(asked), flags=re.ASCII).strip("_").lower()[:MAX_SPLIT_CHARACTERS]
    # `load_dataset` takes `all` for all splits together.
    return f"{name}_" if name == "all" else name or DEFAULT_SPLIT


class LabelKinds:
    """Collects the further columns of all rows and the kinds of their values."""

    def __init__(self) -> None:
        self._kinds: dict[str, Counter[str]] = {}

    def add(self, extra: Mapping[str, Any]) -> None:
        """Adds the further columns of one row."""
        for key, value in extra.items():
            seen = self._kinds.setdefault(key, Counter())
            if value is not None:
                seen[_kind(value)] += 1

    def labels(self, columns: Collection[str]) -> tuple[Label, ...]:
        """Returns the columns in order of name, renamed where the dataset has a column of that name already.

        Args:
          columns: the names of the dataset's other columns; those of the pictures are never a label's.
        """
        taken = {"image", "image_path", *columns}
        labels = []
        for key in sorted(self._kinds):
            # Arrow ends a name at a NUL; other control characters confuse tools.
            column = re.sub(r"[\x00-\x1f\x7f]", "_", key) or "extra"
            while column in taken:
                column = f"extra_{column}"
            taken.add(column)
            kinds = set(self._kinds[key]) or {"string"}
            mixed = "float" if kinds == {"int", "float"} else "json"
            labels.append(Label(key, column, kinds.pop() if len(kinds) == 1 else mixed))
        return tuple(labels)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int" if -(2**63) <= value < 2**63 else "json"
        case float():
            return "float"
        case str():
            return "string"
    return "json"


def _label_value(kind: str, value: Any) -> Any:
    if kind == "json":
        return None if value is None else json.dumps(value, sort_keys=True)
    return float(value) if kind == "float" and value is not None else value


def _config_field(field: pa.Field) -> pa.Field:
    """Returns the field with a map turned into a list of {layer, weight}: Hugging Face features have no maps."""
    if not pa.types.is_map(field.type):
        return field
    return pa.field(field.name, pa.list_(pa.struct([("layer", pa.string()), ("weight", pa.float64())])))


def _config_value(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return [{"layer": layer, "weight": weight} for layer, weight in value.items()]


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """Returns the feature of an Arrow type in the JSON that `datasets` writes itself."""
    if kind == _IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    return {"dtype": _FEATURE_TYPES.get(kind, str(kind)), "_type": "Value"}
