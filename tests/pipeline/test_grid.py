"""Specifications expand to what a person would write down by hand, or are refused whole with one line."""

import pyarrow.parquet as pq
import pytest

from pipeline import grid
from pipeline.cli.main import main
from pipeline.grid import SpecError, write_grid
from stylecore import StyleConfig
from transforms.manifest.files import open_manifest, read_slice
from transforms.manifest.parse import parse_row

SPEC = """
contents: ["photos/*.png", gs://bucket/town.jpg]
styles:
  - a.png
  - [{uri: a.png, weight: 0.3}, {uri: b.png}]
config: {preset: gatys, image_size: 256, optimizer: adam}
sweep:
  content_weight: [1e5, 10]
  style_layers: [[conv1_1, conv2_1], {conv5_1: 1}]
extra: {split: no, batch: 3}
"""


def expand(tmp_path, spec, manifest="m.parquet"):
    (tmp_path / "spec.yaml").write_text(spec)
    (tmp_path / "photos").mkdir(exist_ok=True)
    for name in ("one", "two"):
        (tmp_path / "photos" / f"{name}.png").touch()
    count = write_grid(str(tmp_path / "spec.yaml"), str(tmp_path / manifest))
    return count, tmp_path / manifest


def test_a_grid(tmp_path):
    count, manifest = expand(tmp_path, SPEC)
    rows = pq.read_table(manifest).to_pylist(maps_as_pydicts="strict")
    assert count == len(rows) == 3 * 2 * 2 * 2
    assert [row["content"] for row in rows[::8]] == ["photos/one.png", "photos/two.png", "gs://bucket/town.jpg"]
    assert rows[0]["style"] == [{"uri": "a.png", "weight": 1.0}]
    assert rows[4]["style"] == [{"uri": "a.png", "weight": 0.3}, {"uri": "b.png", "weight": 1.0}]
    assert [row["config"]["content_weight"] for row in rows[:4]] == [1e5, 1e5, 10, 10]
    assert rows[0]["config"]["style_layers"] == {"conv1_1": 0.5, "conv2_1": 0.5}
    # YAML 1.2: `no` is text.
    assert (rows[0]["split"], rows[0]["batch"]) == ("no", 3)


def test_every_row_of_a_grid_is_a_valid_manifest_row(tmp_path):
    _, path = expand(tmp_path, SPEC)
    manifest = open_manifest(str(path))
    rows = [parse_row(values, 0, 0, str(path)) for part in manifest.slices for values in read_slice(part)]
    assert rows[0].config == StyleConfig.from_dict(
        {
            "preset": "gatys",
            "optimizer": "adam",
            "image_size": 256,
            "content_weight": 1e5,
            "style_layers": ["conv1_1", "conv2_1"],
        }
    )
    assert rows[0].content_uri == str(tmp_path / "photos" / "one.png")


def test_paths_are_relative_to_the_manifest(tmp_path):
    _, manifest = expand(tmp_path, "contents: [photos/one.png]\nstyles: [a.png]", "deep/er/m.parquet")
    assert pq.read_table(manifest).to_pylist() == [{"content": "../../photos/one.png", "style": "../../a.png"}]


MASKED = """
contents: [photos/one.png, photos/two.png]
styles:
  - a.png
  - {uri: a.png, style_mask: masks/a.png}
  - [{uri: a.png, weight: 2, content_mask: "masks/{content}-sky.png"}, {uri: b.png, scale: 0.5}]
initials: "starts/{content}.png"
config: {style_fit: keep}
sweep: {init: [content, image]}
"""


def test_masks_scales_and_initial_pictures(tmp_path):
    count, manifest = expand(tmp_path, MASKED, "deep/m.parquet")
    rows = pq.read_table(manifest).to_pylist(maps_as_pydicts="strict")
    assert count == len(rows) == 2 * 3 * 2
    nothing = dict.fromkeys(("scale", "content_mask", "style_mask"))
    for content, of_content in (("one", rows[:6]), ("two", rows[6:])):
        assert [row["initial"] for row in of_content] == [None, f"../starts/{content}.png"] * 3
        assert [row["style"] for row in of_content[::2]] == [
            [{"uri": "../a.png", "weight": 1.0, **nothing}],
            [{"uri": "../a.png", "weight": 1.0, **nothing, "style_mask": "../masks/a.png"}],
            [
                {"uri": "../a.png", "weight": 2.0, **nothing, "content_mask": f"../masks/{content}-sky.png"},
                {"uri": "../b.png", "weight": 1.0, **nothing, "scale": 0.5},
            ],
        ]


def test_initial_pictures_for_each_content(tmp_path):
    spec = "contents: [c, d]\nstyles: [s]\ninitials: [i, j]\nconfig: {init: image}"
    rows = pq.read_table(expand(tmp_path, spec)[1]).to_pylist()
    assert [(row["content"], row["initial"]) for row in rows] == [("c", "i"), ("d", "j")]


def test_row_groups_are_written_in_a_stream(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "ROWS_PER_GROUP", 10)
    _, manifest = expand(tmp_path, "contents: [c]\nstyles: [s]\nsweep: {seed: [" + ",".join(map(str, range(25))) + "]}")
    metadata = pq.ParquetFile(manifest).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [10, 10, 5]


def test_named_configurations_and_a_sweep_multiply(tmp_path):
    spec = "contents: [c]\nstyles: [s]\nconfigs: [{preset: basic}, {seed: 4}]\nsweep: {iterations: [1, 2, 3]}"
    assert expand(tmp_path, spec)[0] == 6


def expand_with(tmp_path, spec, overrides):
    (tmp_path / "spec.yaml").write_text(f"contents: [c]\nstyles: [s]\n{spec}")
    count = write_grid(str(tmp_path / "spec.yaml"), str(tmp_path / "m.parquet"), overrides)
    rows = [row.get("config") for row in pq.read_table(tmp_path / "m.parquet").to_pylist(maps_as_pydicts="strict")]
    assert count == len(rows)
    return rows


@pytest.mark.parametrize(
    "spec", ["", "config: {iterations: 7}", "configs: [{iterations: 7}]", "sweep: {iterations: [7, 8]}"]
)
def test_overrides_win_wherever_the_field_stands(tmp_path, spec):
    assert expand_with(tmp_path, spec, {"iterations": 5}) == [{"iterations": 5}]


def test_overrides_leave_the_other_fields_alone(tmp_path):
    spec = "config: {seed: 4}\nconfigs: [{preset: basic}, {preset: gatys, iterations: 9}]\nsweep: {tv_weight: [0, 1]}"
    rows = expand_with(tmp_path, spec, {"iterations": 5})
    assert [(row["preset"], row["tv_weight"]) for row in rows] == [
        ("basic", 0.0),
        ("basic", 1.0),
        ("gatys", 0.0),
        ("gatys", 1.0),
    ]
    assert all(row["seed"] == 4 and row["iterations"] == 5 for row in rows)


def test_configurations_that_differed_only_in_what_is_overridden_become_one_row(tmp_path):
    rows = expand_with(tmp_path, "configs: [{seed: 1, iterations: 7}, {seed: 1}, {seed: 2}]", {"iterations": 5})
    assert [row["seed"] for row in rows] == [1, 2]


def test_overrides_are_checked_like_the_specification(tmp_path):
    with pytest.raises(SpecError, match="unknown field 'itrations', did you mean 'iterations'"):
        expand_with(tmp_path, "", {"itrations": 5})
    with pytest.raises(SpecError, match="iterations must be a number"):
        expand_with(tmp_path, "", {"iterations": "many"})


def test_overrides_from_the_command_line(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text("contents: [c]\nstyles: [s]\nsweep: {seed: [1, 2]}")
    manifest = tmp_path / "m.parquet"
    settings = ["--set", "image_size=64", "--set", 'style_layers={"conv1_1": 1}', "--set", "pooling=avg"]
    assert main(["grid", str(tmp_path / "spec.yaml"), "--output", str(manifest), *settings]) == 0
    assert "2 rows" in capsys.readouterr().out
    (row, _) = [row["config"] for row in pq.read_table(manifest).to_pylist(maps_as_pydicts="strict")]
    assert row == {
        "image_size": 64,
        "style_layers": {"conv1_1": 1.0},
        "pooling": "avg",
        "seed": 1,
    }


def test_a_setting_without_a_value_is_a_usage_error(tmp_path, capsys):
    assert main(["grid", "spec.yaml", "--output", str(tmp_path / "m.parquet"), "--set", "image_size"]) == 2
    assert "--set must be FIELD=VALUE" in capsys.readouterr().err


BAD_SPECS = [
    ("contents: [c]\nstyle: [s]", "unknown key 'style', did you mean 'styles'"),
    ("contents: []\nstyles: [s]", "contents must be a list"),
    ("contents: ['none*.png']\nstyles: [s]", "contents: nothing matches 'none*.png'"),
    ("contents: [c]", "styles must be a list"),
    ("contents: [c]\nstyles: [[{url: s}]]", "style: unknown field 'url', did you mean 'uri'?"),
    ("contents: [c]\nstyles: [[s]]", "styles: expected {uri, weight, ...}, got 's'"),
    ("contents: [c]\nstyles: [[{1: s, uri: t}]]", "styles: expected {uri, weight, ...}, got {1: 's', 'uri': 't'}"),
    ("contents: [c]\nstyles: [{uri: s, scale: 9}]", "style scale must be > 0 and <= 8, got 9"),
    ("contents: [c]\nstyles: [{uri: s, scale: 1}]", "style_fit must be keep with the scale of a style, got stretch"),
    ("contents: [c]\nstyles: [{uri: s, style_mask: 'ftp://h/m'}]", "style style_mask: ftp://h/m: no file system"),
    ("contents: [c]\nstyles: [s]\ninitials: [i, j]", "initials must be one path or as many as contents, got 2 for 1"),
    ("contents: [c]\nstyles: [s]\ninitials: i", "config: init must be image with initials"),
    ("contents: [c]\nstyles: [s]\nconfig: {init: image}", "initials must be a path, or one for each content"),
    ("contents: [c]\nstyles: [s]\nsweep: {itrations: [1]}", "unknown field 'itrations', did you mean 'iterations'"),
    ("contents: [c]\nstyles: [s]\nsweep: {iterations: 5}", "sweep: iterations must be a list of values"),
    ("contents: [c]\nstyles: [s]\nconfig: {learning_rate: -1}", "learning_rate must be > 0, got -1"),
    ("contents: [c]\nstyles: [s]\nextra: {style: x}", "'style' is a column of its own"),
    ("contents: [c", "not valid YAML"),
    ("- 1", "must be a mapping"),
]


@pytest.mark.parametrize(("spec", "message"), BAD_SPECS)
def test_bad_specifications_are_refused_whole(tmp_path, spec, message):
    with pytest.raises(SpecError) as error:
        expand(tmp_path, spec)
    assert message in str(error.value)
    assert "spec.yaml" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "m.parquet").exists()
