"""docs/output.md names the columns of the metrics as the record declares them."""

import re
from pathlib import Path

from transforms.output.record import about, columns

PAGE = Path(__file__).parents[2] / "docs" / "output.md"


def test_every_column_stands_in_the_page_with_its_words():
    (section,) = re.findall(r"^## Metrics\n(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE) == [(name, about(name)) for name in columns()]
