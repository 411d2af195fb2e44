"""Prices: the file that comes along, the user's own, and what a plan makes of them."""

import dataclasses
import json
import math
from importlib import resources

import pytest

from pipeline.cli.main import main
from pipeline.dataflow.estimates import CPU, GPU_EFFICIENCY, WORKERS, PriceError, gpu_device, read_prices, total_secs
from pipeline.dataflow.gpus import GPUS, L4, T4
from pipeline.plan.plan import PlanOptions, plan
from pipeline.plan.report import report
from stylecore.planning.costs import TWO_CORES, evaluation_cost
from tests.support.inputs import TINY, write_manifest

GOOD = {"content": "content.png", "style": "style_a.png"}
PART = {"what": "a machine", "per_hour": 2.0, "source": "assumed"}


def write(path, **changes):
    values = {"date": "2030-01-02", "currency": "EUR", "region": "here", "workers": {CPU: [PART]}, **changes}
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
    return str(path)


def test_the_file_that_comes_along_prices_every_worker_and_says_from_where():
    prices = read_prices()
    assert set(prices.per_hour) == set(WORKERS)
    assert all(price > 0 for price in prices.per_hour.values())
    content = json.loads(resources.files("pipeline.dataflow").joinpath("prices.json").read_text())
    for parts in content["workers"].values():
        for part in parts:
            assert "https://" in part["source"] and part["what"]


def test_a_worker_costs_what_its_parts_cost(tmp_path):
    uri = write(tmp_path / "p.json", workers={"nvidia-l4": [PART, {**PART, "per_hour": 1}]})
    assert read_prices(uri).per_hour == {"nvidia-l4": 3.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"date": None}, "date must be text, got None"),
        ({"workers": None}, "must be an object with date"),
        ({"workers": {"nvidia-l5": [PART]}}, "unknown worker 'nvidia-l5', known: cpu, nvidia-tesla-t4"),
        ({"workers": {CPU: 2.0}}, "cpu must be a list of"),
        ({"workers": {CPU: [{**PART, "per_hour": -1}]}}, "per_hour of cpu must be a number >= 0, got -1"),
        ({"workers": {CPU: [{**PART, "per_hour": math.nan}]}}, "per_hour of cpu must be a number >= 0, got nan"),
        ({"workers": {CPU: ["2.0"]}}, "per_hour of cpu must be a number >= 0, got None"),
    ],
)
def test_a_file_that_cannot_be_used_names_the_entry(tmp_path, changes, message):
    uri = write(tmp_path / "p.json", **changes)
    with pytest.raises(PriceError) as error:
        read_prices(uri)
    assert str(error.value).startswith(f"{uri}: {message}")


def test_what_is_no_json_or_not_there_is_a_usage_error(inputs, capsys):
    manifest = write_manifest(inputs / "m.parquet", [GOOD])
    (inputs / "p.json").write_text("{")
    for name in ("p.json", "missing.json"):
        assert main(["plan", "--manifest", manifest, "--prices", str(inputs / name)]) == 2
        assert f"{inputs / name}: not " in capsys.readouterr().err
    assert main(["plan", "--manifest", manifest, "--gpu", "nvidia-l5"]) == 2
    assert "--gpu: unknown GPU type 'nvidia-l5', did you mean nvidia-l4" in capsys.readouterr().err


def planned(inputs, config, **options):
    rows = [{**GOOD, "config": {**TINY, **config, "seed": seed}} for seed in range(3)]
    return plan(PlanOptions(write_manifest(inputs / "m.parquet", rows), **options))


@pytest.mark.parametrize("config", [{}, {"precision": "bfloat16"}, {"optimizer": "lbfgs", "history_size": 7}])
def test_seconds_are_iterations_times_evaluations(inputs, config):
    found = planned(inputs, config)
    kind = found.counts.buckets[0].bucket.kind
    cost = evaluation_cost(kind, 36, 48, config.get("history_size", 0))
    secs = TWO_CORES.evaluation_secs(cost, kind.precision)
    assert total_secs(TWO_CORES, found.counts.to_compute) == pytest.approx(3 * TINY["iterations"] * secs)


def test_every_stage_of_a_pyramid_counts(inputs):
    stages = [{"scale": 0.5, "share": 0.8}, {"scale": 1, "share": 0.2}]
    found = planned(inputs, {"pyramid": stages, "iterations": 10})
    kind = found.counts.buckets[0].bucket.kind
    expected = [8 * TWO_CORES.evaluation_secs(evaluation_cost(kind, 18, 24), "float32")]
    expected += [2 * TWO_CORES.evaluation_secs(evaluation_cost(kind, 36, 48), "float32")]
    assert total_secs(TWO_CORES, found.counts.to_compute) == pytest.approx(3 * sum(expected))


def secs_on(gpu, runs):
    secs = total_secs(gpu_device(gpu), runs)
    assert secs is not None
    return secs


def test_a_gpu_computes_in_the_arithmetic_that_it_has(inputs):
    found = planned(inputs, {})
    kind = found.counts.buckets[0].bucket.kind
    cost = evaluation_cost(kind, 36, 48)
    peak = cost.flops / L4.tf32_flops + cost.bytes_moved / L4.memory_bytes_per_sec
    assert gpu_device(L4).evaluation_secs(cost, "float32") == pytest.approx(peak / GPU_EFFICIENCY)
    half = planned(inputs, {"precision": "bfloat16"}).counts.to_compute
    assert total_secs(gpu_device(T4), half) is None
    assert secs_on(L4, half) < secs_on(L4, found.counts.to_compute)


def test_a_plan_prints_hours_and_costs_at_the_users_prices(inputs):
    prices = write(inputs / "p.json", workers={CPU: [PART], "nvidia-l4": [PART]})
    found = planned(inputs, {"iterations": 1_000_000}, prices=prices)
    lines = list(report(found))
    hours = secs_on(L4, found.counts.to_compute) / 3600
    (l4,) = [line for line in lines if line.lstrip().startswith("L4")]
    assert l4.split()[-3:] == [f"{hours:,.2f}", "2.00", f"{2 * hours:,.2f}"]
    assert any("EUR an hour" in line for line in lines)
    (t4,) = [line for line in lines if line.lstrip().startswith("T4")]
    assert t4.split()[-1] == f"{secs_on(T4, found.counts.to_compute) / 3600:,.2f}"
    assert any(f"prices of 2030-01-02 in here, from {prices}" in line for line in lines)
    names = {line.split("  ")[0].strip() for line in map(str.strip, lines)}
    assert {gpu.name for gpu in GPUS} <= names


def test_one_type_alone(inputs):
    text = "\n".join(report(planned(inputs, {}, gpu="l4")))
    assert " L4 " in text and "H100" not in text and "2 CPU cores" in text


def test_this_machine_is_estimated_by_what_was_measured_on_it(inputs):
    found = planned(inputs, {"iterations": 1_000_000})
    here = dataclasses.replace(TWO_CORES, efficiency=TWO_CORES.efficiency / 3)
    hours = {line.split("  ")[0].strip(): line for line in map(str.strip, report(found, here))}
    secs = total_secs(TWO_CORES, found.counts.to_compute)
    assert secs is not None
    assert hours["this machine"].split()[-1] == f"{3 * secs / 3600:,.2f}"
    assert not any("this machine" in line for line in report(found))


@pytest.mark.parametrize(("gpu", "is_there"), [([], True), (["--gpu=l4"], False)])
def test_the_command_measures_this_machine_unless_it_is_asked_for_a_gpu(inputs, capsys, gpu, is_there):
    manifest = write_manifest(inputs / "m.parquet", [{**GOOD, "config": TINY}])
    assert main(["plan", "--manifest", manifest, *gpu]) == 0
    assert ("this machine as measured just now" in capsys.readouterr().out) is is_there


def test_what_a_gpu_cannot_compute_has_no_price(inputs):
    lines = list(report(planned(inputs, {"precision": "bfloat16"})))
    (t4,) = [line for line in lines if line.lstrip().startswith("T4")]
    assert t4.split() == ["T4", "lacks", "bfloat16"]
