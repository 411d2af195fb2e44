"""Facts of images: kept by version, read back where they are sound; whatever is wrong costs a decoding and no more."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.output.facts import SHARDS, KnownImage, forget_facts, load_facts, save_facts, shard_of
from transforms.output.paths import Output
from transforms.records import ImageFacts

SHA256 = "ab" * 32
IMAGE = KnownImage("/images/a.png", "100-1", SHA256, 60, 80, False)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """A directory that has the thumbnail of the image, and its facts."""
    output = Output(str(tmp_path))
    thumbnail = Path(output.source(SHA256))
    thumbnail.parent.mkdir()
    thumbnail.write_bytes(b"")
    save_facts(output, shard_of(IMAGE.uri), [IMAGE])
    return output


def stored(output: Output) -> Path:
    return Path(output.facts(shard_of(IMAGE.uri)))


def test_facts_are_read_back(output: Output) -> None:
    assert load_facts(output) == {IMAGE.uri: IMAGE}
    assert IMAGE.facts == ImageFacts(SHA256, 60, 80, is_black=False)
    assert load_facts(Output(output.root + "/none")) == {}


def test_the_same_facts_are_not_written_again(output: Output) -> None:
    written = stored(output).stat()
    other = IMAGE._replace(uri="/images/b.png")
    save_facts(output, shard_of(IMAGE.uri), [IMAGE])
    assert stored(output).stat().st_ino == written.st_ino
    save_facts(output, shard_of(IMAGE.uri), [other, IMAGE])
    assert stored(output).stat().st_ino != written.st_ino
    assert list(load_facts(output)) == [IMAGE.uri, other.uri]


def test_an_image_whose_thumbnail_is_gone_is_not_known(output: Output) -> None:
    Path(output.source(SHA256)).unlink()
    assert load_facts(output) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "../../etc/passwd"},
        {"sha256": None},
        {"sha256": SHA256.upper()},
        {"height": 0},
        {"width": -5},
        {"height": 2**40},
        {"version": None},
        {"is_black": None},
    ],
)
def test_an_entry_that_cannot_be_right_is_left_out(output: Output, change: dict) -> None:
    good = IMAGE._replace(uri="/images/b.png")
    save_facts(output, shard_of(IMAGE.uri), [good])
    table = pq.read_table(stored(output))
    bad = pa.Table.from_pylist([{**IMAGE._asdict(), **change}], schema=table.schema)
    pq.write_table(pa.concat_tables([table, bad]), stored(output))
    assert load_facts(output) == {good.uri: good}


def test_a_file_of_a_version_that_knew_less_is_left_out(output: Output) -> None:
    table = pq.read_table(stored(output)).drop_columns(["is_black"])
    pq.write_table(table, stored(output))
    assert load_facts(output) == {}


@pytest.mark.parametrize("damage", ["cut", "text", "other columns", "empty"])
def test_a_file_that_is_damaged_or_a_strangers_is_left_out(output: Output, damage: str) -> None:
    data = {"cut": stored(output).read_bytes()[:-9], "text": b"facts", "empty": b""}
    if damage in data:
        stored(output).write_bytes(data[damage])
    else:
        pq.write_table(pa.table({"uri": [1]}), stored(output))
    assert load_facts(output) == {}


def test_what_is_false_is_forgotten_with_its_file_alone(output: Output) -> None:
    other = next(shard for shard in SHARDS if shard != shard_of(IMAGE.uri))
    save_facts(output, other, [IMAGE])
    forget_facts(output, [IMAGE.uri])
    assert not stored(output).exists()
    assert Path(output.facts(other)).exists()
