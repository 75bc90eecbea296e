# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls of the house that import-linter can't see, since library/ and the plugins are no packages."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMON = ROOT / "module_utils/debfleet"
PLUGINS = ("action_plugins", "callback_plugins", "connection_plugins", "filter_plugins", "inventory_plugins")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Each import of a file: its name as written, relative ones with their dots; and its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node.lineno


def below(name: str, *tops: str) -> bool:
    return any(name == top or name.startswith(f"{top}.") for top in tops)


def found(paths: list[Path], wrong) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in paths
        for name, line in imports(path)
        if wrong(path, name)
    ]


def test_modules_know_only_module_utils() -> None:
    allowed = ("ansible.module_utils", "__future__", *sys.stdlib_module_names)
    assert not found(python_files("library"), lambda _, name: not below(name, *allowed))


def test_common_knows_neither_ansible_nor_debfleet() -> None:
    assert not found(python_files("module_utils"), lambda _, name: below(name, "ansible", "debfleet", "ansible_runner"))


def test_common_imports_no_further_than_itself() -> None:
    def leaves(path: Path, name: str) -> bool:
        depth = len(path.relative_to(COMMON).parts)
        return len(name) - len(name.lstrip(".")) > depth

    assert not found(python_files("module_utils"), leaves)


def test_common_needs_nothing_on_a_node() -> None:
    """At import; what a function imports, it says itself when it is missing."""
    wrong = []
    for path in python_files("module_utils"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong += [
                f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
                for name in names
                if not below(name, *sys.stdlib_module_names)
            ]
    assert not wrong


def test_plugins_know_debfleet_only_as_installed() -> None:
    assert not found(python_files(*PLUGINS), lambda _, name: name.startswith("ansible.module_utils.debfleet"))


def test_nothing_knows_the_tests() -> None:
    files = python_files("library", "module_utils", "src", "scripts", *PLUGINS)
    assert not found(files, lambda _, name: below(name, "tests", "pytest", "hypothesis"))


def test_node_code_is_python_3_11() -> None:
    for path in python_files("module_utils", "library", "src/debfleet"):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 11))


def node_python() -> str | None:
    """A Python 3.11 on this machine, that of a fleet node."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.11*/bin/python3.11"))
    for candidate in (*map(str, pyenv), "/usr/bin/python3.11", shutil.which("python3.11")):
        if candidate and Path(candidate).exists():
            return candidate
    return None


def test_node_code_runs_without_ansible() -> None:
    """Every file of module_utils loads with a bare Python 3.11, or with this one's bare self where there is none."""
    names = ["debfleet", "debfleet.cli"]
    for path in python_files("module_utils"):
        parts = path.relative_to(COMMON).with_suffix("").parts
        names.append(".".join(["debfleet.common", *(part for part in parts if part != "__init__")]))
    code = "import importlib, sys\nsys.path.insert(0, sys.argv[1])\nfor n in sys.argv[2:]: importlib.import_module(n)"
    python = node_python() or sys.executable
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", code, str(ROOT / "src"), *names], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*")), ids=lambda path: path.name)
def test_playbooks_reach_the_house(path: Path) -> None:
    assert path.exists(), f"{path.name} leads nowhere"


def test_playbooks_find_every_kind_of_plugin() -> None:
    for name in (*PLUGINS, "library", "module_utils", "roles", "ansible.cfg", "inventory"):
        if (ROOT / name).exists():
            assert (ROOT / "playbooks" / name).resolve() == ROOT / name, f"ln -s ../{name} playbooks/{name}"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file() and not path.is_symlink()]


def test_every_file_has_its_licence() -> None:
    """Every source; JSON has no comments, and what a test merely copies is no source."""
    sources = {".py", ".pyi", ".yml", ".yaml", ".toml", ".cfg", ".lock", ".j2", ".service", ".network", ".sh", ".md"}
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in tracked()}
    missing = [
        str(path.relative_to(ROOT))
        for path, text in texts.items()
        if (path.suffix in sources or path.name == "Makefile" or text.startswith("#!"))
        and path.name != "README.md"
        and text
        and "SPDX-License-Identifier: GPL-3.0-or-later" not in text[:400]
    ]
    assert not missing


def test_no_file_is_a_house_of_its_own() -> None:
    """No file over 400 lines."""
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in tracked()
        if path.suffix == ".py" and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert not long


def test_the_lock_has_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert "://" not in text
    assert " @ " not in text
    assert len(entries) > 30
    for entry in entries:
        assert entry.endswith(" \\"), f"no hash: {entry}"
