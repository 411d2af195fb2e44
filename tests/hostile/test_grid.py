"""Grid specifications of any shape are expanded or refused in one line, and never give more rows than they describe."""

import datetime
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline import grid
from pipeline.grid import SpecError, write_grid

SOUND = "contents: [a.png]\nstyles: [b.png]\n"
LAUGHS = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 30))
FIELDS = ("seed", "iterations", "learning_rate", "image_size", "history_size", "tv_weight", "content_weight", "epsilon")
HOSTILE = {
    "laughs": f"x0: &x0 [lol]\n{LAUGHS}\ncontents: [a]\nstyles: [b]\n",
    "laughs in extra": SOUND + "extra:\n  x0: &x0 [lol]\n" + "\n".join(f"  {line}" for line in LAUGHS.splitlines()),
    "laughs in sweep": SOUND + "sweep:\n  x0: &x0 [lol]\n" + "\n".join(f"  {line}" for line in LAUGHS.splitlines()),
    "a sweep without end": SOUND + "sweep:\n" + "".join(f"  {n}: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" for n in FIELDS),
    "itself": SOUND + "extra: {x: &x [*x]}\n",
    "a mapping in itself": SOUND + "config: &x {seed: *x}\n",
    "deep": SOUND + "extra: {x: " + "[" * 1_500 + "]" * 1_500 + "}\n",
    "a number without end": SOUND + "config: {seed: " + "9" * 5_000 + "}\n",
    "a number too large": SOUND + "extra: {x: " + "9" * 30 + "}\n",
    "mixed types": SOUND + "extra: {x: [1, a, {}]}\n",
    "no date": SOUND + "extra: {x: 2001-99-99}\n",
    "a mapping as a key": SOUND + "? {a: 1}\n: 2\n",
    "code": SOUND + "extra: {x: !!python/object/apply:os.system [id]}\n",
    "an unknown tag": SOUND + "extra: {x: !secret 1}\n",
    "twice": SOUND + "contents: [c]\n",
    "NUL": SOUND.replace("a.png", '"a\\0b"'),
    "surrogate": SOUND.replace("a.png", '"\\ud800"'),
    "not UTF-8": b"\xff\xfe\x00",
    "a number": "3",
    "nothing": "",
    "tabs": "\t- a",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_specifications_are_refused_in_one_line(tmp_path, name):
    spec = HOSTILE[name]
    (tmp_path / "grid.yaml").write_bytes(spec if isinstance(spec, bytes) else spec.encode())  # type: ignore[attr-defined]
    with pytest.raises(SpecError) as error:
        write_grid(str(tmp_path / "grid.yaml"), str(tmp_path / "m.parquet"))
    message = str(error.value)
    assert "grid.yaml: " in message and message == " ".join(message.split()) and len(message) < 1_000
    assert not (tmp_path / "m.parquet").exists()


def test_shared_values_are_fine_as_long_as_they_are_few(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "MAX_SPEC_VALUES", 1_000)
    (tmp_path / "grid.yaml").write_text(SOUND + "configs: [&a {seed: 1}, *a, *a]\n")
    assert write_grid(str(tmp_path / "grid.yaml"), str(tmp_path / "m.parquet")) == 3
    values = ", ".join(["*a"] * 400)
    (tmp_path / "grid.yaml").write_text(SOUND + f"configs: [&a {{seed: 1}}, {values}]\n")
    with pytest.raises(SpecError, match="more than 1000 values"):
        write_grid(str(tmp_path / "grid.yaml"), str(tmp_path / "m.parquet"))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.dates() | st.datetimes()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(["seed", "iterations", "learning_rate", "preset", "style_layers", "image_size"]) | texts
specs = st.fixed_dictionaries(
    {"contents": st.just(["a.png"]) | values, "styles": st.just(["b.png"]) | values},
    optional={
        "config": st.dictionaries(names, values, max_size=2) | values,
        "sweep": st.dictionaries(names, st.lists(values, max_size=3), max_size=2) | values,
        "configs": st.lists(st.dictionaries(names, values, max_size=2), max_size=2) | values,
        "extra": st.dictionaries(texts, values, max_size=2) | values,
        "surprise": values,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs)
def test_any_specification_is_expanded_or_refused(spec):
    with tempfile.TemporaryDirectory() as folder:
        path, manifest = Path(folder) / "grid.yaml", Path(folder) / "m.parquet"
        with path.open("w", encoding="utf-8") as out:
            YAML(typ="safe", pure=True).dump(spec, out)
        try:
            rows = write_grid(str(path), str(manifest))
        except SpecError as error:
            message = str(error)
            assert "grid.yaml: " in message and "\n" not in message
            return
        assert rows == pq.read_metadata(manifest).num_rows >= 1
        assert isinstance(spec.get("extra") or {}, dict | datetime.date)
