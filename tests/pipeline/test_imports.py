"""Light commands load nothing heavy, and the packages import each other one way only."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.cli.main import COMMANDS
from tests.support.inputs import write_manifest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "keras", "apache_beam", "h5py")
# Runs a command and prints which of the heavy libraries were loaded for it.
COMMAND = f"""
import json, sys
from pipeline.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print(json.dumps([int(status), [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def loaded_by(*arguments):
    """Returns a command's exit status and the heavy libraries that it loaded."""
    done = subprocess.run([sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def output(tmp_path):
    facts = {"manifest": "m.parquet", "rows": 1, "runs": 1, "stylebeam_version": "0.1.0"}
    (tmp_path / "job.json").write_text(json.dumps(facts))
    return str(tmp_path)


@pytest.mark.parametrize("command", [None, *(command.__name__.rpartition(".")[2] for command in COMMANDS)])
def test_help_is_light(command):
    assert loaded_by(*filter(None, [command]), "--help") == [0, []]


def test_grid_is_light(tmp_path):
    (tmp_path / "spec.yaml").write_text("contents: [c.png]\nstyles: [s.png]")
    assert loaded_by("grid", str(tmp_path / "spec.yaml"), "--output", str(tmp_path / "m.parquet")) == [0, []]


def test_status_is_light(output):
    assert loaded_by("status", output) == [0, []]


def test_report_is_light(output):
    assert loaded_by("report", output) == [2, []], "it has read that there are no metrics"


def test_clean_is_light(output):
    assert loaded_by("clean", output, "--force") == [0, []]


def test_pick_is_light(small_output, tmp_path):
    assert loaded_by("pick", str(small_output), "--best=loss_total", f"--output={tmp_path}/m.parquet") == [0, []]


@pytest.mark.parametrize(
    "arguments",
    [
        ["stylize", "c.png", "s.png", "--output=o.png", "--set=itrations=3"],
        ["weights", "--backbone=vgg11"],
        ["plan", "--manifest=m", "--batchsize=3"],
    ],
)
def test_a_mistake_on_the_command_line_is_found_at_once(arguments):
    assert loaded_by(*arguments) == [2, []]


def test_a_plan_for_a_gpu_without_the_weights_at_hand_needs_no_tensorflow(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("STYLEBEAM_WEIGHTS_DIR", raising=False)
    row = {"content": "content.png", "style": "style_a.png", "config": {"weights": "imagenet"}}
    manifest = write_manifest(tmp_path / "m.parquet", [row])
    assert loaded_by("plan", "--manifest", manifest, "--gpu=l4") == [0, ["apache_beam"]]


def imports_of(source):
    """Returns the dotted names that a module imports, anywhere in it but for type checkers."""
    names = set()
    pending = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return names


def modules(package):
    """Returns source text by dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in sorted((ROOT / package).rglob("*.py"))
    }


OURS = modules("stylecore") | modules("transforms") | modules("pipeline")


def ours_imported_by(name):
    """Returns the modules of ours that a module imports: `from a.b import c` is of a.b.c if there is such a module."""
    imported = imports_of(OURS[name])
    return {
        found if found in OURS else found.rpartition(".")[0]
        for found in imported
        if found in OURS or found.rpartition(".")[0] in OURS
    } - {name}


def test_modules_do_not_import_each_other_in_a_circle():
    # Raises CycleError, which names the circle.
    assert set(TopologicalSorter({name: ours_imported_by(name) for name in OURS}).static_order()) == set(OURS)


FORBIDDEN = {
    "stylecore": ("apache_beam", "transforms", "pipeline"),
    "transforms": ("pipeline", "stylecore.objective", "stylecore.optimizers"),
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_it_may(package):
    wrong = {
        (name, found)
        for name, source in modules(package).items()
        for found in imports_of(source)
        if any(f"{found}.".startswith(f"{other}.") for other in FORBIDDEN[package])
    }
    assert not wrong


def test_transforms_have_no_mathematics():
    """Of TensorFlow they use its version, its configuration and its errors; of NumPy no linear algebra."""
    used = {
        (name, node.attr)
        for name, source in modules("transforms").items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("tf", "np")
        if (node.value.id == "tf" and node.attr not in ("__version__", "config", "errors")) or node.attr == "linalg"
    }
    assert not used
