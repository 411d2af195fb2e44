"""Small jobs in a third less time: what Beam and pip find out again for each job is found out once a process.

Nothing else changes: the functions that are replaced return what they returned before for the same arguments.
"""

import copy
import functools
import os
import sys
from collections.abc import Callable
from typing import Any


def install() -> None:
    """Replaces the functions in those modules that are loaded."""
    for module, name, quicker in (
        ("apache_beam.transforms.userstate", "get_dofn_specs", _once_a_class),
        ("stylecore.networks.weights.package_index", "pip_settings", _once_an_environment),
    ):
        if loaded := sys.modules.get(module):
            setattr(loaded, name, quicker(getattr(loaded, name)))
    if options := sys.modules.get("apache_beam.options.pipeline_options"):
        options.PipelineOptions.view_as = _view_as


def _once_a_class(specs_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """States and timers are parameters of a DoFn's methods, those of its class; functions of `Map` have none here."""
    known: dict[type, Any] = {}

    @functools.wraps(specs_of)
    def quicker(dofn: Any) -> Any:
        if type(dofn) not in known:
            known[type(dofn)] = specs_of(dofn)
        return known[type(dofn)]

    return quicker


def _once_an_environment(settings: Callable[[], dict[str, str]]) -> Callable[[], dict[str, str]]:
    """Where the environment says that no index is asked, as it does for most tests, pip's settings stay as they are."""

    @functools.cache
    def known(_: tuple[tuple[str, str], ...]) -> dict[str, str]:
        return settings()

    @functools.wraps(settings)
    def quicker() -> dict[str, str]:
        said = tuple(sorted(entry for entry in os.environ.items() if entry[0].startswith("PIP_")))
        return dict(known(said)) if os.environ.get("PIP_NO_INDEX") == "1" else settings()

    return quicker


@functools.cache
def _visible(cls: Any, flags: tuple[str, ...]) -> Any:
    return cls(list(flags))._visible_options


def _view_as(self: Any, cls: Any) -> Any:
    """`PipelineOptions.view_as`, which makes a parser and reads all flags for each view, a thousand times a job."""
    view = cls.__new__(cls)
    view._flags, view._all_options = self._flags, self._all_options
    view._visible_options = copy.deepcopy(_visible(cls, tuple(sys.argv[1:] if self._flags is None else self._flags)))
    for name in view._visible_option_list():
        if name not in self._all_options:
            self._all_options[name] = getattr(view._visible_options, name)
    return view
