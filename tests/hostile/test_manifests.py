"""Rows with mixed values of every kind: each bad row is refused with its field named, each good one accepted.

Whether a row is bad is known from how it was generated, not from the code under test. STYLEBEAM_HOSTILE_CASES=2500 runs
the long form.
"""

import json
import os
import tempfile
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.isolation import DONE, REFUSED, run_isolated
from tests.hostile.manifests import PEAK_BYTES, TASK
from transforms.manifest.files import open_manifest
from transforms.manifest.read import ParseRows
from transforms.output.record import metrics_schema

CASES = int(os.environ.get("STYLEBEAM_HOSTILE_CASES", "150"))


def test_damaged_files():
    summary = run_isolated(TASK, range(600), seed=11)
    assert not summary.broken, str(summary)
    kinds = [outcome.kind for outcome in summary.outcomes]
    assert kinds.count(DONE) + kinds.count(REFUSED) == 600 and kinds.count(DONE) > 50
    assert any(not outcome.reason.startswith("0 failed") for outcome in summary.outcomes if outcome.kind == DONE)
    assert summary.peak_bytes < PEAK_BYTES


def good(*values):
    return [(value, None) for value in values]


def bad(message, *values):
    return [(value, message) for value in values]


# A value, and its message if it is bad.
NAMES = [
    *good("a.png", "../up/./a.png", "/etc/passwd", "gs://bucket/a b.png", "a:b.png", "C:\\a.png", "~/a", " ", "-rf"),
    *good("‮gnp.exe", "\u2028</script>", "<img onerror=alert(1)>", "é", "e\u0301", "a" * 4_096, "%2e%2e/a"),
    *bad("must be a path or URI", None, "", "a\0b.png", "a\nb", "\x1b]0;title\x07", "a\x9bb"),
    *bad("must be gs://BUCKET/OBJECT", "gs://", "gs://bucket", "gs://bucket/", "GS:///a", "gs://?/a", "gs://a@b/c"),
    *bad("no file system for", "ftp://host/a.png", "http://169.254.169.254/", "file:///etc/passwd", "x+y-z://a"),
    *bad("must be Unicode of at most 4096 bytes", "a" * 4_097, "é" * 2_049),
]  # fmt: skip
LISTS = [
    *good([{"uri": "a.png", "weight": 1.0}], [{"uri": "a.png", "weight": 0.0}, {"uri": "/b.png", "weight": None}]),
    *bad("style must be a path or URI, or a list", None, []),
    *bad("style must hold", [None]),
    *bad("style must be a path or URI", [{"uri": None, "weight": 1.0}], [{"uri": "", "weight": 1.0}]),
    *bad("style weight", *([{"uri": "a", "weight": weight}] for weight in (float("nan"), float("inf"), -1.0))),
    *bad("style has", [{"uri": "a" * 4_000, "weight": 1.0}] * 40),
]
JSON_CONFIGS = [
    *good(None, "{}", '{"preset": "gatys"}', '{"iterations": 5.0, "image_size": null}', '{"weights": "../w.h5"}'),
    *bad("config", "", "{", "[]", "null", "1", '"x"', "{}{}", "[" * 9_999, '{"a":' * 9_999, "{'seed': 1}", "\ufeff{}"),
    *bad("config is not valid JSON", '{"seed": 1, "seed": 2}', '{"seed": NaN}', '{"seed": 1' + "0" * 5_000 + "}"),
    *bad("unknown field 'itrations', did you mean 'iterations'", '{"itrations": 3}'),
    *bad("unknown field", '{"": 1}', '{"__class__": 1}', '{"\\ud800": 1}', '{"</script>": 1}'),
    *bad("preset must be", '{"preset": "basics"}', '{"preset": 1}', '{"preset": ["basic"]}', '{"preset": {}}'),
    *bad("seed must be", '{"seed": -1}', '{"seed": 1e300}', '{"seed": "1"}', '{"seed": true}', '{"seed": 1.5}'),
    *bad("learning_rate must be", '{"learning_rate": 0}', '{"learning_rate": 1e999}'),
    *bad(
        "style_layers", '{"style_layers": {"conv9_9": 1}}', '{"style_layers": []}', '{"style_layers": {"conv1_1": -1}}'
    ),
    *bad("image_size must be", '{"image_size": 0}', '{"image_size": 99999}'),
    *bad("weights must be", '{"weights": "/etc/passwd"}', '{"weights": "random:x"}', '{"weights": "a\\u0000.h5"}'),
    *bad("weights must be Unicode", '{"weights": "\\udfff.h5"}'),
    *bad("config has", '{"seed":' + " " * 140_000 + "1}"),
]
STRUCTS = [
    *good(None, {"seed": 3}, {"learning_rate": 1.0, "iterations": 5.0}, {"style_layers": [("conv1_1", 1.0)]}),
    *bad("seed must be", {"seed": -1}),
    *bad("iterations must be", {"iterations": 1.5}, {"iterations": float("inf")}, {"iterations": -0.5}),
    *bad("learning_rate must be", {"learning_rate": float("nan")}, {"learning_rate": -15.0}, {"learning_rate": 0.0}),
    *bad("preset must be", {"preset": ""}, {"preset": "BASIC"}),
    *bad("style_layers", {"style_layers": []}, {"style_layers": [("conv1_1", float("nan"))]}),
    *bad("config", {"style_layers": [("conv1_1", 1.0), ("conv1_1", 2.0)]}),
]
STRUCT = pa.struct(
    [
        ("preset", pa.string()),
        ("seed", pa.int64()),
        ("iterations", pa.float64()),
        ("learning_rate", pa.float64()),
        ("style_layers", pa.map_(pa.string(), pa.float64())),
    ]
)
STYLES = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))
TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
# Further columns never make a row bad: labels are carried along, as text where Python has no such value.
EXTRAS = [
    pa.array([1, None], pa.timestamp("ns", "Europe/Berlin")),
    pa.array([2**62, -(2**62)], pa.timestamp("us")),
    pa.array([1, 2], pa.timestamp("s", "Mars/Phobos")),
    pa.array([b"\xff\0", None]),
    pa.array([float("nan"), -float("inf")]),
    pa.array([2**64 - 1, 0], pa.uint64()),
    pa.array([[{"a": [None, float("nan")]}], []]),
    pa.array([[("a", 1), ("a", 2)], None], pa.map_(pa.string(), pa.int64())),
    pa.array([{"</script>": "<b>"}, None]),
    pa.array(["\u2028\u202e\0", "'\"`|*_"]),
    pa.array([2**62, 5], pa.duration("us")),
    pa.nulls(2),
    pa.array([1, 2], pa.decimal128(38, 10)),
    pa.array(["a", "b"], pa.string_view()),
]
COLUMN_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["</script>", "‮", "a.b", ""]
)


@st.composite
def manifests(draw):
    """Draws (table, the messages allowed for each row, of which one must appear, writing options)."""
    count = draw(st.integers(1, 12))

    def column(values, kind):
        picked = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
        return pa.array([value for value, _ in picked], kind), [message for _, message in picked]

    columns = {"content": column(NAMES, draw(st.sampled_from(TEXTS)))}
    style = draw(st.sampled_from([*TEXTS, STYLES]))
    columns["style"] = column(LISTS if style is STYLES else NAMES, style)
    match draw(st.sampled_from(["none", "json", "struct"])):
        case "json":
            columns["config"] = column(JSON_CONFIGS, draw(st.sampled_from(TEXTS)))
        case "struct":
            columns["config"] = column(STRUCTS, STRUCT)
    arrays = {name: array for name, (array, _) in columns.items()}
    for name, extra in draw(st.dictionaries(COLUMN_NAMES, st.sampled_from(EXTRAS), max_size=3)).items():
        if name not in ("content", "style", "config"):
            arrays[name] = pa.concat_arrays([extra] * count).slice(0, count)
    messages = [[m for m in row if m] for row in zip(*(column for _, column in columns.values()), strict=True)]
    options = {
        "row_group_size": draw(st.integers(1, 5)),
        "compression": draw(st.sampled_from(["none", "snappy", "zstd"])),
        "use_dictionary": draw(st.booleans()),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
    }
    return pa.table(arrays), messages, options


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(manifests())
def test_every_bad_row_is_named_and_every_good_one_accepted(case):
    table, messages, options = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.parquet"
        pq.write_table(table, path, **options)
        manifest = open_manifest(str(path))
        elements = [element for part in manifest.slices for element in ParseRows().process(part)]
    assert len(elements) == manifest.rows == len(messages)
    for number, (element, expected) in enumerate(zip(elements, messages, strict=True)):
        if not expected:
            assert element.number == number, element.value[2].reason
            assert element.extra is None or json.loads(element.extra) is not None
            continue
        assert isinstance(element, beam.pvalue.TaggedOutput), f"row {number} was accepted: {expected}"
        row, values, failure = element.value
        message = failure.reason.error_message
        assert row == number and f"m.parquet, row {number}: " in message
        assert any(part in message for part in expected), (message, expected)
        assert message == " ".join(message.split()) and len(message) < 2_500
        check_that_metrics_can_hold(values)


def check_that_metrics_can_hold(values):
    schema = metrics_schema()
    table = pa.Table.from_pylist([values], schema=pa.schema([schema.field(name) for name in values]))
    assert table.num_rows == 1 and table.nbytes < 2**20
