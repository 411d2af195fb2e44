"""Hostile images and rows through a whole job: each row ends as done or failed with a reason, and nothing escapes."""

import json
import re
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.cli.main import main
from tests.hostile.encoders import jpeg_of_scans, tiff_of_shared_tags
from tests.hostile.images import hostile_picture
from tests.hostile.seeds import seed_pictures
from tests.support.contract import violations
from tests.support.inputs import TINY
from tests.support.outputs import metrics_of
from tests.support.pictures import paint

SMALL = {**TINY, "image_size": 24, "iterations": 1}
PAYLOADS = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "--></style><!--",
    "\u2028document.title='owned'\u2029",
    "javascript:document.title='owned'",
    "[link](javascript:alert(1)) `code` | # head\n\n## more",
    "‮gnp.exe",
    "${title} $policy {{x}}",
    "../../../../outside",
    "|---|\n| a | b |",
]
MARK = "owned"


def hostile_rows(folder):
    """Returns the content of each row, and which rows must fail."""
    contents = {}
    for index in range(0, 380, 5):
        name, data = hostile_picture(5, index)
        contents[f"mutated-{index}-{name.replace(' ', '-')}"] = data
    sound = seed_pictures()
    must_fail = {
        "empty.png": b"",
        "text.png": b"root:x:0:0:hunter2\n" * 9,
        "tags.tif": tiff_of_shared_tags(700, 300_000),
        "scans.jpg": jpeg_of_scans(sound["jpeg progressive"], 1_100),
        "cut.jpg": sound["jpeg"][:300],
    }
    contents |= {"a-gif.png": sound["gif"], "no-extension": sound["tiff 16"], **must_fail}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    for name, size in (("one.png", (1, 1)), ("wide.png", (3_000, 1)), ("tall.png", (2, 2_000))):
        Image.new("RGB", size, "red").save(folder / name)
        contents[name] = b""
    return [*contents, *PAYLOADS, "/etc/passwd", "/dev/zero", ".", "gs://", "ftp://a/b"], set(must_fail)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    before = set(folder.parent.iterdir())
    paint(folder / "style.png", 24, 24, 1)
    contents, must_fail = hostile_rows(folder)
    rows = [
        {
            "content": content,
            "style": PAYLOADS[index % 10] if index % 9 == 4 else "style.png",
            "config": json.dumps(SMALL),
        }
        | {"label</script>": PAYLOADS[index % 10], "split": PAYLOADS[index % 3]}
        for index, content in enumerate(contents)
    ]
    rows += [{**rows[0], "config": json.dumps({**SMALL, text: 1})} for text in PAYLOADS]
    # Sound images with hostile names: their rows must succeed, and their names must appear only as text.
    for index, payload in enumerate(PAYLOADS[:7]):
        name = payload.replace("/", "\u2215")
        (folder / name).write_bytes(seed_pictures()["png rgb"])
        rows.append(
            {**rows[0], "content": name, "style": "style.png", "label</script>": payload, "split": PAYLOADS[index % 3]}
        )
    pq.write_table(pa.Table.from_pylist(rows), folder / "<b>manifest.parquet")
    output = folder / "output"
    status = main(["run", "--manifest", str(folder / "<b>manifest.parquet"), "--output", str(output)])
    assert status == 3
    assert set(folder.parent.iterdir()) == before
    return folder, output, rows, must_fail


def test_every_row_ends_done_or_failed_with_a_reason(job):
    _, output, rows, must_fail = job
    metrics = sorted(metrics_of(output), key=lambda row: row["manifest_row"])
    assert [row["content"] for row in metrics] == [row["content"] for row in rows]
    done = [row for row in metrics if row["status"] == "done"]
    assert {row["content"] for row in done} >= {"a-gif.png", "no-extension"}
    assert len(done) > 20 and metrics[-1]["status"] == "done"
    for row in metrics:
        if row["status"] == "failed":
            assert row["error_type"] and row["error_message"] and "\n" not in row["error_message"]
            assert "hunter2" not in row["error_message"] and "root:" not in row["error_message"]
    assert {row["content"] for row in metrics if row["status"] == "failed"} >= must_fail | {"/etc/passwd", "/dev/zero"}


def test_the_output_keeps_the_contract(job):
    assert violations(job[1]) == []


def test_no_name_of_a_manifest_becomes_a_path(job):
    folder, output, _, _ = job
    inputs = {path for path in folder.iterdir() if path != output}
    assert all(path.is_file() for path in inputs)
    for path in output.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name), path
        assert not path.is_symlink()


class Markup(HTMLParser):
    """Collects the elements, attributes and scripts that a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.scripts = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)


def test_the_page_shows_foreign_text_as_text(job):
    _, output, _, _ = job
    page = (output / "gallery" / "index.html").read_text()
    seen = Markup()
    seen.feed(page)
    assert seen.tags.count("script") == 2 and "img" not in seen.tags and "b" not in seen.tags
    assert not any(name.startswith("on") or "javascript:" in value for name, value in seen.attributes)
    assert "<b>" not in page and "\u2028" not in page


def test_scripts_of_data_are_literals_and_nothing_else(job):
    _, output, _, _ = job
    scripts = [path for path in (output / "gallery").rglob("*.js") if "plotly" not in path.name]
    marked = 0
    for path in scripts:
        text = path.read_text()
        assert text.isascii() and "<" not in text, path
        call = re.fullmatch(r"styleBeamGallery\.receive\((.*)\);\s*", text, re.DOTALL)
        assert call and len(json.loads(f"[{call[1]}]")) == 2, path
        marked += MARK in text
    assert scripts and marked


def test_the_card_shows_foreign_text_as_text(job):
    card = (job[1] / "dataset" / "README.md").read_text()
    body = card.split("---\n", 2)[2]
    foreign = [line for line in body.splitlines() if "owned" in line or "script" in line or "label" in line]
    assert foreign
    for line in foreign:
        assert not re.search(r"(?<!\\)<(?!!--)", line), line
        assert "\u2028" not in line
    assert not re.search(r"(?<!\\)\]\(javascript", body)
