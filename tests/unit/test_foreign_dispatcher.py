# SPDX-License-Identifier: GPL-3.0-or-later
"""The dispatcher: which program it runs. Its folder of tools is the test's; tools and the emulator are scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from debfleet.common.errors import MissingError
from debfleet.common.foreign import dispatcher

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="it is compiled for the test")
SAY = '#!/bin/sh\necho "$0" "$@"\n'


class World:
    """A program, the tool of its path, an emulator; and what comes of running it."""

    def __init__(self, folder: Path, compiled: Path) -> None:
        self.folder, self.compiled = folder, compiled
        self.native = compiled.parent / "native"
        self.program = self.script(folder / "tree/usr/bin/tool", "")

    def script(self, path: Path, text: str = SAY) -> Path:
        """An executable file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def tool(self, program: Path | None = None) -> Path:
        """Where the tool of a program is looked for."""
        return Path(f"{self.native}/t/usr{(program or self.program).resolve()}")

    def run(
        self, *arguments: str, name: str = "name", program: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Call it as the kernel does."""
        return subprocess.run(
            [self.compiled, program or self.program, name, *arguments],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dispatcher with a folder of its own."""
    folder = tmp_path_factory.mktemp("dispatcher")
    words = ["gcc", *dispatcher.FLAGS, f'-DNATIVE="{folder}/native"', "-o", folder / "dispatcher-qemu-none"]
    subprocess.run([*words, dispatcher.source()], check=True)
    return folder / "dispatcher-qemu-none"


@pytest.fixture
def world(tmp_path: Path, compiled: Path) -> World:
    """A world with an emulator and no tool yet."""
    shutil.rmtree(compiled.parent / "native", ignore_errors=True)
    made = World(tmp_path, compiled)
    made.script(made.native / "qemu", '#!/bin/sh\nprintf "emulated:"; printf " %s" "$@"\n')
    return made


def test_a_native_tool_takes_the_place(world: World) -> None:
    world.script(world.tool())
    assert world.run("a b", "c").stdout == f"{world.tool()} a b c\n"


def test_what_has_no_tool_is_emulated_under_its_name(world: World) -> None:
    assert world.run("a", name="-sh").stdout == f"emulated: -0 -sh {world.program} a"


def test_links_lead_to_the_tool_of_their_target(world: World) -> None:
    world.script(world.tool())
    link = world.folder / "link"
    link.symlink_to(world.program)
    assert world.run("x", program=link).stdout == f"{world.tool()} x\n"


def test_a_tool_that_is_gone_is_no_tool(world: World) -> None:
    world.tool().parent.mkdir(parents=True)
    world.tool().symlink_to("/nowhere")
    assert world.run().stdout.startswith("emulated:")


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"])
def test_what_is_linked_otherwise_is_emulated(world: World, name: str) -> None:
    world.script(world.tool())
    assert world.run(**{name: ""}).stdout.startswith("emulated:")


@pytest.mark.parametrize(
    ("arguments", "native"),
    [(["-E", "/usr/bin/py3compile"], True), (["-c", "import x"], False), ([], False), ([*"1234", "py3compile"], False)],
)  # fmt: skip
def test_a_rule_about_arguments(world: World, arguments: list[str], native: bool) -> None:
    world.script(world.tool())
    world.script(Path(f"{world.tool()}.only"), "argument compileall py3compile\n")
    assert world.run(*arguments).stdout.startswith("emulated:") is not native


def test_a_rule_about_modules(world: World) -> None:
    world.script(world.tool())
    here, there = world.folder / "here", world.folder / "there"
    world.script(Path(f"{world.tool()}.only"), f"modules {here} {there}\n")
    assert "emulated" not in world.run().stdout  # the image has none
    world.script(here / "auto/One/One.so")
    world.script(here / "auto/One/One.pm")
    assert world.run().stdout.startswith("emulated:")
    world.script(there / "auto/One/One.so")
    world.script(there / "auto/Two/Two.so")
    assert "emulated" not in world.run().stdout


def test_all_rules_must_hold_and_be_known(world: World) -> None:
    world.script(world.tool())
    rules = world.script(Path(f"{world.tool()}.only"), "\nargument a\nargument b\n")
    assert "emulated" not in world.run("ab").stdout
    assert world.run("a").stdout.startswith("emulated:")
    rules.write_text("argument a\nsometimes\n", encoding="utf-8")
    assert world.run("a").stdout.startswith("emulated:")


def test_a_tool_may_be_told_where_it_is(world: World) -> None:
    world.script(world.tool())
    assert world.run().returncode == 0
    shutil.copy2("/bin/sh", world.tool())
    assert world.run("-c", "echo $0", name="sh").stdout == "sh\n"
    world.script(Path(f"{world.tool()}.only"), "named\n")
    assert world.run("-c", "echo $0", name="sh").stdout == f"{world.tool()}\n"


def test_what_is_emulated_can_be_told(world: World) -> None:
    told = world.native / "emulated"
    told.touch()
    world.run("a", "b")
    world.script(world.tool())
    world.run("c")
    assert told.read_text() == f"{world.program} a b\n"
    world.tool().unlink()
    world.run("x" * 10000)
    assert told.read_text().count("\n") == 2


def test_without_anything_it_says_what_it_could_not_do(world: World) -> None:
    (world.native / "qemu").unlink()
    done = world.run()
    assert done.returncode == 126 and f"{world.program}: could not be emulated: No such file" in done.stderr
    done = subprocess.run([world.compiled], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "usage" in done.stderr


def test_it_is_compiled_once_and_missing_compilers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher.sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    found = dispatcher.program()
    assert found.is_relative_to(tmp_path / "cache") and os.access(found, os.X_OK)
    monkeypatch.setattr(dispatcher.shutil, "which", lambda _name: None)
    assert dispatcher.program() == found
    found.unlink()
    with pytest.raises(MissingError) as error:
        dispatcher.program()
    assert "apt-get install gcc libc6-dev" in error.value.hint


def test_the_set_up_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "environment/libexec/debfleet"
    monkeypatch.setattr(dispatcher.sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    dispatcher.program()
    made = dispatcher.program(folder)
    assert made.parent == folder and dispatcher.program() == made
