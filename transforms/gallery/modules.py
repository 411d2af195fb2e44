"""join_modules: ES modules -> one script without imports, for pages that are opened from disk.

The joiner accepts these forms, each at the beginning of a line, and refuses every other:

    import { one, two } from "./other.js";
    export function one() ...    export async function ...    export function* ...    export class ...
    export const two = ...

Imports come first in a file. An exported name is never assigned again (functions, classes and constants are all that
can be exported), so that a copy handed over when the module ends is as good as the live binding of the standard.
"""

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

_NAME = r"[A-Za-z_$][\w$]*"
_IMPORT = re.compile(
    rf'^import \{{\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*,?\s*\}} from "\./([a-z_]+\.js)";$', re.ASCII | re.MULTILINE
)
_EXPORT = re.compile(rf"^export ((?:async function|function\*?|class|const) ?({_NAME})\b)", re.ASCII | re.MULTILINE)
# What is left once the known forms are gone. A line of a comment may begin with these words; code may not.
_OTHER_FORM = re.compile(r"^\s*(?:import|export)\b|^(?!\s*(?:/?\*|//)).*\bimport\s*[.(]", re.MULTILINE)
_COMMENTS = re.compile(r"\s*(?:/\*.*?\*/|//[^\n]*)?", re.DOTALL)
_PREFIX = "module_"


class ModuleError(ValueError):
    """Modules that cannot be joined."""


class _Module(NamedTuple):
    imports: dict[str, list[str]]
    exports: list[str]
    body: str


def join_modules(sources: Mapping[str, str], entry: str) -> str:
    """Joins a module and all that it imports into one classic script that leaves no name in the page.

    Each module is evaluated once, after those that it imports, in a function of its own, which returns its exports.

    Args:
      sources: the text of each module by its file name: lower case letters and underscores, and `.js`.
      entry: the module that starts the page.

    Returns:
      The script; the same modules give the same text.

    Raises:
      ModuleError: a form of import or export is not among those above, a module or an exported name does not exist,
        modules import each other in a circle, or a module is not reached from the entry.
    """
    modules = {name: _parsed(name, source) for name, source in sources.items()}
    if entry not in modules:
        raise ModuleError(f"{entry} does not exist")
    for name, module in modules.items():
        _check_imports(name, module, modules)
    order = _order(modules)
    if idle := set(order) - _reached(modules, entry):
        raise ModuleError(f"{entry} does not lead to {', '.join(sorted(idle))}")
    return '(() => {\n"use strict";\n' + "".join(_function(name, modules[name]) for name in order) + "})();\n"


def _parsed(name: str, source: str) -> _Module:
    if not re.fullmatch(r"[a-z_]+\.js", name):
        raise ModuleError(f"{name}: a module's name has lower case letters and underscores, and ends in .js")
    if _PREFIX in source:
        raise ModuleError(f"{name}: names that begin with {_PREFIX} are the joiner's")
    rest, imports = _without_imports(name, source)
    exports = [match[2] for match in _EXPORT.finditer(rest)]
    body = _EXPORT.sub(r"\1", rest)
    if found := _OTHER_FORM.search(body):
        raise ModuleError(f"{name}: not a form of import or export that is joined: {found[0].strip()!r}")
    return _Module(imports, exports, body)


def _without_imports(name: str, source: str) -> tuple[str, dict[str, list[str]]]:
    """Returns the text after the imports, and the imported names by module."""
    imports: dict[str, list[str]] = {}
    end = 0
    for match in _IMPORT.finditer(source):
        if not _is_comment(source[end : match.start()]):
            raise ModuleError(f"{name}: imports come first: {match[0]!r}")
        if match[2] in imports:
            raise ModuleError(f"{name} imports {match[2]} twice")
        imports[match[2]] = re.split(r"\s*,\s*", match[1])
        end = match.end()
    return source[end:], imports


def _is_comment(text: str) -> bool:
    while match := _COMMENTS.match(text):
        if not match[0]:
            break
        text = text[match.end() :]
    return not text


def _check_imports(name: str, module: _Module, modules: Mapping[str, _Module]) -> None:
    for other, names in module.imports.items():
        if other not in modules:
            raise ModuleError(f"{name} imports {other}, which does not exist")
        if missing := [wanted for wanted in names if wanted not in modules[other].exports]:
            raise ModuleError(f"{name} imports {', '.join(missing)}, which {other} does not export")


def _order(modules: Mapping[str, _Module]) -> list[str]:
    try:
        return list(TopologicalSorter({name: sorted(modules[name].imports) for name in sorted(modules)}).static_order())
    except CycleError as error:
        raise ModuleError(f"modules import each other in a circle: {' -> '.join(error.args[1])}") from None


def _reached(modules: Mapping[str, _Module], entry: str) -> set[str]:
    reached, waiting = set(), [entry]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(modules[name].imports)
    return reached


def _function(name: str, module: _Module) -> str:
    imported = "".join(
        f"const {{ {', '.join(names)} }} = {_variable(other)};\n" for other, names in module.imports.items()
    )
    exported = f"return Object.freeze({{ {', '.join(module.exports)} }});\n" if module.exports else ""
    return f"const {_variable(name)} = (() => {{\n{imported}{module.body.strip()}\n{exported}}})();\n\n"


def _variable(name: str) -> str:
    return _PREFIX + name.removesuffix(".js")
