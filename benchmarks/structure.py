"""Counts the files of the source, their lines, their functions, and the private functions that are used once.

python -m benchmarks.structure [CHECKOUT]
"""

import argparse
import ast
import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = ("stylecore", "transforms", "pipeline")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Prints the counts of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parent.parent)
    print("\n".join(report(parser.parse_args().checkout)))


def report(checkout: Path) -> Iterator[str]:
    """Yields one line for each package and figure."""
    sources = {path: path.read_text() for package in PACKAGES for path in sorted((checkout / package).rglob("*.py"))}
    for package in PACKAGES:
        own = [path for path in sources if path.is_relative_to(checkout / package)]
        flat = sum(path.parent == checkout / package for path in own)
        folders = len({path.parent for path in own}) - 1
        yield f"{package}: {len(own)} files, {flat} of them side by side at the top, {folders} folders below"
    lengths = [text.count("\n") for path, text in sources.items() if path.name != "__init__.py"]
    yield f"lines of a file: median {statistics.median(lengths):.0f}, longest {max(lengths)}"
    functions = [function for text in sources.values() for function in _functions(ast.parse(text))]
    bodies = sorted(_body_lines(function) for function in functions)
    yield f"lines of a function's body: median {_quantile(bodies, 0.5)}, 90th percentile {_quantile(bodies, 0.9)}"
    private, once = _private_functions(functions, sources.values())
    yield f"private functions: {private}, used once: {once}"


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _body_lines(function: Function) -> int:
    """Counts the lines after the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _private_functions(functions: Iterable[Function], texts: Iterable[str]) -> tuple[int, int]:
    """Counts private functions, and those whose name occurs exactly twice in the source: definition and one use."""
    words = re.findall(r"\w+", "\n".join(texts))
    uses = {name: words.count(name) for name in {f.name for f in functions if re.match(r"_[^_]", f.name)}}
    return len(uses), sum(count <= 2 for count in uses.values())


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
