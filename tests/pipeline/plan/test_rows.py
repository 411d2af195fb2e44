"""Rows looked at by their distinct values give what the same rows give one by one."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.plan.counts import Group, RunCounter
from pipeline.plan.rows import RowPlanner
from stylecore.config.style_config import StyleConfig
from stylecore.networks.precision import Arithmetic
from stylecore.planning.room import Room
from tests.support.inputs import TINY
from tests.support.pictures import paint
from transforms.batch import BatchLimits, batch_size_of, place_of
from transforms.manifest.files import SliceReader, open_manifest, read_slice
from transforms.manifest.parse import RowError, parse_row
from transforms.probe import image_facts
from transforms.records import ManifestRow, Reason, Run, StyleEntry
from transforms.resolve import refusal, resolve_run


class Facts(dict):
    def __missing__(self, uri):
        self[uri] = image_facts(uri)
        return self[uri]


class Fingerprints(dict):
    def __missing__(self, pair):
        return f"{pair[0]} {pair[1]}"


CONTENTS = ["content.png", "./content.png", "tall.png", "missing.png", "speck.png", "", "ftp://host/x.png", None]
STYLES = [
    [{"uri": "style_a.png", "weight": 1.0}],
    [{"uri": "style_a.png", "weight": 0.5}, {"uri": "tall.png", "weight": None}],
    [{"uri": "missing.png", "weight": 1.0}],
    [{"uri": "style_a.png", "weight": -1.0}],
    [{"uri": "style_a.png", "scale": 0.5}, {"uri": "tall.png", "content_mask": "tall.png", "style_mask": "speck.png"}],
    [{"uri": "style_a.png", "content_mask": "tall.png"}, {"uri": "tall.png", "content_mask": "speck.png"}],
    [{"uri": "style_a.png", "content_mask": "tall.png"}, {"uri": "tall.png", "content_mask": "./tall.png"}],
    [{"uri": "style_a.png", "content_mask": "black.png"}],
    [{"uri": "style_a.png", "style_mask": "missing.png"}],
    [{"uri": "black.png", "content_mask": "black.png"}],
    [],
    None,
]
REASONS = (
    *("too small", "not found", "learning_rate", "no file system", "config", "style_fit must be keep"),
    *("content_mask: ", "not black", "style_mask: ", "initial must be a path", "initial: ", "init must be image"),
    *("without initial, got image", "initial must have the content's shape"),
)
INITIALS = [None, None, "style_a.png", "tall.png", "black.png", "missing.png", ""]
SMALL = {**TINY, "style_layers": {"conv1_1": 0.5, "conv2_1": 0.5}}
CONFIGS = [
    SMALL,
    {**SMALL, "seed": 7},
    {**SMALL, "iterations": 50_000},
    {**SMALL, "style_fit": "keep"},
    {**SMALL, "style_fit": "keep", "style_scale": 0.1, "style_layers": {"conv4_1": 1.0}},
    {**SMALL, "pyramid": [{"scale": 0.25, "share": 0.5}, {"scale": 1.0, "share": 0.5}]},
    {**SMALL, "style_layers": {"conv3_1": 1.0}, "image_size": 8, "optimizer": "lbfgs"},
    {**SMALL, "init": "image"},
    {**SMALL, "init": "image", "color": "content"},
    {**SMALL, "color": "content"},
    {**SMALL, "learning_rate": -1.0},
    {**SMALL, "seed": float("nan")},
    None,
]


LIMITS = BatchLimits(room=Room(60 * 10**6))  # So little that the number of regions decides about batch sizes.


def random_rows(seed, count=300):
    random = np.random.default_rng(seed)
    picks = [random.integers(len(values), size=count) for values in (CONTENTS, STYLES, CONFIGS, INITIALS)]
    # By chance a row is rarely good in all its columns but one.
    rare = [[0, 0, CONFIGS.index(config), initial] for config in CONFIGS for initial in range(len(INITIALS))]
    for content, style, config, initial in (*rare, *zip(*picks, strict=True)):
        yield {
            "content": CONTENTS[content],
            "style": with_every_field(STYLES[style]),
            "config": CONFIGS[config],
            "initial": INITIALS[initial],
            "label": "x",
        }


def with_every_field(style):
    """Returns a style whose entries have the same fields, as a column of structs has them."""
    return style and [{**dict.fromkeys(("weight", "scale", "content_mask", "style_mask")), **entry} for entry in style]


def one_by_one(manifest, facts, fingerprints):
    """The good rows' run_ids and groups and the bad rows' reasons, without anything shared."""
    for part in manifest.slices:
        for offset, values in enumerate(read_slice(part)):
            try:
                row = parse_row(values, part.first_row + offset, part.first_in_file + offset, part.file)
            except RowError as error:
                yield f"{part.file}, row {part.first_in_file + offset}: {error}"
                continue
            run = resolve_run(row, facts, fingerprints, Arithmetic("any"))
            if isinstance(run, Reason):
                yield run.error_message
                continue
            group = Group.of(run, batch_size_of(run, LIMITS))
            refused = refusal(run, facts)
            yield refused.error_message if refused else (int(run.run_id, 16), place_of(run), group)


class Collected(RunCounter):
    """Remembers what it was given."""

    def __init__(self):
        super().__init__(lambda _: True)
        self.runs = []

    def add(self, ids, places, groups):
        super().add(ids, places, groups)
        names, rows = list(self._numbers), zip(ids.tolist(), places.tolist(), groups.tolist(), strict=True)
        self.runs += [(run_id, place, names[group]) for run_id, place, group in rows]


@pytest.mark.parametrize("as_json", [False, True], ids=["structs", "JSON"])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_as_one_by_one(inputs, monkeypatch, seed, as_json):
    monkeypatch.setattr("transforms.manifest.files.ROWS_PER_READ", 37)
    paint(inputs / "speck.png", 3, 2, 0)
    Image.new("RGB", (8, 8)).save(inputs / "black.png")
    rows = list(random_rows(seed))
    if as_json:
        rows = [{**row, "config": json.dumps(row["config"]) if row["config"] else None} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), inputs / "m.parquet", row_group_size=101)
    manifest = open_manifest(str(inputs / "m.parquet"), limit=380)
    facts, fingerprints, counter = Facts(), Fingerprints(), Collected()
    planner, bad = RowPlanner(counter, facts, fingerprints, Arithmetic("any"), LIMITS), []
    for part in manifest.slices:
        taken = 0
        for batch in SliceReader().batches(part):
            bad += planner.take(batch, part, taken)
            taken += batch.num_rows
    expected = list(one_by_one(manifest, facts, fingerprints))
    assert Counter(counter.runs) == Counter(entry for entry in expected if type(entry) is tuple)
    assert [reason.error_message for reason, _ in bad] == [entry for entry in expected if type(entry) is str]
    assert all(reason.error_message.startswith(f"{location}: ") for reason, location in bad)
    for message in REASONS:
        assert any(message in reason.error_message for reason, _ in bad)
    assert len({group.batch_size for _, _, group in counter.runs if group.bucket.kind.regions}) > 1
    groups = {group.stages for _, _, group in counter.runs}
    assert {len(stages) for stages in groups} == {1, 2}


OTHER_VALUES = {
    "content_weight": 7.0,
    "style_weight": 7.0,
    "tv_weight": 7.0,
    "learning_rate": 7.0,
    "beta_1": 0.5,
    "beta_2": 0.5,
    "epsilon": 0.5,
    "init": "content",
    "seed": 7,
    "early_stop_window": 7,
    "early_stop_tolerance": 0.5,
    "color": "match",
    "noise_blend": 0.5,
    "average_decay": 0.5,
}
REFUSED = {"adam": (), "lbfgs": ("average_decay",)}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_field_declared_as_data_decides_about_a_group(optimizer):
    data = {field.name for field in dataclasses.fields(StyleConfig) if field.metadata["is_data"]}
    assert data == {"preset", *OTHER_VALUES}  # A preset shows in the fields that it sets.

    def group(**values):
        config = StyleConfig(optimizer=optimizer, pyramid=((0.5, 0.5), (1.0, 0.5)), **values)
        row = ManifestRow(0, "m.parquet, row 0", "row-0", "c", "c", (StyleEntry("s", "s", 1.0),), config, None)
        run = Run("0" * 16, row, "c" * 64, ("s" * 64,), "w" * 64, 48, 64)
        limits = BatchLimits(room=Room(10**9))
        return Group.of(run, batch_size_of(run, limits), limits.room)

    for field in OTHER_VALUES.keys() - REFUSED[optimizer]:
        assert group(**{field: OTHER_VALUES[field]}) == group()
    assert group(iterations=7) != group()
