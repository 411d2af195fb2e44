"""Bad rows: the message names the field and what is legal."""

import pytest

from tests.support.inputs import GOOD_ROW
from transforms.manifest.parse import RowError, parse_row

BAD_ROWS = [
    ({"content": None}, "content must be a path or URI, got None"),
    ({"content": ""}, "content must be a path or URI, got ''"),
    ({"content": "a\0b"}, "content must be a path or URI"),
    ({"content": "ftp://host/x.png"}, "content: ftp://host/x.png: no file system for ftp://"),
    ({"style": []}, "style must be a path or URI, or a list"),
    ({"style": [{"uri": None, "weight": 1.0}]}, "style must be a path or URI"),
    ({"style": [{"uri": "s", "weight": float("nan")}]}, "style weight must be a finite number"),
    ({"style": [{"uri": "s", "weight": -1.0}]}, "style weight must be a finite number >= 0, got -1.0"),
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
