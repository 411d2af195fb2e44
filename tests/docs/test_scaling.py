"""docs/scaling.md says what the results say."""

import re

from benchmarks import performance_doc, scaling_doc


def test_the_tables_are_those_of_the_results():
    text = scaling_doc.DOC.read_text()
    assert text == performance_doc.filled(text, scaling_doc.TABLES), "run python -m benchmarks.scaling_doc"


def test_every_table_stands_in_the_page():
    assert re.findall(r"<!-- (?!end)(\w+) -->", scaling_doc.DOC.read_text()) == [
        "short",
        "before",
        "locality",
        "checkpoints",
        "after",
        "stages",
    ]


def test_what_has_no_result_is_said_to_be_not_measured(monkeypatch):
    monkeypatch.setattr(scaling_doc, "results_of", lambda name: {})
    for table in (scaling_doc.before_table, scaling_doc.after_table):
        rows = list(table())[2:]
        assert len(rows) > 2 and all(row.endswith("| not measured |") for row in rows)
    for missing in (scaling_doc.locality_table, scaling_doc.stages_table):
        assert "".join(missing()).startswith("not measured: `python -m benchmarks.")
