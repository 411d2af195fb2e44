"""The loss of `gatys` on a pair of photographs of 592 px after as many evaluations, as `fine` minimises it and plainly.

    python -m benchmarks.reference_pair [--evaluations 200]

Both are `stylize()` of the preset `gatys` or `fine`, whose objectives are the same, in float32, with as many full-size
evaluations: those of `fine` at half size count a quarter. Losses are those of the delivered 8-bit pictures. The pair is
the shared reference_content.png and reference_style.png. It writes benchmarks/results/reference_pair.json.
"""

import argparse
import dataclasses
import json
from typing import Any

from benchmarks.figures import RESULTS
from benchmarks.peers import SHARED_IMAGES
from benchmarks.peers_score import read_picture
from benchmarks.provenance import Start
from stylecore import StyleConfig, stylize
from stylecore.planning.pyramid import full_size_evaluations


def config_of(preset: str, evaluations: int) -> StyleConfig:
    """Returns a preset with as many full-size evaluations, to the nearest iteration."""
    whole = StyleConfig(preset=preset, precision="float32")
    return dataclasses.replace(whole, iterations=round(evaluations * whole.iterations / full_size_evaluations(whole)))


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=200)
    evaluations = parser.parse_args().evaluations
    began = Start()
    content, style = (read_picture(SHARED_IMAGES / f"reference_{what}.png") for what in ("content", "style"))
    found: dict[str, Any] = {}
    for preset in ("gatys", "fine"):
        config = config_of(preset, evaluations)
        (result,) = stylize([content], [style], [config])
        found[preset] = {
            "iterations": result.iterations,
            "full_size_evaluations": full_size_evaluations(config),
            "total": result.loss_total,
            "secs": round(result.seconds, 1),
        }
    ratio = found["fine"]["total"] / found["gatys"]["total"]
    figures = {"reference_total_over_plain": {"value": ratio, **found}}
    written = {"figures": figures, "provenance": began.provenance()}
    (RESULTS / "reference_pair.json").write_text(json.dumps(written, indent=1) + "\n")
    print(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
