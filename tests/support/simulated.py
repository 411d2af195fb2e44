"""Jobs whose pictures no engine computes, for tests of what is made of a finished job."""

from collections import defaultdict

import pytest

from benchmarks.simulated_engine import SimulatedEngine
from stylecore.run import engine_cache


def simulate_engines(patch: pytest.MonkeyPatch) -> None:
    """Has this process's engines deliver the content: tracing a step of each kind takes seconds."""
    patch.setattr(engine_cache, "_devices", defaultdict(engine_cache._DeviceEngines))
    patch.setattr(engine_cache, "Engine", lambda *_, **__: SimulatedEngine())
