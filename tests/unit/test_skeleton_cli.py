# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of the command: words, exit codes, errors, speed of the parts that must be light."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from debfleet import __version__, cli
from debfleet.common.errors import DebfleetError, FindingsError, Interrupted, MissingError


@pytest.fixture
def noun(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A noun `thing` with the verb `do`, whose deed a test replaces."""
    module = types.ModuleType("debfleet.cli.thing")
    module.deed = lambda arguments: 0  # type: ignore[attr-defined]

    def configure(parser: argparse.ArgumentParser) -> None:
        do = parser.add_subparsers().add_parser("do", help="do it")
        do.set_defaults(run=lambda arguments: module.deed(arguments))

    module.configure = configure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "debfleet.cli.thing", module)
    monkeypatch.setattr(cli, "NOUNS", {"thing": "do things"})
    return module


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"debfleet {__version__}\n"


@pytest.mark.parametrize("words", [[], ["thing"]])
def test_an_incomplete_command_shows_its_help(noun, words, capsys) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith(" ".join(["usage: debfleet", *words]))


@pytest.mark.parametrize("words", [["nonsense"], ["thing", "nonsense"], ["thing", "do", "--nonsense"], ["--nonsense"]])
def test_wrong_words_are_wrong_usage(noun, words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(FindingsError("no"), 1), (MissingError("no"), 3), (DebfleetError("no"), 4), (KeyboardInterrupt(), 130)],
)
def test_exit_codes(noun, error, code, capsys) -> None:
    noun.deed = lambda arguments: (_ for _ in ()).throw(error)
    assert cli.main(["thing", "do"]) == code
    assert capsys.readouterr().out == ""


def test_a_signal_is_an_interruption(noun, capsys) -> None:
    noun.deed = lambda arguments: (_ for _ in ()).throw(Interrupted(signal.SIGTERM))
    assert cli.main(["thing", "do"]) == 130


def test_an_error_has_its_shape(noun, capsys) -> None:
    noun.deed = lambda arguments: (_ for _ in ()).throw(
        DebfleetError("it broke", where="here", why="old age", hint="buy new")
    )
    cli.main(["thing", "do"])
    assert capsys.readouterr().err == "debfleet: it broke\n  where: here\n  why: old age\n  do: buy new\n"


@pytest.mark.parametrize(
    ("words", "quiet", "verbose"),
    [
        (["thing", "do"], False, 0),
        (["-q", "thing", "do"], True, 0),
        (["thing", "do", "-q"], True, 0),
        (["thing", "-q", "do"], True, 0),
        (["-vv", "thing", "do"], False, 2),
        (["thing", "do", "-vv"], False, 2),
    ],
)
def test_common_options_before_and_after(noun, words, quiet, verbose) -> None:
    seen = []
    noun.deed = lambda arguments: seen.append((arguments.quiet, arguments.verbose, arguments.color)) or 0
    assert cli.main(words) == 0
    assert seen == [(quiet, verbose, False)]


def test_colour_by_terminal_and_wish(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert cli.colors_wanted()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not cli.colors_wanted()


def test_every_noun_has_its_module() -> None:
    there = {path.stem for path in Path(cli.__file__).parent.glob("[a-z]*.py")}
    named = {noun.replace("-", "_") for noun in cli.NOUNS}
    assert named <= there, "each noun of cli.NOUNS is a file of src/debfleet/cli"
    for noun in cli.NOUNS:
        assert cli.parser({noun: ""})


def test_help_loads_nothing_slow() -> None:
    code = "import sys; from debfleet import cli; cli.parser(); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    slow = {"ansible", "jinja2", "jsonschema", "ruamel", "libvirt", "cyclonedx", "pycdlib", "argcomplete", "yaml"}
    assert not slow & {name.split(".")[0] for name in loaded}
