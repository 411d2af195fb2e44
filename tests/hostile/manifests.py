"""Thousands of damaged Parquet files: each is refused in one line, or each of its rows is accepted or refused by name.

python -m tests.hostile.manifests --count 5000 --seed 1
"""

import argparse
import functools
import io
import itertools
import json
import random
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.isolation import BUG, DONE, REFUSED, run_isolated
from tests.hostile.mutations import mutated

TASK = "tests.hostile.manifests:read_case"
PEAK_BYTES = 3 * 2**30
# At most this many rows are read from a file whose footer claims millions.
_MOST_ROWS = 5_000


@functools.cache
def seed_manifests():
    """Returns name -> bytes of sound manifests of 60 rows, encoded in the ways that libraries use."""
    styles = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float32())]))
    config = pa.struct(
        [("preset", pa.string()), ("seed", pa.int64()), ("style_layers", pa.map_(pa.string(), pa.float64()))]
    )
    rows = range(60)
    text = {"content": [f"photographs/{n % 7}.png" for n in rows], "style": [f"styles/{n % 3}.png" for n in rows]}
    configs = [json.dumps({"seed": n, "weights": "random:1"}) for n in rows]
    structs = [{"preset": "basic", "seed": n, "style_layers": [("conv1_1", 0.5)]} for n in rows]
    pair = [{"uri": "a.png", "weight": 0.5}, {"uri": "b.png", "weight": None}]
    extras = {
        "when": pa.array(rows, pa.timestamp("us", "UTC")),
        "bytes": [b"\xff"] * 60,
        "n": [{"a": [n]} for n in rows],
    }
    tables = {
        "plain": pa.table(text),
        "json": pa.table({**text, "config": configs, "label": [f"l{n}" for n in rows]}),
        "struct": pa.table({**text, "config": pa.array(structs, config)}),
        "styles": pa.table({**text, "style": pa.array([pair] * 60, styles)}),
        "extras": pa.table({**text, **extras}),
    }
    ways = [
        {"compression": "none", "use_dictionary": False},
        {"compression": "snappy", "row_group_size": 20},
        {"compression": "zstd", "data_page_version": "2.0", "write_page_index": True},
        {"compression": "gzip", "store_schema": False, "write_statistics": False},
    ]
    files = {}
    for (name, table), (way, options) in itertools.product(tables.items(), enumerate(ways)):
        out = io.BytesIO()
        pq.write_table(table, out, **options)
        files[f"{name} {way}"] = out.getvalue()
    return files


def hostile_manifest(seed, index):
    """Returns (name of the sound manifest, its mutated bytes); half of the cases change only the footer."""
    files = seed_manifests()
    names = sorted(files)
    name = names[index % len(names)]
    generator, data = random.Random(f"{seed}/{index}"), files[name]
    if generator.random() < 0.5:
        return name, mutated(data, list(files.values()), generator)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    changed = mutated(data[footer:-8], [data[footer:]], generator)
    return name, data[:footer] + changed + len(changed).to_bytes(4, "little") + b"PAR1"


def read_case(seed, index):
    """Reads one case as a job does, as a task of isolation.run_isolated."""
    from transforms.manifest.files import ManifestError, open_manifest
    from transforms.manifest.networks import distinct_backbones

    _, data = hostile_manifest(seed, index)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.parquet"
        path.write_bytes(data)
        try:
            manifest = open_manifest(str(path))
            if manifest.rows <= _MOST_ROWS:
                distinct_backbones(manifest)
        except ManifestError as error:
            reason = str(error).replace(folder, "")
            return (REFUSED if reason == " ".join(reason.split()) and "m.parquet" in reason else BUG), reason
        return _rows_of(manifest)


def _rows_of(manifest):
    import apache_beam as beam

    from transforms.manifest.read import ParseRows

    elements = (element for part in manifest.slices for element in ParseRows().process(part))
    numbers, failed = [], 0
    for element in itertools.islice(elements, _MOST_ROWS):
        if not isinstance(element, beam.pvalue.TaggedOutput):
            numbers.append(element.number)
            continue
        number, _, failure = element.value
        message = failure.reason.error_message
        if "m.parquet, row " not in message or "\n" in message or len(message) > 2_500:
            return BUG, f"row {number}: {message!r}"
        numbers.append(number)
        failed += 1
    if numbers != list(range(min(manifest.rows, _MOST_ROWS))):
        return BUG, f"{len(numbers)} outcomes for {manifest.rows} rows"
    return DONE, f"{failed} failed"


def main(arguments=None):
    """Prints the figures; exits 1 if a case broke or memory was not bounded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    indices = range(options.first, options.first + options.count)
    summary = run_isolated(TASK, indices, options.seed, options.workers)
    print(summary)
    return int(bool(summary.broken) or summary.peak_bytes > PEAK_BYTES)


if __name__ == "__main__":
    sys.exit(main())
