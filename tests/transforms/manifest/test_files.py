"""Files that are no manifest: each is refused before any row is read, in one line that names the file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.inputs import GOOD_ROW, write_rows
from transforms.manifest.files import ManifestError, open_manifest, read_slice

BAD_FILES = {
    "not parquet": (lambda path: path.write_bytes(b"PAR1 nothing"), "not a readable Parquet file"),
    "empty file": (lambda path: path.touch(), "not a readable Parquet file"),
    "no style": (lambda path: write_rows(path, [{"content": "c"}]), "column 'style' is missing"),
    "style of numbers": (lambda path: write_rows(path, [{"content": "c", "style": 3}]), "column 'style' is int64"),
    "config of numbers": (lambda path: write_rows(path, [{**GOOD_ROW, "config": 3}]), "column 'config' is int64"),
    "no rows": (
        lambda path: pq.write_table(
            pa.table({"content": pa.array([], "string"), "style": pa.array([], "string")}), path
        ),
        "the manifest has no rows",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_unreadable_manifests_are_one_clear_line(tmp_path, name):
    make, message = BAD_FILES[name]
    make(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=message) as error:
        open_manifest(str(tmp_path / "m.parquet"))
    assert "m.parquet" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_manifest(tmp_path):
    with pytest.raises(ManifestError, match="no such manifest"):
        open_manifest(str(tmp_path / "nothing.parquet"))


def heavy_rows(path, values, rows_per_group, **options):
    table = pa.table({**{name: [text] * len(values) for name, text in GOOD_ROW.items()}, "text": values})
    pq.write_table(table, path, row_group_size=rows_per_group, **options)
    return str(path)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"compression": "zstd"}])
def test_columns_with_too_heavy_pages_are_refused_and_the_message_says_what_helps(tmp_path, options):
    values = [f"{number:06d}" * 40_000 for number in range(200)]
    uri = heavy_rows(tmp_path / "m.parquet", values, 200, **options)
    with pytest.raises(ManifestError, match=r"row group 0: .* write row groups of at most 139 rows"):
        open_manifest(uri)
    opened = open_manifest(heavy_rows(tmp_path / "m.parquet", values, 139, **options))
    assert [part.rows for part in opened.slices] == [139, 61]


def test_a_heavy_value_that_repeats_is_read(tmp_path):
    uri = heavy_rows(tmp_path / "m.parquet", ["x" * 200_000] * 2_000, 2_000)
    (part,) = open_manifest(uri).slices
    assert [len(row["text"]) for row in read_slice(part)] == [200_000] * 2_000
