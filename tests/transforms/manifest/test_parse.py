"""Bad rows: the message names the field and what is legal."""

import pytest

from tests.support.inputs import GOOD_ROW
from transforms.manifest.parse import RowError, parse_row

KEEP = {"config": {"style_fit": "keep"}}
BAD_ROWS = [
    ({"content": None}, "content must be a path or URI, got None"),
    ({"content": ""}, "content must be a path or URI, got ''"),
    ({"content": "a\0b"}, "content must be a path or URI"),
    ({"content": "ftp://host/x.png"}, "content: ftp://host/x.png: no file system for ftp://"),
    ({"style": []}, "style must be a path or URI, or a list"),
    ({"style": [{"uri": None, "weight": 1.0}]}, "style must be a path or URI"),
    ({"style": [{"uri": "s", "weight": float("nan")}]}, "style weight must be a finite number"),
    ({"style": [{"uri": "s", "weight": -1.0}]}, "style weight must be a finite number >= 0, got -1.0"),
    ({"style": [{"uri": "s", "wieght": 1.0}]}, "style: unknown field 'wieght', did you mean 'weight'?"),
    ({"style": [{"uri": "s", "scale": 0.0}], **KEEP}, "style scale must be > 0 and <= 8, got 0.0"),
    ({"style": [{"uri": "s", "scale": float("nan")}], **KEEP}, "style scale must be a finite number, got nan"),
    ({"style": [{"uri": "s", "scale": 0.5}]}, "config: style_fit must be keep with the scale of a style, got stretch"),
    ({"style": [{"uri": "s", "content_mask": ""}]}, "style content_mask must be a path or URI, got ''"),
    ({"style": [{"uri": "s", "style_mask": 3}]}, "style style_mask must be a path or URI, got 3"),
    ({"style": [{"uri": "s", "content_mask": "http://host/m.png"}]}, "style content_mask: http://host/m.png: no file"),
    ({"initial": 7}, "initial must be a path or URI, got 7"),
    ({"initial": "gs://bucket"}, "initial must be gs://BUCKET/OBJECT, got 'gs://bucket'"),
    ({"config": {"itrations": 3}}, "config: unknown field 'itrations', did you mean 'iterations'"),
    ({"config": {"learning_rate": -15.0}}, "config: learning_rate must be > 0, got -15.0"),
    ({"config": {"seed": float("nan")}}, "config: seed must be a finite number, got nan"),
    ({"config": '{"seed": 1'}, "config: config is not valid JSON"),
    ({"config": {"preset": "basics"}}, "config: preset must be one of basic"),
    ({"config": {"weights": "vgg.pth"}}, "config: weights must be imagenet, random:SEED or a .h5 file"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_bad_rows_name_their_field(change, message):
    with pytest.raises(RowError) as error:
        parse_row({**GOOD_ROW, **change}, 0, 0, "m.parquet")
    assert message in str(error.value)


def test_an_entry_with_every_field_and_null_for_none():
    full = {"uri": "s.png", "weight": 2, "scale": 0.5, "content_mask": "gs://b/c.png", "style_mask": "masks/s.png"}
    null = {"uri": "t.png", "weight": None, "scale": None, "content_mask": None, "style_mask": None, "unknown": None}
    row = parse_row({**GOOD_ROW, "style": [full, null], "initial": None, **KEEP}, 0, 0, "/grid/m.parquet")
    first, second = row.styles
    assert first == ("s.png", "/grid/s.png", 2.0, 0.5, ("gs://b/c.png",) * 2, ("masks/s.png", "/grid/masks/s.png"))
    assert second == ("t.png", "/grid/t.png", 1.0, None, None, None)
    assert row.style_entries() == [full, {"uri": "t.png", "weight": 1.0} | dict.fromkeys(list(full)[2:])]
    assert row.images() == [
        ("content", "/grid/c.png"),
        ("style", "/grid/s.png"),
        ("style", "/grid/t.png"),
        ("content_mask", "gs://b/c.png"),
        ("style_mask", "/grid/masks/s.png"),
    ]
    assert row.extra is None
