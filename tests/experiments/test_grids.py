"""The grids expand to valid rows, cover the paper, and a tiny run of all of them gives the whole report."""

import dataclasses
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from ruamel.yaml import YAML

from experiments import presets_page
from experiments.claims import CLAIMS
from experiments.report import write_report
from experiments.reproduce import Settings, reproduce
from experiments.results import Results, read_results
from experiments.sections import PRESETS_GRID, SECTIONS
from experiments.sizes import FULL, Size
from pipeline.grid import write_grid
from stylecore import StyleConfig
from stylecore.config.presets import PRESETS
from tests.support.paths import ROOT
from tests.support.pictures import paint
from tests.support.simulated import simulate_engines
from transforms.manifest.files import open_manifest, read_slice
from transforms.manifest.parse import parse_row

FOLDER = ROOT / "experiments"
GRIDS = sorted({*(section.grid for section in SECTIONS), PRESETS_GRID})
# A grid of its own, see test_controls.py.
CONTROLS_GRID = "controls"
PAPER = {"4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9", "4.10", "5", "6-7"}
TINY_SIZE = Size(image_size=32, iterations=3)
# These presets say themselves how long they compute.
OWN_ITERATIONS = {"gatys", "fast", "fine", "gaussian"}


def put_grids(folder: Path) -> Path:
    """Copies the grids, and paints small pictures under the names of the real inputs."""
    folder.mkdir()
    for grid in GRIDS:
        shutil.copy(FOLDER / f"{grid}.yaml", folder)
    for kind, pictures in (
        ("photographs", ("chelsea", "coffee", "rocket")),
        ("paintings", ("flow_field_strokes", "geometric_forms", "woodcut_waves")),
    ):
        (folder / "inputs" / kind).mkdir(parents=True)
        for seed, name in enumerate(pictures):
            paint(folder / "inputs" / kind / f"{name}.png", 32, 32, seed + 10 * len(kind))
    return folder


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_grids(tmp_path_factory.mktemp("experiments") / "grids")


@pytest.fixture(scope="module")
def settings(grids: Path) -> Settings:
    """A finished tiny reproduction, with pictures that no engine has computed: of each step kind that takes seconds."""
    root = grids.parent
    (root / "output").mkdir()
    (root / "docs").mkdir()
    # Of so small pictures no stage but the last has a position at each layer.
    overrides = {"weights": "random:1", "pyramid": []}
    report = root / "docs" / "reproduction.md"
    settings = Settings(TINY_SIZE, root / "output", report, grids, overrides, run_options=())
    with pytest.MonkeyPatch.context() as patch:
        simulate_engines(patch)
        assert reproduce(settings) == 0
    return settings


@pytest.fixture(scope="module")
def results(settings: Settings) -> Results:
    return read_results(settings.output / "job", settings.output / "manifest.parquet")


@pytest.fixture(scope="module")
def page(settings: Settings) -> str:
    return settings.report.read_text()


def configs_of(grids: Path, grid: str, tmp_path: Path) -> list[StyleConfig]:
    manifest = tmp_path / "m.parquet"
    write_grid(str(grids / f"{grid}.yaml"), str(manifest))
    opened = open_manifest(str(manifest))
    rows = [parse_row(values, 0, 0, str(manifest)) for part in opened.slices for values in read_slice(part)]
    assert all(Path(uri).is_file() for row in rows for uri in row.image_uris())
    return [row.config for row in rows]


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_expands_to_valid_rows_at_the_papers_size(grid, grids, tmp_path):
    configs = configs_of(grids, grid, tmp_path)
    assert configs
    assert {config.image_size for config in configs} == {512}
    expected = 2000 if grid == "4_04_iterations" else 1500
    assert {config.iterations for config in configs if config.preset not in OWN_ITERATIONS} == {expected}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.number)
def test_every_section_has_a_grid_that_says_what_it_is(section):
    text = (FOLDER / f"{section.grid}.yaml").read_text()
    assert text.startswith("# Section")
    assert section.number.split("-")[0] in text.partition("\n")[0]


def test_the_sections_are_the_papers_and_no_grid_is_left_out():
    assert {section.number for section in SECTIONS} == PAPER == CLAIMS.keys()
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*GRIDS, CONTROLS_GRID}


def test_the_presets_grid_and_page_have_every_preset():
    (presets,) = YAML(typ="safe").load(FOLDER / "presets.yaml")["sweep"].values()
    assert presets == list(PRESETS)
    assert presets_page.ABOUT.keys() == PRESETS.keys()


def test_overrides_of_a_size():
    assert TINY_SIZE.overrides() == {"image_size": 32, "iterations": 3}
    assert TINY_SIZE.overrides(4) == {"image_size": 32, "iterations": 12}
    assert FULL.overrides(4) == {}


def test_one_manifest_holds_every_experiment_and_runs_are_shared(settings, results):
    rows = pq.read_table(settings.output / "manifest.parquet").to_pylist()
    assert {row["experiment"] for row in rows} == set(GRIDS) - {PRESETS_GRID}
    assert len(rows) == sum(len(group) for group in results.rows.values())
    assert not any("resnet50" in json.loads(row["config"]).get("preset", "") for row in rows)
    basic = {row["run_id"] for row in results.rows["4_01_basic"]}
    for grid in ("4_02_content_style_ratio", "4_03_total_variation", "4_08_learning_rate", "4_09_seed", "5_gallery"):
        assert basic & {row["run_id"] for row in results.rows[grid]}
    assert {row["iterations"] for row in results.rows["4_04_iterations"]} == {12}


def test_labels_are_what_the_claims_ask_for(results):
    labels = {grid: {picture.label for picture in pictures} for grid, pictures in results.pictures.items()}
    assert labels["4_02_content_style_ratio"] == {"100", "10", "1", "0.1", "0.001", "0.0001"}
    assert labels["4_03_total_variation"] == {"0", "10", "100"}
    assert labels["4_05_content_loss"] == {"L2", "L1"}
    assert labels["4_06_content_layers"] == {"VGG19 (1)", "VGG19 (2)"}
    assert labels["4_07_style_layers"] == {"equal", "low", "high", "random"}
    assert labels["4_08_learning_rate"] == {"5", "15"}
    assert labels["4_10_resnet50"] == {"VGG19"}
    assert labels["6_7_future_work"] == {"basic", "average pooling", "from content", "from style"}
    assert len(labels["5_gallery"]) == 6


def test_only_what_needs_resnet50_is_left_unjudged(results):
    unjudged = {
        section.number
        for section in SECTIONS
        for claim in section.claims
        if claim.find(results.pictures[section.grid]).holds is None
    }
    assert unjudged == {"4.10"}


def test_the_report_has_every_section_and_claim(page):
    for section in SECTIONS:
        assert f"\n## {section.number} {section.title}\n" in page
        for claim in section.claims:
            assert page.count(f"| {claim.text} |") == 2
    assert "`make reproduce` includes it" in page
    assert "longest side 32 px, 3 iterations (section 4.4: 12)" in page


def test_the_reports_pictures_are_small_and_there(settings, page):
    folder = settings.report.with_suffix("")
    for section in SECTIONS:
        for name in (f"{section.grid}.webp", f"{section.grid}_curves.png"):
            assert f"(reproduction/{name})" in page
            with Image.open(folder / name) as picture:
                assert min(picture.size) > 32
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


def test_the_presets_page_has_every_preset_with_its_picture(settings, tmp_path):
    presets = dataclasses.replace(settings, output=tmp_path / "output", report=tmp_path / "presets.md")
    presets.output.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        simulate_engines(patch)
        assert presets_page.make_presets_page(presets) == 0
    page = presets.report.read_text()
    for name in PRESETS:
        assert f"| `{name}`" in page
        picture = tmp_path / "reproduction" / f"preset_{name}.webp"
        assert picture.is_file() == (f"(reproduction/{picture.name})" in page) == ("resnet50" not in name)


def test_the_same_results_give_the_same_bytes(settings, results, page, tmp_path):
    write_report(results, settings.size, tmp_path / "reproduction.md")
    assert (tmp_path / "reproduction.md").read_text() == page
    for path in (tmp_path / "reproduction").iterdir():
        assert path.read_bytes() == (settings.report.with_suffix("") / path.name).read_bytes()


def test_nothing_of_the_machine_is_in_the_report(settings, page):
    assert str(settings.output) not in page and str(FOLDER.parent) not in page


def test_a_failed_run_is_reported_and_leaves_its_claims_unjudged(settings, results, tmp_path):
    gone = {"status": "failed", "error_type": "NotFiniteError", "error_message": "the loss is not finite"}
    grid = "4_03_total_variation"
    rows = {grid: [{**row, **gone} for row in results.rows[grid]]}
    broken = Results(rows, {grid: []}, results.pixels, results.photographs, results.paintings)
    write_report(broken, settings.size, tmp_path / "reproduction.md")
    section = (tmp_path / "reproduction.md").read_text().partition("## 4.3")[2].partition("## 4.4")[0]
    assert "Failed: NotFiniteError: the loss is not finite" in section
    assert section.count("| not verified |") == 2 and "holds |" not in section
