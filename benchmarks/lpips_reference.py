"""Our LPIPS beside that of the package `lpips` 0.1.4, on six pairs of pictures that every clone has.

    python -m benchmarks.lpips_reference

The package runs in an environment of its own, with PyTorch, where pip installs both; torchvision's VGG16 gets the
weights that StyleBeam measures with, since torchvision would download them. The heads are the package's own, and are
compared with ours. The result goes to benchmarks/results/lpips.json, and a test holds StyleBeam's values to it.
"""

import datetime
import json
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import machine
from benchmarks.figures import RESULTS, run_measured
from benchmarks.provenance import ROOT, Start
from stylecore.measures.network import PictureNetwork
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.lpips_vgg16 import HEADS
from stylecore.networks.weights.sources import load_weights
from tests.support.real_pictures import pair

RESULT = RESULTS / "lpips.json"
AGREE = 1e-3
ENVIRONMENT = ROOT / ".cache" / "lpips"
REQUIREMENTS = ("lpips==0.1.4", "torch==2.13.0", "torchvision==0.28.0")
# Photograph, painting and its share, height and width. Sides are even and odd, and one pair is looked at in pieces.
_PAIRS = (
    ("chelsea", "flow_field_strokes", 0.25, 96, 144),
    ("coffee", "geometric_forms", 0.5, 171, 256),
    ("rocket", "woodcut_waves", 0.75, 720, 1080),
    ("chelsea", "woodcut_waves", 1.0, 101, 99),
    ("coffee", "flow_field_strokes", 0.1, 64, 255),
    ("rocket", "geometric_forms", 0.9, 256, 170),
)
_PROGRAM = Path(__file__).with_name("lpips_package.py")


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns six (picture, content) of one size each, uint8, by name: photographs, and mixtures with a painting."""
    made = {}
    for photograph, painting, share, height, width in _PAIRS:
        content, style = pair(photograph, painting, height, width)
        picture = np.rint((1 - share) * content + share * style).astype(np.uint8)
        made[f"{photograph}, {share:.0%} of {painting}"] = picture, np.rint(content).astype(np.uint8)
    return made


def ours(network: PictureNetwork, made: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Returns StyleBeam's LPIPS of each pair."""
    found = {name: network.compare(picture, content, []).lpips for name, (picture, content) in made.items()}
    return {name: value for name, value in found.items() if value is not None}


def package(made: Mapping[str, tuple[np.ndarray, np.ndarray]], weights: Mapping[str, Sequence[np.ndarray]]) -> Any:
    """Returns the package's values by pair, and its heads; installs it first if it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        run_measured([str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", *REQUIREMENTS])
    arrays = {f"{name}/{part}": image for name, two in made.items() for part, image in zip(("picture", "content"), two)}
    for layer, (kernel, bias) in weights.items():
        arrays |= {f"{layer}/kernel": kernel, f"{layer}/bias": bias}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(path := Path(folder) / "arrays.npz", **arrays)  # type: ignore[arg-type]
        printed = run_measured([str(python), str(_PROGRAM), str(path)]).output
    return json.loads(printed.strip().splitlines()[-1])


def main() -> None:
    """Compares, prints and writes."""
    start, made = Start(), pairs()
    loaded = load_weights(LPIPS_NETWORK, "imagenet")
    layers = {layer.name: layer.get_weights() for layer in loaded.network.layers if layer.get_weights()}
    heads = [layers.pop(name)[0].ravel() for name in HEADS]
    theirs = package(made, layers)
    values = ours(PictureNetwork(loaded.network), made)
    rows = {name: {"package": theirs["values"][name], "ours": values[name]} for name in made}
    for name, row in rows.items():
        print(f"{name:<28} {row['package']:.6f} {row['ours']:.6f}")
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "requirements": REQUIREMENTS,
        "measures_sha256": loaded.fingerprint,
        "same_heads": all(np.array_equal(np.float32(a), b) for a, b in zip(theirs["heads"], heads, strict=True)),
        "largest_difference": max(abs(row["package"] - row["ours"]) for row in rows.values()),
        "pairs": rows,
        "provenance": start.provenance(),
    }
    print(f"largest difference {result['largest_difference']:.1e}, same heads: {result['same_heads']}")
    if not result["same_heads"] or not float(str(result["largest_difference"])) < AGREE:
        raise SystemExit("they disagree: nothing is written")
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
