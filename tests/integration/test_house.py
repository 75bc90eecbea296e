# SPDX-License-Identifier: GPL-3.0-or-later
"""debfleet as others get it: make, the set-up, the wheel, the collection, playbooks from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from pathlib import Path

import pytest

import debfleet

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*argv: str | Path, cwd: Path = ROOT, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", **variables}
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    assert not check or done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done


# ---- make and its scripts ----


def test_make_alone_says_what_there_is() -> None:
    said = run("make").stdout
    for target in ("help", "setup", "image", "test", "lint", "clean", "uninstall", "wheel", "collection", "completion"):
        assert f"make {target} " in said


def test_make_completion_is_shell_code() -> None:
    said = run("make", "completion").stdout
    run("bash", "-n", "-c", said[said.index("#") :])
    assert "debfleet" in said


def test_completion_completes() -> None:
    line = "debfleet image in"
    code = "import os; os.dup2(1, 8); import sys; sys.argv[:] = ['debfleet']; from debfleet.cli import main; main([])"
    variables = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    assert run(sys.executable, "-c", code, check=False, **variables).stdout.strip() == "inspect"


def test_setup_says_what_each_package_is_for() -> None:
    rows = [line.split(maxsplit=1) for line in run("scripts/setup", "--list").stdout.splitlines()]
    assert len(rows) > 20
    assert all(len(row) == 2 for row in rows)
    assert len({name for name, _ in rows}) == len(rows)


def test_setup_done_is_done_at_once() -> None:
    run("scripts/setup")
    start = time.monotonic()
    said = run("scripts/setup")
    assert said.stdout == said.stderr == ""
    assert time.monotonic() - start < 30  # 3 s on a quiet machine, a figure for docs/performance.md


def test_setup_has_no_other_words() -> None:
    done = run("scripts/setup", "--nonsense", check=False)
    assert (done.returncode, done.stdout) == (2, "")


def without_programs(folder: Path, *names: str, **programs: str) -> str:
    """A PATH of the usual programs, without some, and with scripts in the place of others."""
    folder.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin"):
        for program in Path(place).iterdir():
            link = folder / program.name
            if program.name not in (*names, *programs) and not os.path.lexists(link):
                link.symlink_to(program)
    for name, text in programs.items():
        (folder / name.replace("_", "-")).unlink(missing_ok=True)
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return str(folder)


def test_setup_says_in_a_line_what_it_may_not_install(tmp_path: Path) -> None:
    # dpkg knows of nothing, and whoever asks is nobody special.
    path = without_programs(tmp_path / "bin", "sudo", dpkg_query="exit 0", id="echo 1000")
    done = run("scripts/setup", check=False, PATH=path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "mmdebstrap" in done.stderr
    assert "apt-get install" in done.stderr


def test_setup_wants_a_python_that_is_new_enough(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = run("scripts/setup", check=False, PYTHON=str(python))
    assert done.returncode == 3
    assert done.stderr == f"setup: PYTHON={python} is not a Python of 3.12 or later\n"


@pytest.mark.parametrize(
    ("variable", "place"),
    [("PYENV_ROOT", "versions/3.13.9"), ("UV_PYTHON_INSTALL_DIR", "cpython-3.13.9-linux-x86_64-gnu")],
)
def test_setup_finds_pythons(variable: str, place: str, tmp_path: Path) -> None:
    system = subprocess.run(["/usr/bin/python3", "-c", "import sys; sys.exit(sys.version_info < (3, 12))"], check=False)
    if system.returncode == 0:
        pytest.skip("the system's Python is new enough, and comes first")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")  # a clone without .venv
    nowhere = {"PYENV_ROOT": str(tmp_path), "UV_PYTHON_INSTALL_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = run(tmp_path / "scripts/setup", "--python", check=False, **nowhere)
    assert done.returncode == 3
    assert "pyenv install" in done.stderr
    python = tmp_path / "there" / place / "bin/python3"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$2" in *version_info*) ;; *) echo /found ;; esac\n')
    python.chmod(0o755)
    said = run(tmp_path / "scripts/setup", "--python", **{**nowhere, variable: str(tmp_path / "there")}).stdout
    assert said == "/found\n"


def test_what_is_installed_fits_together() -> None:
    run(sys.executable, "-m", "pip", "check")


# ---- the wheel ----


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ".")
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_house(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert not [info.filename for info in archive.infolist() if info.external_attr >> 28 == 0o12], "no symlinks"
    assert len(names) == len(set(names))
    for path in ROOT.glob("module_utils/debfleet/**/*.py"):
        assert f"debfleet/common/{path.relative_to(ROOT / 'module_utils/debfleet')}" in names
    for folder in (
        "playbooks",
        "roles",
        "library",
        "schemas",
        "scripts",  # the table of Debian packages, which the doctor reads
        "action_plugins",
        "playbooks/library",
        "playbooks/roles",
    ):
        assert any(name.startswith(f"debfleet/_house/{folder}/") for name in names), folder
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_runs_with_nothing_else(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    command = tmp_path / "venv/bin/debfleet"
    assert run(command, "--version", cwd=tmp_path).stdout == f"debfleet {debfleet.__version__}\n"
    for noun in ("manifest", "image", "doctor"):
        assert "usage:" in run(command, noun, "--help", cwd=tmp_path).stdout
    where = run(python, "-c", "from debfleet import house; print(house.root())", cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(tmp_path)
    assert (Path(where) / "playbooks/build-image.yml").is_file()


# ---- the collection ----


def test_collection_is_one(tmp_path: Path) -> None:
    home = {"ANSIBLE_HOME": str(tmp_path / "home")}
    run(sys.executable, "scripts/collection", tmp_path, **home)
    (built,) = tmp_path.glob("debfleet-debfleet-*.tar.gz")
    with tarfile.open(built) as archive:
        names = archive.getnames()
    for path in ROOT.glob("library/*.py"):
        assert f"plugins/modules/{path.name}" in names
    assert not [name for name in names if "__pycache__" in name]
    where = tmp_path / "collections"
    run(BIN / "ansible-galaxy", "collection", "install", "--offline", "-p", where, built, cwd=tmp_path, **home)
    said = run(
        BIN / "ansible-doc",
        "-t",
        "module",
        "-l",
        "debfleet.debfleet",
        cwd=tmp_path,
        ANSIBLE_COLLECTIONS_PATH=str(where),
        **home,
    ).stdout
    for path in ROOT.glob("library/*.py"):
        assert f"debfleet.debfleet.{path.stem} " in said


def test_collection_module_runs(tmp_path: Path) -> None:
    """A module of the collection finds its module_utils, also through their relative imports."""
    home = {"ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    run(sys.executable, "scripts/collection", "--tree", tmp_path, **home)
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        "    - debfleet.debfleet.image_workspace:\n      register: told\n      ignore_errors: true\n"
        "    - ansible.builtin.debug: {var: told.msg}\n"
    )
    said = run(BIN / "ansible-playbook", play, cwd=tmp_path, **home).stdout
    assert "missing required arguments" in said, said


# ---- playbooks from any folder ----


@pytest.mark.parametrize("folder", ["", "playbooks", "docs"])
def test_playbooks_parse_from_any_folder_of_the_clone(folder: str, tmp_path: Path) -> None:
    for playbook in sorted(ROOT.glob("playbooks/*.yml")):
        run(BIN / "ansible-playbook", "--syntax-check", playbook, cwd=ROOT / folder, ANSIBLE_HOME=str(tmp_path))


def test_playbooks_parse_from_elsewhere(tmp_path: Path) -> None:
    for playbook in sorted(ROOT.glob("playbooks/*.yml")):
        run(BIN / "ansible-playbook", "--syntax-check", playbook, cwd=tmp_path, ANSIBLE_HOME=str(tmp_path))


def test_a_play_that_matches_no_host_is_an_error(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text("- hosts: nowhere\n  gather_facts: false\n  tasks: []\n")
    done = run(BIN / "ansible-playbook", play, check=False, ANSIBLE_HOME=str(tmp_path))
    assert done.returncode != 0
    assert "nowhere" in done.stdout + done.stderr


def test_a_foreign_ansible_playbook_says_whose_it_is(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['debfleet'] = None; from ansible.cli.playbook import main; "
        "sys.exit(main(['ansible-playbook', *sys.argv[1:]]))"
    )
    manifest = tmp_path / "manifest.yml"
    manifest.write_text("name: x\n")
    done = run(
        sys.executable, "-c", code, ROOT / "playbooks/plan-image.yml", "-e", f"manifest={manifest}", check=False,
        ANSIBLE_HOME=str(tmp_path),
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "make setup" in said
    assert ".venv/bin/ansible-playbook" in said
    assert "Traceback" not in said
