"""The worker answers with the seconds of evaluations."""

import io
import sys

from benchmarks import since_worker
from stylecore.networks.weights.sources import load_weights


def test_each_line_is_answered_by_seconds(monkeypatch, capsys):
    monkeypatch.setattr(since_worker, "load_weights", lambda *_: load_weights("vgg19", "random:1"))
    monkeypatch.setattr(sys, "argv", ["since_worker", "32", "2", "basic"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("basic 1\nbasic 2\n"))
    since_worker.main()
    answers = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("took")]
    assert len(answers) == 2
    assert all(float(secs) > 0 for _, secs in answers)
