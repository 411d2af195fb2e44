"""choices.json comes from anywhere: what is no choice of this grid is one line."""

import json

import pytest

from transforms.output.choices import Choice, ChoicesError, read_choices

RUN, OTHER = "0" * 16, "1" * 16


def written(tmp_path, values):
    path = tmp_path / "choices.json"
    path.write_bytes(values if isinstance(values, bytes) else json.dumps(values).encode())
    return str(path)


def document(*choices):
    return {"version": 1, "choices": list(choices)}


def test_what_the_gallery_exports_is_read(tmp_path):
    entries = [
        {"run_id": RUN, "rating": 4, "tags": ["sky", "<b>"], "rejected": False},
        {"run_id": OTHER, "rating": None, "tags": [], "rejected": True},
    ]
    found = read_choices(written(tmp_path, document(*entries)), {RUN, OTHER})
    assert found == {RUN: Choice(4, ("sky", "<b>")), OTHER: Choice(rejected=True)}
    assert [choice.is_chosen for choice in found.values()] == [True, False]


@pytest.mark.parametrize(
    ("choice", "is_chosen"),
    [(Choice(1), True), (Choice(tags=("a",)), True), (Choice(), False), (Choice(5, ("a",), rejected=True), False)],
)
def test_chosen_is_rated_or_tagged_and_not_rejected(choice, is_chosen):
    assert choice.is_chosen is is_chosen


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ([], "expected {"),
        ({"version": 1}, "expected {"),
        ({"version": 2, "choices": []}, "version must be 1, got 2"),
        (document(7), "choice 0: must be an object with a run_id, got 7"),
        (document({"run_id": 7}), "choice 0: must be an object with a run_id"),
        (document({"run_id": RUN}, {"run_id": OTHER, "rating": 6}), "choice 1: rating must be 1 to 5 or null, got 6"),
        (document({"run_id": RUN, "rating": True}), "choice 0: rating must be 1 to 5 or null, got True"),
        (document({"run_id": RUN, "rating": 3.0}), "choice 0: rating must be 1 to 5 or null, got 3.0"),
        (document({"run_id": RUN, "tags": "sky"}), "choice 0: tags must be a list of texts, got 'sky'"),
        (document({"run_id": RUN, "rejected": 1}), "choice 0: rejected must be true or false, got 1"),
        (document({"run_id": RUN}, {"run_id": RUN}), "choice 1: run_id '0000000000000000' is there twice"),
        (document({"run_id": "2" * 16}), "1 of 1 runs are not in this grid, such as '2222222222222222'"),
    ],
)
def test_anything_else_is_one_line_that_names_the_file(tmp_path, values, message):
    path = written(tmp_path, values)
    with pytest.raises(ChoicesError) as error:
        read_choices(path, {RUN, OTHER})
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ChoicesError, match=r"choices\.json: not found"):
        read_choices(str(tmp_path / "choices.json"), set())
