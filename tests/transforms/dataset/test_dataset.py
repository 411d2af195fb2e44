"""The dataset opens with one line, off-line, and holds what the job made: pictures, types, splits, and no more."""

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from pipeline.cli.main import main
from pipeline.run import run
from tests.support.gallery_rows import metrics_row
from tests.support.outputs import edit_metrics, metrics_of
from transforms.dataset import axes as axes_module
from transforms.dataset import plan as plan_module
from transforms.dataset import shards as dataset_module
from transforms.dataset.axes import Axes, Axis
from transforms.dataset.card import CardFacts, dataset_card
from transforms.dataset.plan import plan_dataset
from transforms.dataset.schema import METRICS_COLUMNS, Label, LabelKinds, Layout, split_name
from transforms.dataset.shards import write_dataset
from transforms.output.measures import MEASURE_KEYS
from transforms.output.paths import Output
from transforms.output.rows import MetricsRows
from transforms.rebuild import rebuild

PICTURE_ROW_BYTES = 1024 + 3 * 36 * 48
HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes\" 'and' `ticks` | pipes | $dollars ${rows}",
    "\u202eright to left\u200f",
    "---\nlicense: mit\n---\n# heading",
    "x" * 10_000,
    "a: b #c\t\x00\x85\u2028",
]


def load(path, tmp_path, **options):
    assert datasets.config.HF_HUB_OFFLINE
    return datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"), **options)


def build(output, shard_bytes=dataset_module.SHARD_BYTES, mode=None):
    write_dataset(MetricsRows(Output(str(output))), Output(str(output)), mode, shard_bytes)
    return sorted(path.name for path in (output / "dataset").glob("*.parquet"))


def relabel(output, extras):
    """Gives the finished runs these further columns, in order of their rows; from now on only markers know them."""
    markers = sorted((output / "runs").glob("*.json"), key=lambda path: json.loads(path.read_text())["manifest_row"])
    for path, extra in zip(markers, extras, strict=True):
        path.write_text(json.dumps({**json.loads(path.read_text()), "extra": json.dumps(extra)}))
    for path in (output / "metrics").iterdir():
        path.unlink()


def head_of(card):
    return YAML(typ="safe").load(card.split("---\n")[1])


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("builder", ["directory", "parquet"])
def test_load_dataset_gives_the_pictures_and_the_splits(builder, small_output, tmp_path):
    folder = small_output / "dataset"
    loaded = load(folder, tmp_path) if builder == "directory" else load("parquet", tmp_path, data_dir=str(folder))
    done = [row for row in metrics_of(small_output) if row["status"] == "done"]
    assert list(loaded) == ["train", "test"]
    for split in loaded:
        expected = [row for row in done if json.loads(row["extra"])["split"] == split]
        assert loaded[split]["run_id"][:] == [row["run_id"] for row in expected]
        for item, row in zip(loaded[split], expected, strict=True):
            assert isinstance(item["image"], Image.Image)
            assert np.array_equal(np.asarray(item["image"]), np.asarray(Image.open(small_output / row["image"])))
            assert item["loss_style"] == row["loss_style"]


def test_columns_are_typed(small_output, tmp_path):
    loaded = load(small_output / "dataset", tmp_path)["train"]
    features = loaded.features
    assert features["image"] == datasets.Image()
    assert features["label"] == datasets.Value("int64")
    assert features["split"] == datasets.Value("string")
    assert features["loss_total"] == datasets.Value("float32")
    number, text = datasets.Value("float64"), datasets.Value("string")
    entry = {"uri": text, "weight": number, "scale": number, "content_mask": text, "style_mask": text}
    assert features["style"] == datasets.List(entry)
    assert features["initial"] == text and features["notes"] == datasets.List(text)
    assert features["config"]["seed"] == datasets.Value("int64")
    config = loaded[0]["config"]
    assert config["content_weight"] == 1e5
    assert {"layer": "block2_conv1", "weight": 0.5} in config["style_layers"]


def test_the_features_are_those_that_the_library_would_write(small_output):
    schema = pq.read_schema(small_output / "dataset" / "train-00000-of-00001.parquet")
    features = datasets.Features.from_arrow_schema(schema)
    assert features.arrow_schema.remove_metadata() == schema.remove_metadata()
    assert json.loads(schema.metadata[b"huggingface"]) == json.loads(features.arrow_schema.metadata[b"huggingface"])


def test_shards_are_cut_by_bytes(small_output, tmp_path):
    names = build(small_output, shard_bytes=2 * PICTURE_ROW_BYTES)
    assert names == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    sizes = [pq.read_metadata(small_output / "dataset" / name).num_rows for name in names]
    assert sizes == [2, 2, 1]
    loaded = load(small_output / "dataset", tmp_path)
    assert loaded["train"]["label"][:] == [0, 2, 0]


def test_a_picture_above_the_limit_has_its_own_shard(small_output):
    assert len(build(small_output, shard_bytes=1)) == 5


def test_stale_shards_go_and_other_files_stay(small_output):
    (small_output / "dataset" / "mine.parquet").write_bytes(b"mine")
    build(small_output, shard_bytes=1)
    assert build(small_output) == ["mine.parquet", "test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]


def test_built_again_the_bytes_are_the_same(small_output):
    folder = small_output / "dataset"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.glob("*.parquet"):
        path.unlink()
    build(small_output)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_files_with_the_same_rows_are_not_written(small_output):
    before = stamps(small_output / "dataset")
    build(small_output)
    assert stamps(small_output / "dataset") == before


def test_a_damaged_file_is_written_again(small_output):
    shard = small_output / "dataset" / "train-00000-of-00001.parquet"
    good = shard.read_bytes()
    shard.write_bytes(good[:100])
    build(small_output)
    assert shard.read_bytes() == good


def test_a_missing_picture_is_left_out_until_it_is_back(small_output, caplog):
    shard = small_output / "dataset" / "test-00000-of-00001.parquet"
    good = shard.read_bytes()
    run_id = pq.read_table(shard)["run_id"][0].as_py()
    picture = small_output / "images" / f"{run_id}.png"
    data = picture.read_bytes()
    shard.unlink()
    picture.unlink()
    build(small_output)
    assert run_id not in pq.read_table(shard)["run_id"].to_pylist()
    assert f"images/{run_id}.png is missing" in caplog.text
    picture.write_bytes(data)
    build(small_output)
    assert shard.read_bytes() == good


def test_row_groups_are_cut_by_bytes(small_output, monkeypatch):
    (small_output / "dataset" / "train-00000-of-00001.parquet").unlink()
    monkeypatch.setattr(dataset_module, "GROUP_BYTES", 1)
    build(small_output)
    assert pq.read_metadata(small_output / "dataset" / "train-00000-of-00001.parquet").num_row_groups == 3


def test_row_groups_of_rows_with_long_labels_stay_small(tmp_path):
    """The public viewer shows nothing of a file with a row group above 300 MB."""

    class LongLabels:
        def rows(self, columns=None, within=None):
            for number in range(1_000):
                label = np.random.default_rng(number).bytes(20_000).hex()
                row = {**finished_row(number), "extra": json.dumps({"label": label})}
                yield number, {**dict.fromkeys((*METRICS_COLUMNS, *MEASURE_KEYS)), **row}

    write_dataset(LongLabels(), Output(str(tmp_path)), "metadata")
    (shard,) = (tmp_path / "dataset").glob("*.parquet")
    metadata = pq.read_metadata(shard)
    sizes = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    assert metadata.num_rows == 1_000 and sum(sizes) > 2 * dataset_module.GROUP_BYTES
    assert max(sizes) <= dataset_module.GROUP_BYTES < 300e6


def finished_row(number, **config):
    """A row as `read_metrics` gives it, with maps as dicts."""
    row = metrics_row(number, config=config)
    layers = {name: dict(row["config"][name]) for name in ("content_layers", "style_layers")}
    return {**row, "config": {**row["config"], **layers}}


def with_frames(output, *iterations):
    """Gives every finished run frames at these iterations; returns a frame's bytes by run_id and iteration."""
    edit_metrics(output, lambda row: {"frames": list(iterations)} if row["status"] == "done" else {})
    for run_id in {row["run_id"] for row in metrics_of(output) if row["status"] == "done"}:
        for iteration in iterations:
            path = output / "frames" / run_id / f"{iteration}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 9), (iteration, 20, 30)).save(path, lossless=True)


def test_frames_are_pictures_too(small_output, tmp_path):
    with_frames(small_output, 0, 3)
    build(small_output)
    loaded = load(small_output / "dataset", tmp_path)["train"]
    for row in loaded:
        assert [frame["iteration"] for frame in row["frames"]] == [0, 3]
        assert [frame["image"].getpixel((0, 0)) for frame in row["frames"]] == [(0, 20, 30), (3, 20, 30)]
    schema = pq.read_schema(small_output / "dataset" / "train-00000-of-00001.parquet")
    features = datasets.Features.from_arrow_schema(schema)
    assert json.loads(schema.metadata[b"huggingface"]) == json.loads(features.arrow_schema.metadata[b"huggingface"])


def test_metadata_mode_has_the_paths_of_frames(small_output, tmp_path):
    with_frames(small_output, 0, 3)
    build(small_output, mode="metadata")
    for row in load(small_output / "dataset", tmp_path)["train"]:
        assert [frame["iteration"] for frame in row["frames"]] == [0, 3]
        assert all((small_output / frame["image_path"]).exists() for frame in row["frames"])
        assert all(row["run_id"] in frame["image_path"] for frame in row["frames"])


def test_a_missing_frame_is_left_out_until_it_is_back(small_output, caplog):
    with_frames(small_output, 0, 3)
    shard = small_output / "dataset" / "train-00000-of-00001.parquet"
    run_id = pq.read_table(shard)["run_id"][0].as_py()
    frame = small_output / "frames" / run_id / "3.webp"
    data = frame.read_bytes()
    frame.unlink()
    build(small_output)
    assert [len(frames) for frames in pq.read_table(shard)["frames"].to_pylist()] == [1, 2, 1], (
        "the third is a duplicate"
    )
    assert f"frames/{run_id}/3.webp is missing" in caplog.text
    frame.write_bytes(data)
    build(small_output)
    assert [len(frames) for frames in pq.read_table(shard)["frames"].to_pylist()] == [2, 2, 2]


def choose(output, *choices):
    (output / "choices.json").write_text(json.dumps({"version": 1, "choices": choices}))


def test_choices_are_columns(small_output, tmp_path):
    first, second, *others = dict.fromkeys(row["run_id"] for row in metrics_of(small_output) if row["status"] == "done")
    choose(
        small_output,
        {"run_id": first, "rating": 4, "tags": ["sky", "<b>"], "rejected": False},
        {"run_id": second, "rating": None, "tags": [], "rejected": True},
    )
    rebuild(Output(str(small_output)))
    loaded = load(small_output / "dataset", tmp_path)
    rows = [row for split in loaded.values() for row in split]
    assert {row["run_id"]: (row["rating"], row["tags"], row["rejected"]) for row in rows} == {
        first: (4, ["sky", "<b>"], False),
        second: (None, [], True),
        **dict.fromkeys(others, (None, [], False)),
    }
    assert "`rating`" in (small_output / "dataset" / "README.md").read_text()
    (small_output / "choices.json").unlink()
    rebuild(Output(str(small_output)))
    assert "rating" not in load(small_output / "dataset", tmp_path / "again")["train"].column_names


def test_a_label_that_is_called_as_a_choice_is_renamed(small_output):
    relabel(small_output, [{"tags": "mine", "frames": 3}] * 4)
    choose(small_output)
    rebuild(Output(str(small_output)))
    table = pq.read_table(small_output / "dataset" / "train-00000-of-00001.parquet")
    assert table["extra_tags"].to_pylist() == ["mine"] * 4 and table["tags"].to_pylist() == [[]] * 4
    assert table["frames"].to_pylist() == [3] * 4


@pytest.mark.parametrize("text", ["{", '{"version": 1, "choices": [{"run_id": "0123456789abcdef", "rating": 1}]}'])
def test_choices_that_are_not_of_this_grid_are_refused_and_nothing_is_written(small_output, text, capsys):
    path = small_output / "choices.json"
    path.write_text(text)
    for shard in (small_output / "dataset").glob("*.parquet"):
        shard.unlink()
    assert main(["gallery", str(small_output), "--measures=all", "--title", "Never written"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"stylebeam: {path}: ")
    assert not list((small_output / "dataset").glob("*.parquet")) and not (small_output / "measures").exists()
    assert "Never written" not in (small_output / "gallery/index.html").read_text()
    assert main(["gallery", str(small_output), "--dataset=none"]) == 0


def test_a_job_goes_without_choices_that_are_not_of_its_grid(finished_job, small_output, caplog):
    (small_output / "choices.json").write_text("{")
    run(["--manifest", str(finished_job / "manifest.parquet"), "--output", str(small_output)])
    assert "the dataset goes without choices" in caplog.text
    assert "rating" not in pq.read_schema(small_output / "dataset" / "train-00000-of-00001.parquet").names


def test_the_card_shows_axes_measures_and_a_picture(small_output):
    card = (small_output / "dataset" / "README.md").read_text()
    assert "| style | style\\_a, style\\_b | 2 |" in card
    assert "| content\\_weight | 10000, 100000 | 2 |" in card
    assert "| content |" not in card and "learning" not in card.partition("## Columns")[0]
    values = [row["measure_ssim"] for row in metrics_of(small_output) if row["status"] == "done"]
    assert f"| `measure_ssim` | more | {min(values):.4g} | {max(values):.4g} | 5 |" in card
    assert "![One of the pictures](sample.webp)" in card
    sample = (small_output / "dataset" / "sample.webp").read_bytes()
    assert sample == (small_output / "thumbs" / f"{metrics_of(small_output)[0]['run_id']}.webp").read_bytes()


def test_the_picture_of_the_card_is_the_best_rated(small_output):
    rejected, good, best, *_ = dict.fromkeys(
        row["run_id"] for row in metrics_of(small_output) if row["status"] == "done"
    )
    choose(
        small_output,
        {"run_id": rejected, "rating": 5, "rejected": True},
        {"run_id": good, "rating": 2},
        {"run_id": best, "rating": 3},
    )
    rebuild(Output(str(small_output)))
    thumb = small_output / "thumbs" / f"{best}.webp"
    assert (small_output / "dataset" / "sample.webp").read_bytes() == thumb.read_bytes()
    thumb.unlink()
    rebuild(Output(str(small_output)))
    assert "sample.webp" not in (small_output / "dataset" / "README.md").read_text()


def test_values_of_axes_are_counted_and_escaped():
    labels = tuple(f"<b>{number}|*" for number in range(15))
    card = dataset_card(dataclasses.replace(facts("title"), axes=(Axis("weights", labels), Axis("seed", labels, True))))
    assert "<b>" not in card and "&lt;b&gt;0\\|\\*" in card
    assert " and 3 more | 15 |" in card and " and more than 3 more | more than 15 |" in card


def test_an_axis_with_very_many_values_is_not_remembered_whole(monkeypatch):
    monkeypatch.setattr(axes_module, "MAX_VALUES", 3)
    axes = Axes()
    for seed in (5, 2, 1, 2, 4):
        axes.add(finished_row(0, seed=seed))
    assert axes.varying() == (Axis("seed", ("1", "2", "5"), has_more=True),)


def test_metadata_mode_has_the_path_of_the_picture(small_output, tmp_path):
    build(small_output, mode="metadata")
    loaded = load(small_output / "dataset", tmp_path)["test"]
    assert "image" not in loaded.column_names
    for row in loaded:
        assert json.loads(Image.open(small_output / row["image_path"]).text["stylebeam"])["run_id"] == row["run_id"]  # type: ignore[attr-defined]


def test_the_default_leaves_many_pictures_where_they_are(small_output, monkeypatch):
    source = MetricsRows(Output(str(small_output)))
    monkeypatch.setattr(plan_module, "FULL_UP_TO_BYTES", 5 * PICTURE_ROW_BYTES)
    assert plan_dataset(source, "", None, 1000).facts.layout.mode == "full"
    monkeypatch.setattr(plan_module, "FULL_UP_TO_BYTES", 5 * PICTURE_ROW_BYTES - 1)
    assert plan_dataset(source, "", None, 1000).facts.layout.mode == "metadata"


def test_the_job_writes_what_the_option_says(finished_job, small_output):
    job = ["--manifest", str(finished_job / "manifest.parquet"), "--output", str(small_output)]
    before = stamps(small_output / "dataset")
    run([*job, "--dataset=none"])
    assert stamps(small_output / "dataset") == before
    run([*job, "--dataset=metadata", "--direct_runner_bundle_repeat=1"])
    schema = pq.read_schema(small_output / "dataset" / "train-00000-of-00001.parquet")
    assert "image" not in schema.names
    before = stamps(small_output / "dataset")
    rebuild(Output(str(small_output)))  # Does as the job was told.
    assert stamps(small_output / "dataset") == before


def test_no_finished_row_gives_a_file_with_the_columns(tmp_path):
    class NoRows:
        def rows(self, columns=None, within=None):
            return iter(())

    write_dataset(NoRows(), Output(str(tmp_path)), None)
    table = pq.read_table(tmp_path / "dataset" / "train-00000-of-00001.parquet")
    assert table.num_rows == 0
    assert {"image", "run_id", "config"} <= set(table.column_names)


def test_hostile_labels_names_and_titles_are_data(small_output, tmp_path):
    names = [f"{text[:40]} {index}" for index, text in enumerate(HOSTILE)]
    extras = [{"split": text, "run_id": text, "": index, **dict.fromkeys(names, text)} for index, text in
              enumerate(HOSTILE[:4])]  # fmt: skip
    relabel(small_output, extras)
    job = json.loads((small_output / "job.json").read_text())
    (small_output / "job.json").write_text(json.dumps({**job, "manifest": HOSTILE[0] + HOSTILE[2] + HOSTILE[3]}))
    rebuild(Output(str(small_output)))
    loaded = load(small_output / "dataset", tmp_path)
    assert set(loaded) == {"script_alert_1_script", "quotes_and_ticks_pipes_dollars_rows", "right_to_left",
                           "license_mit_heading"}  # fmt: skip
    rows = {row["extra_run_id"]: row for split in loaded.values() for row in split}
    assert set(rows) == set(HOSTILE[:4])
    for index, text in enumerate(HOSTILE[:4]):
        assert rows[text]["extra"] == index
        columns = [name.replace("\x00", "_").replace("\t", "_").replace("\n", "_") for name in names]
        assert all(rows[text][column] == text for column in columns)
    card = (small_output / "dataset" / "README.md").read_text()
    assert head_of(card)["license"] == "unknown"
    assert "<script" not in card.split("---\n", 2)[2]
    assert not set("\u202e\u200f\x00\x85\u2028") & set(card.split("---\n", 2)[2])


def test_labels_of_ten_thousand_characters(small_output, tmp_path):
    long = "x" * 10_000
    relabel(small_output, [{"split": long, long: long}] * 4)
    rebuild(Output(str(small_output)))
    loaded = load(small_output / "dataset", tmp_path)
    assert list(loaded) == ["x" * 60]
    assert loaded["x" * 60][long][:] == [long] * 4
    assert len((small_output / "dataset" / "README.md").read_text()) < 5000


LABELS: dict[str, list[Any]] = {
    "bool": [True, False, None],
    "int": [1, -(2**63), None],
    "float": [1.5, 2, None],
    "string": ["a", "", None],
    "mixed": ["a", 1, True],
    "list": [[1], [2, "b"], None],
    "huge": [2**70, 1, 2],
    "absent": [None, None, None],
}


def test_labels_have_the_type_of_their_values():
    kinds = LabelKinds()
    for index in range(3):
        kinds.add({name: values[index] for name, values in LABELS.items()})
    found = {label.key: label.kind for label in kinds.labels(())}
    assert found == {
        **{name: name for name in ("bool", "int", "float", "string")},
        **dict.fromkeys(("mixed", "list", "huge"), "json"),
        "absent": "string",
    }


def test_values_of_labels_survive(small_output, tmp_path):
    extras = [{name: values[index] for name, values in LABELS.items()} for index in range(3)]
    relabel(small_output, [*extras, {}])
    rebuild(Output(str(small_output)))
    rows = list(load(small_output / "dataset", tmp_path)["train"])
    for name in ("bool", "int", "float", "string", "absent"):
        assert [row[name] for row in rows] == [*LABELS[name], None]
    for name in ("mixed", "list", "huge"):
        assert [json.loads(row[name] or "null") for row in rows] == [*LABELS[name], None]


def test_more_splits_than_anyone_means_are_none(small_output, monkeypatch):
    relabel(small_output, [{"split": f"row {index}"} for index in range(4)])
    monkeypatch.setattr(plan_module, "MAX_SPLITS", 2)
    rebuild(Output(str(small_output)))
    rows = {path.name.partition("-")[0]: pq.read_table(path)["split"].to_pylist()
            for path in (small_output / "dataset").glob("*.parquet")}  # fmt: skip
    assert rows == {"row_0": ["row 0"], "row_1": ["row 1"], "train": ["row 2", "row 3"]}


@pytest.mark.parametrize(
    ("value", "name"),
    [("Test", "test"), (None, "train"), ("", "train"), ("../up", "up"), (3, "3"), ("all", "all_"), ({"a": 1}, "train")],
)
def test_split_names(value, name):
    assert split_name({"split": value}) == name


def test_what_a_curator_writes_into_the_card_stays(small_output):
    path = small_output / "dataset" / "README.md"
    card = path.read_text()
    edited = card.replace("license: unknown  # fill in, such as cc-by-4.0", "license: cc-by-4.0\nlanguage: [en]")
    path.write_text(edited.replace("\n---\n", "\n---\nFrom me.\n", 1) + "\nThanks to all.\n")
    build(small_output, shard_bytes=1)
    rebuilt = path.read_text()
    head = head_of(rebuilt)
    assert (head["license"], head["language"]) == ("cc-by-4.0", ["en"])
    assert head["configs"][0]["data_files"][0] == {"split": "train", "path": "train-*-of-00003.parquet"}
    assert "\nFrom me.\n" in rebuilt
    assert rebuilt.endswith("\nThanks to all.\n")
    assert rebuilt.count("## Columns") == 1


def test_a_card_whose_head_is_damaged_is_left_alone(small_output, caplog):
    path = small_output / "dataset" / "README.md"
    path.write_text("---\nlicense: [\n---\nMine.\n")
    build(small_output, shard_bytes=1)
    assert path.read_text() == "---\nlicense: [\n---\nMine.\n"
    assert "README.md" in caplog.text


def test_a_card_without_a_head_gets_one():
    card = dataset_card(facts("title"), "Only text.\n")
    assert head_of(card)["configs"]
    assert card.endswith("Only text.\n")


def facts(title, label="label", rows=5):
    layout = Layout("full", (Label(label, label, "string"),), ("train",))
    return CardFacts(title, layout, {"train": rows}, {"train": 1}, ("StyleBeam 1",))


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text())
def test_any_text_leaves_the_card_whole(title, label):
    card = dataset_card(facts(title, label))
    head = YAML(typ="safe").load(io.StringIO(card.split("\n---\n")[0].removeprefix("---\n")))
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "train-*-of-00001.parquet"}]
    assert head["license"] == "unknown"
    assert dataset_card(facts(title, label), card) == card
    assert card.count("<!--") == 2


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**7, "n>10M")],
)
def test_size_categories(rows, category):
    assert head_of(dataset_card(facts("title", rows=rows)))["size_categories"] == [category]


def test_duplicates_keep_their_own_labels(small_output):
    table = pq.read_table(small_output / "dataset" / "train-00000-of-00001.parquet")
    assert table["run_id"][0] == table["run_id"][2]
    assert table.num_rows == 3


def test_the_schema_holds_no_map():
    """`datasets` refuses files with maps in them."""
    assert not any(pa.types.is_map(field.type) for field in Layout("full", (), ()).schema().field("config").type)


def test_no_part_is_left_behind(small_output):
    assert not [path for path in Path(small_output / "dataset").iterdir() if path.name.startswith(".")]
