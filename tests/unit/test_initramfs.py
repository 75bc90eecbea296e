# SPDX-License-Identifier: GPL-3.0-or-later
"""Which functions of initramfs-tools are replaced, and that no other ever is."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from debfleet.common import journal
from debfleet.common.initramfs import generate
from debfleet.common.initramfs.faster import choose
from debfleet.common.initramfs.functions import KNOWN, PREAMBLE, Faster

COPY = 'copy_file() {\n\tif [ "$(readlink -f /bin)" = /usr/bin ]; then\n\t\t:\n\tfi\n}'
ADD = "manual_add_modules()\n{\n\tmodprobe $1\n}"
OTHER = "other() {\n\tcopy_file a b\n}"
STOCK = f"# functions\n\n{COPY}\n\n{ADD}\n\n{OTHER}\n"


def known(**ways: tuple[str, Faster | None]) -> dict[str, dict[str, Faster | None]]:
    """A table of functions' texts and what is faster."""
    return {name: {hashlib.sha256(text.encode()).hexdigest(): way} for name, (text, way) in ways.items()}


EDIT = Faster((("$(readlink -f /bin)", "${__bin}"),))
WHOLE = Faster(whole="manual_add_modules()\n{\n\tall at once\n}")
TABLE = known(copy_file=(COPY, EDIT), manual_add_modules=(ADD, WHOLE))


def test_functions_of_a_known_text_are_replaced_in_their_place() -> None:
    choice = choose(STOCK, TABLE)
    assert (choice.faster, choice.stock) == (("copy_file", "manual_add_modules"), ())
    assert choice.text.removeprefix(PREAMBLE) == STOCK.replace("$(readlink -f /bin)", "${__bin}").replace(
        ADD, WHOLE.whole
    )


def test_a_function_of_another_text_stays_and_is_told() -> None:
    stock = STOCK.replace("modprobe $1", "dracut-install $1")
    choice = choose(stock, TABLE)
    assert (choice.faster, choice.stock) == (("copy_file",), ("manual_add_modules",))
    assert "dracut-install $1" in choice.text and "all at once" not in choice.text
    assert choice.told() == (
        "initramfs-tools' functions faster for this build: copy_file; "
        "as the image has them, for they are of a version not checked with: manual_add_modules"
    )


@pytest.mark.parametrize("stock", ["", OTHER, STOCK.replace("/bin)", "/sbin)").replace("modprobe", "insmod")])
def test_where_nothing_is_known_nothing_changes(stock: str) -> None:
    choice = choose(stock, TABLE)
    assert choice.text == stock and choice.faster == ()
    assert ("not checked with" in choice.told()) == (COPY.partition("(")[0] in choice.stock)


def test_a_text_with_nothing_to_gain_is_neither_replaced_nor_told() -> None:
    choice = choose(STOCK, known(copy_file=(COPY, None)))
    assert (choice.text, choice.faster, choice.stock) == (STOCK, (), ())
    assert choice.told() == "initramfs-tools' functions as the image has them"


def test_an_edit_that_finds_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks 'nowhere'"):
        choose(STOCK, known(copy_file=(COPY, Faster((("nowhere", ""),)))))


def test_what_is_put_in_is_shell() -> None:
    whole = [way.whole for texts in KNOWN.values() for way in texts.values() if way and way.whole]
    assert whole
    for text in [PREAMBLE, *whole]:
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", False),
        ("/real/file", True),
        ("/real/none", True),
        ("/real//file", False),
        ("/real/./file", False),
        ("/real/../real/file", False),
        ("/real/file/", False),
        ("/linked/file", False),
        ("/real/link", False),
        ("real/file", False),
        ("", False),
    ],
)
def test_only_a_path_that_is_its_own_canonical_form_is_called_so(tmp_path: Path, path: str, canonical: bool) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "real/link").symlink_to("file")
    (tmp_path / "linked").symlink_to("real")
    full = f"{tmp_path}{path}" if path.startswith("/") and path != "/" else path
    script = f'set -e\n{PREAMBLE}\n__canonical "$1" && echo yes || echo no'
    said = subprocess.run(["sh", "-c", script, "sh", full], text=True, capture_output=True, check=True).stdout
    assert said == ("yes\n" if canonical else "no\n")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str], str]]:
    """The commands run in a tree: their words, what is bound, and the text of that."""
    found: list[tuple[list[str], dict[str, str], str]] = []

    def run_in_root(_root: Path, argv: list[str], binds: dict[str, str] | None = None, **_: object) -> None:
        text = "".join(Path(path).read_text() for path in binds or {})
        found.append((argv, binds or {}, text))

    monkeypatch.setattr(generate, "run_in_root", run_in_root)
    return found


def tree(root: Path, tool: str, functions: str) -> Path:
    for name in (f"usr/sbin/{tool}", "boot/vmlinuz-6.1", generate.HOOK_FUNCTIONS.lstrip("/")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(functions)
    return root


def test_the_tool_sees_faster_functions_and_the_tree_keeps_its_own(
    tmp_path: Path, commands: list[tuple[list[str], dict[str, str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "choose", lambda text: choose(text, TABLE))
    root = tree(tmp_path, "update-initramfs", STOCK)
    with journal.writing(tmp_path):
        assert generate.generate(root) == ["6.1"]
    ((argv, binds, text),) = commands
    assert argv == ["update-initramfs", "-c", "-k", "6.1"]
    assert list(binds.values()) == [generate.HOOK_FUNCTIONS] and "all at once" in text
    assert not any(Path(path).exists() for path in binds)
    assert (root / generate.HOOK_FUNCTIONS.lstrip("/")).read_text() == STOCK
    assert "faster for this build: copy_file, manual_add_modules" in (tmp_path / journal.LOG).read_text()


@pytest.mark.parametrize("tool", ["dracut", "update-initramfs"])
def test_dracut_and_unknown_versions_run_as_the_image_has_them(
    tmp_path: Path, commands: list[tuple[list[str], dict[str, str], str]], tool: str
) -> None:
    generate.generate(tree(tmp_path, tool, STOCK))
    assert [(argv[0], binds) for argv, binds, _ in commands] == [(tool, {})]


@pytest.mark.parametrize("kernel", ["vmlinuz-6.1", "vmlinux-6.1"])
def test_the_links_lead_to_the_kernel_by_its_own_name(
    tmp_path: Path, commands: list[tuple[list[str], dict[str, str], str]], kernel: str
) -> None:
    root = tree(tmp_path, "update-initramfs", STOCK)
    (root / "boot/vmlinuz-6.1").rename(root / "boot" / kernel)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/linux-update-symlinks").touch()
    assert generate.generate(root, faster=False) == ["6.1"]
    made, links = (argv for argv, _, _ in commands)
    assert made == ["update-initramfs", "-c", "-k", "6.1"]
    assert links == ["linux-update-symlinks", "install", "6.1", f"/boot/{kernel}"]


def test_functions_that_are_a_link_are_left_alone(
    tmp_path: Path, commands: list[tuple[list[str], dict[str, str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "choose", lambda text: choose(text, TABLE))
    root = tree(tmp_path, "update-initramfs", STOCK)
    path = root / generate.HOOK_FUNCTIONS.lstrip("/")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    generate.generate(root)
    assert commands[0][1] == {}


def test_the_types_that_are_checked_at_boot_are_those_of_root_and_usr(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert generate.checked_types(tmp_path) == []
    (tmp_path / "etc/fstab").write_text(
        "# a comment\n\nUUID=1 / xfs defaults 0 1\nUUID=2 /usr ext4 ro 0 2\nUUID=3 /var btrfs x 0 2\nbad\n"
    )
    assert generate.checked_types(tmp_path) == ["ext4", "xfs"]
