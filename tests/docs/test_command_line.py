"""docs/command_line.md: every command and every option, and none that does not exist."""

import argparse
import re
import shlex

import pytest

from pipeline.beam_options import parse_options
from pipeline.cli import main as cli
from pipeline.cli.command import ExitStatus
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "command_line.md"
_SECTION = re.compile(r"^## stylebeam (\w+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_OPTION = re.compile(r"--\w+")


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


def documented() -> dict[str, str]:
    return dict(_SECTION.findall(PAGE.read_text()))


def option_table(section: str) -> str:
    """The first column: what the examples or the text mention is not yet explained."""
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))


def names(parser: argparse.ArgumentParser) -> set[str]:
    """Options as they are written, positional arguments as the usage shows them, without --help."""
    found = set()
    for action in parser._actions:
        if action.option_strings:
            found |= set(action.option_strings) - {"-h", "--help"}
        else:
            found.add(str(action.metavar or action.dest.upper()))
    return found


def test_every_command_has_its_section_and_no_other_does():
    assert set(documented()) == set(commands())


@pytest.mark.parametrize("command", commands())
def test_every_option_is_explained(command):
    table = option_table(documented()[command])
    missing = {name for name in names(commands()[command]) if not re.search(rf"`{re.escape(name)}\b", table)}
    assert not missing


@pytest.mark.parametrize("command", commands())
def test_no_option_is_explained_that_does_not_exist(command):
    explained = set(_OPTION.findall(option_table(documented()[command])))
    assert explained <= names(commands()[command])


@pytest.mark.parametrize("command", commands())
def test_each_command_has_an_example_that_parses(command):
    examples = re.findall(r"^    stylebeam (.*)$", documented()[command], re.MULTILINE)
    assert examples and all(example.split()[0] == command for example in examples)
    for example in examples:
        cli.build_parser().parse_args(shlex.split(example))


def test_beam_options_that_the_page_mentions_exist():
    mentioned = set(re.findall(r"`(--\w+=[^`]*)`", documented()["run"]))
    assert len(mentioned) == 2
    for options in mentioned:
        parse_options(["--manifest=m", "--output=o", *options.split()])


def test_every_exit_status_is_in_the_table():
    rows = re.findall(r"^\| ([\d, ]+) \|", PAGE.read_text(), re.MULTILINE)
    listed = {int(status) for row in rows for status in row.split(",")}
    assert listed == set(ExitStatus)


def test_the_options_of_all_commands_are_explained():
    (debug,) = names(cli.build_parser()) - {"COMMAND"}
    assert f"`{debug}` works with every command" in PAGE.read_text()
