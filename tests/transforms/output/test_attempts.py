"""Attempts: what a process that dies leaves, what one that ends well does not, and who is condemned."""

import json

import pytest

from transforms.output import storage
from transforms.output.attempts import Attempts, ProcessDiedError, gather_attempts
from transforms.output.paths import Output

A, B, C = (digit * 16 for digit in "abc")


@pytest.fixture
def output(tmp_path):
    return Output(str(tmp_path))


def left(output):
    """The attempts that a process would leave if it died now, by name; a batch's is called "batch"."""
    directory = storage.join(output.root, "attempts")
    names = sorted(storage.list_names(directory))
    return {
        "batch" if name.startswith("batch-") else name.removesuffix(".json"): json.loads(
            storage.read_bytes(storage.join(directory, name))
        )
        for name in names
    }


def die_together(output, batch, suspects=()):
    """Leaves what a process leaves that dies while it computes the batch's trusted runs."""
    context = Attempts(output).together(batch, set(batch) - set(suspects), suspects)
    context.__enter__()
    attempts = {name: storage.read_bytes(storage.join(output.root, "attempts", name)) for name in names(output)}
    context.__exit__(None, None, None)
    for name, data in attempts.items():
        storage.write(storage.join(output.root, "attempts", name), data, "application/json")


def die_alone(output, run_id):
    with pytest.raises(KeyError), Attempts(output).alone(run_id):
        data = storage.read_bytes(output.attempt(run_id))
        raise KeyError
    storage.write(output.attempt(run_id), data, "application/json")


def names(output):
    return list(storage.list_names(storage.join(output.root, "attempts")))


def test_a_batch_is_named_while_it_computes_and_forgotten_when_it_ends_or_fails(output):
    with Attempts(output).together([A, B], [A, B], []):
        assert left(output) == {"batch": {"runs": [A, B], "alone": []}}
    assert left(output) == {}
    with pytest.raises(KeyError), Attempts(output).together([A, B], [A, B], []):
        raise KeyError("stopped, say")
    assert left(output) == {} and Attempts(output).suspects([A, B]) == set()


def test_who_was_under_way_when_a_process_died_is_a_suspect_in_the_same_batch_and_in_any_other_after_a_restart(output):
    die_together(output, [A, B])
    assert Attempts(output).suspects([B, A]) == {A, B}
    assert Attempts(output).suspects([A, C]) == set()  # Another worker's batch.
    gather_attempts(output)
    assert left(output) == {A: {"alone": 0}, B: {"alone": 0}}
    assert Attempts(output).suspects([A, C]) == {A}


def test_gathering_forgets_who_is_finished_and_keeps_what_is_known(output):
    die_together(output, [A, B, C])
    die_alone(output, C)
    storage.write(output.marker(A), b"{}", "application/json")
    gather_attempts(output)
    assert left(output) == {B: {"alone": 0}, C: {"alone": 1}}
    storage.write(output.marker(C), b"{}", "application/json")
    gather_attempts(output)
    assert left(output) == {B: {"alone": 0}}


def test_whose_runs_are_saved_is_no_suspect(output):
    with Attempts(output).together([A, B, C], [A, B], [C]) as saved:
        saved()
        assert left(output) == {"batch": {"runs": [], "alone": [C]}}
    with Attempts(output).together([A], [A], []) as saved:
        saved()
        assert A not in str(left(output))


def test_two_deaths_alone_condemn_and_the_next_job_tries_once_more(output):
    for deaths in (1, 2):
        die_alone(output, A)
        assert left(output) == {A: {"alone": deaths}}
    with pytest.raises(ProcessDiedError, match="died twice while this run computed alone"), Attempts(output).alone(A):
        raise AssertionError("computed")
    assert left(output) == {A: {"alone": 1}} and Attempts(output).suspects([A]) == {A}
    with Attempts(output).alone(A):
        pass
    assert left(output) == {}


def test_a_death_after_a_checkpoint_and_an_error_do_not_count(output):
    for _ in range(3):
        with pytest.raises(KeyError), Attempts(output).alone(A):
            raise KeyError
        assert left(output) == {A: {"alone": 0}}
    die_alone(output, A)
    with Attempts(output).alone(A) as saved:
        saved()
        assert left(output) == {A: {"alone": 0}}


@pytest.mark.parametrize("text", ["", "[]", '{"runs": 7}', '{"runs": ["../x", null, 3], "alone": "no"}'])
def test_a_damaged_attempt_names_nobody(output, text):
    die_together(output, [A, B])
    (name,) = names(output)
    storage.write(storage.join(output.root, "attempts", name), text.encode(), "application/json")
    storage.write(output.attempt(C), text.encode(), "application/json")
    assert Attempts(output).suspects([A, B]) == set()
    gather_attempts(output)
    assert names(output) == [f"{C}.json"]
    with Attempts(output).alone(C):
        pass
