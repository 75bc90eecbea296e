# SPDX-License-Identifier: GPL-3.0-or-later
"""Images entered by a shell: nested filesystems, every format, a terminal; never written, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminals import Terminal

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/unit"))
from inspect_tree import make, put  # noqa: E402
from test_inspect_disk import ROOT_UUID, VAR_UUID, filesystem, make_disk, tool  # noqa: E402

from debfleet.common.folder.metadata import sha256  # noqa: E402
from debfleet.common.ledger import state_folder  # noqa: E402

pytestmark = pytest.mark.root

DEBFLEET = str(Path(sys.executable).parent / "debfleet")
PROGRAMS = ("cat", "chmod", "env", "id", "ls", "sh", "sleep", "touch", "tty")


def give_programs(tree: Path) -> None:
    """A shell and some programs of this machine, with the libraries they need."""
    for name in ("bin", "lib", "lib64", "sbin"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for name in PROGRAMS:
        program = Path(shutil.which(name) or "")
        shutil.copy(program, tree / "usr/bin" / name)
        for word in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.split():
            if word.startswith("/"):
                (tree / word.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, tree / word.lstrip("/"))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT disk with a root that has a shell, a /var of its own, and an ESP."""
    folder = tmp_path_factory.mktemp("shell")
    disk = make_disk(folder)
    give_programs(folder / "root")
    (folder / "root/boot/efi").mkdir(parents=True)
    filesystem(disk, "root", folder / "root", ROOT_UUID)
    put(folder, "BOOTX64.EFI", "the loader\n")
    tool("mcopy", "-i", f"{disk}@@{1024**2}", folder / "BOOTX64.EFI", "::/EFI/BOOT/")
    return disk


@pytest.fixture(autouse=True)
def leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No mount, loop device, process, ledger or file of a shell is there afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    yield
    until = time.monotonic() + 60
    while any(traces(scratch)):  # a reaper works when we look already
        assert time.monotonic() < until, traces(scratch)
        time.sleep(0.1)


def traces(scratch: Path) -> list[list[str]]:
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "debfleet-shell" in line]
    loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout
    ledgers = [path.name for path in (state_folder() / "ledgers").glob("shell.*")]
    processes = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if _uses(path, str(scratch))]
    return [mounts, [line for line in loops.splitlines() if str(scratch.parent) in line], ledgers, processes,
            [path.name for path in scratch.iterdir()]]  # fmt: skip


def _uses(path: Path, words: str) -> bool:
    try:
        return words in path.read_text(errors="replace") or words in os.readlink(path.parent / "root")
    except OSError:
        return False


def shell(image: Path, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEBFLEET, "image", "shell", str(image), *words], input=text, capture_output=True, text=True)


@pytest.fixture
def untouched(disk: Path) -> Iterator[None]:
    before = sha256(disk)
    yield
    assert sha256(disk) == before, "the image was written"


def test_everything_is_there_and_nothing_written_stays(disk: Path, untouched: None) -> None:
    look = "cat /etc/hostname /boot/efi/EFI/BOOT/BOOTX64.EFI; ls /var/lib/dpkg/status; ls /sys/class/net; id -u"
    done = shell(disk, "--", "sh", "-c", look)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["machine", "the", "loader", "/var/lib/dpkg/status", "lo", "0"]
    write = "touch /new /var/new /boot/efi/new; chmod 700 /etc; echo x > /etc/hostname; ls /new /var/new /boot/efi/new"
    assert shell(disk, "--", "sh", "-c", write).stdout.split() == ["/boot/efi/new", "/new", "/var/new"]
    assert shell(disk, "--", "cat", "/etc/hostname").stdout == "machine\n"


@pytest.mark.parametrize("form", ["qcow2", "vmdk"])
def test_other_formats(disk: Path, tmp_path: Path, form: str) -> None:
    image = tmp_path / f"disk.{form}"
    tool("qemu-img", "convert", "-O", form, disk, image)
    before = sha256(image)
    assert shell(image, "--", "sh", "-c", "touch /var/x && cat /etc/hostname").stdout == "machine\n"
    assert sha256(image) == before


def test_a_plain_tree(tmp_path: Path) -> None:
    tree = make(tmp_path / "tree")
    give_programs(tree)
    before = sorted(tree.rglob("*"))
    assert shell(tree, "--network", "--", "sh", "-c", "touch /new; cat /etc/hostname").stdout == "machine\n"
    assert sorted(tree.rglob("*")) == before


def test_exit_codes_words_and_streams(disk: Path) -> None:
    assert shell(disk, "--", "sh", "-c", "exit 7").returncode == 7
    assert shell(disk, "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert shell(disk, "--", "nonesuch").returncode == 127
    assert shell(disk, "--", "sh", "-c", 'echo "$@"', "sh", "a", "--", "--json").stdout == "a -- --json\n"
    assert shell(disk, "--", "cat", text="by pipe").stdout == "by pipe"
    assert shell(disk, text="echo a script; tty; exit 3\n").stdout == "a script\nnot a tty\n"


def test_what_can_not_be_entered(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.raw").write_bytes(bytes(1 << 20))
    done = shell(tmp_path / "empty.raw")
    assert (done.returncode, "no system to enter" in done.stderr) == (4, True)
    done = shell(disk, "ls")
    assert (done.returncode, "a command comes after --" in done.stderr) == (2, True)
    done = shell(make(tmp_path / "tree"))
    assert (done.returncode, "no shell that runs" in done.stderr) == (4, True)


def test_programs_of_another_architecture(tmp_path: Path) -> None:
    tree = make(tmp_path / "tree")
    give_programs(tree)
    put(tree, "var/lib/dpkg/status", "Package: dpkg\nStatus: install ok installed\nArchitecture: s390x\nVersion: 1\n")
    program = bytearray((tree / "usr/bin/sh").read_bytes())
    program[18:20] = b"\xff\xf0"  # a machine that nobody has
    (tree / "usr/bin/sh").write_bytes(program)
    done = shell(tree, "--", "sh")
    assert done.returncode == 3
    assert "of s390x" in done.stderr
    assert "apt-get install qemu-user-static" in done.stderr


def test_at_a_terminal(disk: Path, untouched: None) -> None:
    terminal = Terminal([DEBFLEET, "image", "shell", str(disk)], ROOT, os.environ)
    terminal.until("# ")
    terminal.type("tty; sh -c \"echo u''p; exec sleep 3600\"\n")
    assert "/dev/tty" in terminal.until("up")
    terminal.type("\x03")  # for the sleep, not for the shell or us
    terminal.until("# ")
    terminal.type("echo still here; exit 5\n")
    terminal.until("still here; exit 5")
    terminal.until("still here")
    assert terminal.end() == 5


def test_keys_end_a_command(disk: Path) -> None:
    terminal = Terminal(
        [DEBFLEET, "image", "shell", str(disk), "--", "sh", "-c", "echo up; sleep 3600"], ROOT, os.environ
    )
    terminal.until("up")
    assert terminal.end("\x03") == 130


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_killed(disk: Path, untouched: None, how: str) -> None:
    script = "touch /var/x; sleep 3600 & echo up; sleep 3600"
    process = subprocess.Popen(
        [DEBFLEET, "image", "shell", str(disk), "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    end: Callable[[], None] = getattr(process, how)
    end()
    assert process.stdout.read() == "", "whoever held the pipe is gone"
    process.stdout.close()
    assert process.wait() == (-9 if how == "kill" else 130)


def test_no_room_for_an_overlay_but_memory(disk: Path, untouched: None, tmp_path: Path) -> None:
    """Where what is written lies on an overlay itself, as in a container, memory takes it."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    script = f"""
mount -t overlay -o lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work none {tmp_path}/merged
TMPDIR={tmp_path}/merged {DEBFLEET} image shell {disk} -- sh -c 'touch /var/new && ls /var/new'
"""
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    done = subprocess.run(apart, capture_output=True, text=True)
    assert done.stdout == "/var/new\n", done.stderr


def test_var_is_the_other_filesystem(disk: Path) -> None:
    assert VAR_UUID in shell(disk, "--", "cat", "/etc/fstab").stdout
    assert "overlay /var overlay" in shell(disk, "--", "cat", "/proc/mounts").stdout
