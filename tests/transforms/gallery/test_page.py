"""The files of the gallery, without a browser."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from tests.support.gallery_reader import chunk_records, details_of, index_of, part_records, runs_of
from tests.support.gallery_rows import failed_row, grid_rows, masked_rows, metrics_row
from transforms.gallery import part
from transforms.gallery.files import gallery_files

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "\"quoted\" 'twice' \\ `back` ${ticks}",
    "line\u2028and paragraph\u2029ends",
    "\u202eright to left\u202c and \u200f marks",
    "]]></title> & &lt;",
    "x" * 10_000,
]


class Elements(HTMLParser):
    """The page's elements, as a browser sees them: (tag, attributes, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict, str]] = []
        self.open = False

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), ""))
        self.open = True

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)


def elements(page: bytes) -> list[tuple[str, dict, str]]:
    parser = Elements()
    parser.feed(page.decode())
    return parser.found


def dimension(output: dict[str, bytes], key: str) -> dict:
    [found] = [dimension for dimension in index_of(output)["dimensions"] if dimension["key"] == key]
    return found


def labels(output: dict[str, bytes], key: str) -> list[str]:
    return [value["label"] for value in dimension(output, key)["values"]]


def test_same_rows_give_same_bytes():
    assert list(gallery_files(grid_rows(), "t")) == list(gallery_files(grid_rows(), "t"))


def test_names_are_relative_unique_and_the_page_comes_last():
    names = [name for name, _ in gallery_files(grid_rows(), "t")]
    assert len(set(names)) == len(names)
    assert names[-1] == "index.html"
    assert all(re.fullmatch(r"(data/)?[a-z0-9.-]+", name) for name in names)


def test_page_refers_to_the_chunks_that_were_yielded_and_to_no_other():
    output = dict(gallery_files(grid_rows(), "t"))
    chunks = [
        name for part in index_of(output)["parts"] for kind in ("runs", "numbers", "failures") for name in part[kind]
    ]
    chunks += [name for record in part_records(output, "runs") for name in record["details"]]
    assert sorted(chunks) == sorted(name for name in output if name.startswith("data/"))


def test_chunk_names_change_with_their_content():
    before, after = (dict(gallery_files([metrics_row(0, device=device)], "t")) for device in ("CPU", "GPU"))
    assert {re.sub("-[0-9a-f]{8}", "", name) for name in set(before) ^ set(after)} == {
        "data/details-00000-0000.js",
        "data/runs-00000.js",  # which names the details
    }


def test_only_parameters_that_vary_are_dimensions():
    output = dict(gallery_files(grid_rows(), "t"))
    assert [found["key"] for found in index_of(output)["dimensions"]] == ["content", "style", "content_weight", "seed"]


def test_losses_are_named_by_the_index():
    output = dict(gallery_files(grid_rows(), "t"))
    losses = index_of(output)["losses"]
    assert [loss["key"] for loss in losses] == ["loss_total", "loss_content", "loss_style", "loss_tv"]
    [numbers], [detail, *_] = part_records(output, "numbers"), details_of(output)
    assert all(loss["key"] in numbers and loss["short"] in detail["history"] for loss in losses)
    assert losses[-1] == {"key": "loss_tv", "label": "total variation", "short": "tv"}


def test_measures_that_some_run_has_are_named_by_the_index():
    rows = [metrics_row(0), metrics_row(1, measure_ssim=0.5, measure_lpips=math.nan)]
    output = dict(gallery_files(rows, "t"))
    assert index_of(output)["measures"] == [
        {"key": "measure_ssim", "label": "structure of the content (SSIM)", "better": "max"}
    ]
    assert [run["measure_ssim"] for run in runs_of(output)] == [None, 0.5]
    assert "measure_lpips" not in part_records(output, "numbers")[0]


def test_codes_name_each_runs_values():
    rows = [metrics_row(number, config={"seed": seed}) for number, seed in enumerate((7, 3, 7, 5))]
    output = dict(gallery_files(rows, "t"))
    assert labels(output, "seed") == ["3", "5", "7"]
    assert [run["seed"] for run in runs_of(output)] == ["7", "3", "7", "5"]
    assert [run["run_id"] for run in runs_of(output)] == [row["run_id"] for row in rows]


def test_a_parameter_may_vary_late_and_be_absent_before():
    rows = [*(metrics_row(number) for number in range(3)), metrics_row(3, config={"new_field": 2})]
    output = dict(gallery_files(rows, "t"))
    assert labels(output, "new_field") == ["2", "none"]
    assert [run["new_field"] for run in runs_of(output)] == ["none", "none", "none", "2"]


def test_equal_numbers_are_one_value():
    rows = [metrics_row(0, config={"tv_weight": 10}), metrics_row(1, config={"tv_weight": 10.0})]
    assert index_of(dict(gallery_files(rows, "t")))["dimensions"] == []


@pytest.mark.parametrize("pairs", [False, True])
def test_layer_weights_are_readable(pairs):
    layers = [
        {"block1_conv1": 0.2, "block5_conv1": 0.2},
        {"block1_conv1": 0.9, "block5_conv1": 0.1},
        {"block1_conv1": 1.0, "block5_conv1": 0.0},
        {"conv1_relu": 0.125, "conv5_block2_2_conv": 0.25},
    ]
    rows = [
        metrics_row(number, config={"style_layers": list(weights.items()) if pairs else weights})
        for number, weights in enumerate(layers)
    ]
    assert labels(dict(gallery_files(rows, "t")), "style_layers") == [
        "conv1_1 conv5_1 × 0.2",
        "conv1_1 0.9, conv5_1 0.1",
        "conv1_1",
        "conv1_relu 0.125, conv5_block2_2_conv 0.25",
    ]


def test_runs_that_differ_in_masks_scale_or_initial_picture_alone_are_told_apart():
    output = dict(gallery_files(masked_rows(), "t"))
    assert labels(output, "style") == [
        "starry",
        "starry at 0.5",
        "starry in sky from stars",
        "starry × 1 in ground + scream × 0.5",
    ]
    assert dimension(output, "style")["values"][2]["full"] == "starry.jpg in masks/sky.png from masks/stars.png"
    initial = dimension(output, "initial")
    assert (initial["kind"], initial["ordered"]) == ("parameter", False)
    assert [(value["label"], "thumbs" in value) for value in initial["values"]] == [("none", False), ("town", True)]
    assert len({(run["style"], run["initial"]) for run in runs_of(output)}) == len(masked_rows())


def test_details_have_masks_and_initial_picture_with_their_thumbnails():
    rows = masked_rows()
    for row, detail in zip(rows, details_of(dict(gallery_files(rows, "t"))), strict=True):
        assert [{**dict.fromkeys(row["style"][0]), **entry} for entry in detail["style"]] == row["style"]
        names = ("initial", "initial_thumb", "mask_thumbs", "notes")
        assert {name: detail[name] for name in names} == {name: row[name] for name in names}


def test_entries_of_an_older_version_are_those_without_masks():
    plain, older = masked_rows()[0], metrics_row(1)
    assert older["style"] == [{"uri": "starry.jpg", "weight": 1.0}] != plain["style"]
    assert "style" not in [one["key"] for one in index_of(dict(gallery_files([plain, older], "t")))["dimensions"]]


def test_short_names_stay_different():
    contents = ["gs://a/x/town.jpg", "gs://a/y/town.jpg", "gs://a/x/river.png", "town.png"]
    output = dict(gallery_files([metrics_row(n, content) for n, content in enumerate(contents)], "t"))
    assert labels(output, "content") == ["x/town.jpg", "y/town.jpg", "river", "town.png"]
    assert dimension(output, "content")["values"][0]["full"] == contents[0]


def test_style_mixtures_are_named_by_their_parts():
    single = [{"uri": "starry.jpg", "weight": 1.0}]
    mixture = [{"uri": "starry.jpg", "weight": 0.7}, {"uri": "scream.jpg", "weight": 0.3}]
    rows = [metrics_row(0) | {"style": single}, metrics_row(1) | {"style": mixture}]
    assert labels(dict(gallery_files(rows, "t")), "style") == ["starry", "starry × 0.7 + scream × 0.3"]


def test_extra_columns_become_labels_unless_they_name_single_rows():
    rows = [
        metrics_row(n, extra=json.dumps({"split": "train" if n % 2 else "test", "caption": f"number {n}", "tags": [n]}))
        for n in range(part.MAX_LABEL_VALUES + 1)
    ]
    assert [found["key"] for found in index_of(dict(gallery_files(rows, "t")))["dimensions"]] == ["extra.split"]


def test_duplicate_rows_are_one_run():
    row = metrics_row(0)
    output = dict(gallery_files([row, {**row, "manifest_row": 1}], "t"))
    assert index_of(output)["runs"] == 1
    assert len(details_of(output)) == 1


def test_failures_are_counted_and_listed():
    output = dict(gallery_files(grid_rows(), "t"))
    assert index_of(output)["failure_types"] == [["ImageError", 2], ["Diverged", 1]]
    assert [failure["error_message"] for failure in part_records(output, "failures")] == [
        "gone.jpg does not exist",
        "not a picture",
        "the total loss is not finite",
    ]


@pytest.mark.parametrize("rows", [[], [failed_row(0, "ImageError", "gone")]], ids=["nothing", "only failures"])
def test_a_gallery_without_runs_is_a_page(rows):
    output = dict(gallery_files(rows, "t"))
    assert index_of(output)["runs"] == 0
    assert "index.html" in output


def test_details_are_found_by_the_first_record_of_each_chunk(monkeypatch):
    monkeypatch.setattr(part, "DETAIL_CHUNK_BYTES", 3_000)
    rows = grid_rows()
    output = dict(gallery_files(rows, "t"))
    [record] = part_records(output, "runs")
    chunks = [chunk_records(output[name]) for name in record["details"]]
    assert len(chunks) > 5
    assert record["starts"] == [sum(map(len, chunks[:number])) for number in range(len(chunks))]
    assert [record["run_id"] for chunk in chunks for record in chunk] == [r["run_id"] for r in rows if r["run_id"]]


def test_details_leave_memory_while_rows_are_read(monkeypatch):
    monkeypatch.setattr(part, "DETAIL_CHUNK_BYTES", 3_000)
    read: list[int] = []

    def rows() -> Iterator[dict]:
        for number in range(100):
            read.append(number)
            yield metrics_row(number)

    name, _ = next(gallery_files(rows(), "t"))
    assert name.startswith("data/details-00000-0000")
    assert len(read) < 10


def test_numbers_that_javascript_cannot_hold():
    row = metrics_row(0, loss_total=math.nan, loss_style=math.inf, config={"seed": 2**63 - 1})
    row["history"][0]["total"] = math.inf
    output = dict(gallery_files([row], "t"))
    [run], [detail] = runs_of(output), details_of(output)
    assert run["loss_total"] is run["loss_style"] is None
    assert detail["history"]["total"][0] is None
    assert detail["config"]["seed"] == "9223372036854775807"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_foreign_text_stays_text(text):
    rows = [
        metrics_row(0, text, "a.jpg", config={"weights": text}, extra=json.dumps({text[:50]: text, "b": 1})),
        metrics_row(1, "b.jpg", text, extra=text),
        failed_row(2, text, text),
    ]
    output = dict(gallery_files(rows, text))
    assert {tag for tag, _, _ in elements(output["index.html"])} == {
        tag for tag, _, _ in elements(dict(gallery_files(grid_rows(), "t"))["index.html"])
    }
    assert details_of(output)[0]["content"] == text
    assert details_of(output)[1]["style"][0]["uri"] == text
    assert part_records(output, "failures")[0]["error_message"] == text
    assert index_of(output)["title"] == text
    for name, content in output.items():
        if name.startswith("data/"):
            assert not re.search(rb"[<>&\x80-\xff]", content), name


def test_only_plain_relative_paths_become_pictures():
    bad = ["https://elsewhere/x.png", "../../x.png", "/x.png", "javascript:x", "sources//x.png", "a\\b.png", "x/../y"]
    for path in bad:
        row = metrics_row(0, image=path, content_thumb=path, style_thumbs=[path])
        [detail] = details_of(dict(gallery_files([row], "t")))
        assert (detail["image"], detail["content_thumb"], detail["style_thumbs"]) == (None, None, [None]), path


def test_rows_without_thumbnails_are_fine():
    row = metrics_row(0)
    del row["content_thumb"], row["style_thumbs"]
    assert details_of(dict(gallery_files([row], "t")))[0]["content_thumb"] is None


def test_policy_allows_this_script_and_nothing_from_elsewhere():
    found = elements(dict(gallery_files(grid_rows(), "t"))["index.html"])
    [policy] = [a["content"] for _, a, _ in found if a.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    [script] = [text for tag, attributes, text in found if tag == "script" and "type" not in attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    assert directives["script-src"] == f"'sha256-{digest}' 'self'"
    assert directives["img-src"] == "'self' data:"
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


def test_page_names_no_address_and_parses_no_markup():
    source = b"".join(
        content for name, content in gallery_files(grid_rows(), "t") if name.endswith(".html") or "data/" in name
    ).replace(b"http://www.w3.org/2000/svg", b"")
    assert not re.search(rb"https?://|//[a-z]+\.[a-z]", source)
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source)
