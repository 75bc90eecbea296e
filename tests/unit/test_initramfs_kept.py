# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs of an earlier build: taken where nothing that counts has changed, and made anew where anything has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from debfleet.common import journal
from debfleet.common.bases.stamp import FILE, Stamp
from debfleet.common.initramfs import kept

VERSION = "6.12-cloud-amd64"
INITRD, STATE = f"boot/initrd.img-{VERSION}", f"var/lib/initramfs-tools/{VERSION}"


class World:
    """A tree as the packages leave it, what later steps of a build change in it, and a generator that counts."""

    def __init__(self, folder: Path) -> None:
        self.root, self.packages, self.build = folder / "root", folder / "packages", folder / "build"
        self.made, self.key = 0, "packages' key"
        self.changes: list[Callable[[World], object]] = []
        self.build.mkdir()
        folders = ["boot", "etc/modprobe.d", "usr/lib/modules/old", "var/lib/initramfs-tools"]
        folders += ["etc/cloud", "etc/ssh", "etc/sudoers.d", *(name for name in kept.OTHERS if "etc/" not in name)]
        for name in folders:
            (self.root / name).mkdir(parents=True)
        for name in (f"boot/vmlinuz-{VERSION}", "etc/modprobe.d/a.conf", "usr/lib/modules/old/a.ko", "etc/shadow"):
            self.write(name)
        self.write("etc/fstab", "UUID=1-2 / ext4 defaults 0 1")
        self.write("usr/share/initramfs-tools/hooks/udev", "udev")
        self.write("etc/initramfs-tools/initramfs.conf", "MODULES=most")
        self.root.rename(self.packages)

    def write(self, name: str, text: str = "text") -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def generate(self, root: Path) -> list[str]:
        self.made += 1
        (root / INITRD).write_text(f"initramfs {self.made}")
        (root / STATE).write_text(f"state {self.made}")
        return [VERSION]

    def bring(self, *changes: Callable[[World], object]) -> str:
        """The initramfs of a new build, with these changes and those before."""
        self.changes += changes
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.packages, self.root)
        Stamp.take(self.build, self.root, self.key)
        for change in self.changes:
            change(self)
        with journal.writing(self.build):
            kept.bring(self.build, self.root)
        assert (self.root / STATE).read_text().split()[-1] == (self.root / INITRD).read_text().split()[-1]
        return (self.root / INITRD).read_text()

    def told(self) -> str:
        return (self.build / "reuse.jsonl").read_text().splitlines()[-1]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    made = World(tmp_path)
    monkeypatch.setattr(kept, "generate", made.generate)
    monkeypatch.setattr(kept, "link", lambda _root: None)
    return made


def nothing(_world: World) -> None:
    """No change."""


def others(world: World) -> None:
    for name in kept.OTHERS:
        world.write(f"{name}/deep" if (world.root / name).is_dir() else name, "other")


def another_image(world: World) -> None:
    world.write("etc/fstab", "UUID=3-4 / ext4 defaults 0 1")


@pytest.mark.parametrize("change", [nothing, others, another_image])
def test_it_is_taken_where_nothing_that_counts_has_changed(world: World, change: Callable[[World], None]) -> None:
    assert world.bring(lambda world: world.write("etc/timezone")) == "initramfs 1" and "not kept" in world.told()
    assert world.bring(change) == "initramfs 1" and world.made == 1
    assert '"reused": true' in world.told()


def moved(world: World) -> None:
    """A folder from elsewhere, whose files are older than the tree."""
    (world.root / "usr/lib/modules/old").rename(world.root / "usr/lib/modules/new")


def brought(world: World) -> None:
    folder = world.root.parent / "older"
    folder.mkdir()
    (folder / "b.ko").write_text("other")
    os.utime(folder / "b.ko", (1, 1))
    shutil.rmtree(world.root / "usr/lib/modules/old")
    folder.rename(world.root / "usr/lib/modules/old")


CHANGES: dict[str, Callable[[World], object]] = {
    "a module": lambda world: world.write("usr/lib/modules/old/a.ko", "other"),
    "a new module": lambda world: world.write("usr/lib/modules/old/b.ko"),
    "a module that goes": lambda world: (world.root / "usr/lib/modules/old/a.ko").unlink(),
    "a folder that moves": moved,
    "a folder that is brought": brought,
    "a configuration": lambda world: world.write("etc/modprobe.d/a.conf", "blacklist floppy"),
    "the same size and time": lambda world: (
        world.write("etc/modprobe.d/a.conf", "tixt"),
        os.utime(world.root / "etc/modprobe.d/a.conf", (1, 1)),
    ),
    "a link": lambda world: (world.root / "etc/modprobe.d/b.conf").symlink_to("a.conf"),
    "a mode": lambda world: (world.root / "etc/modprobe.d/a.conf").chmod(0o600),
    "a known hook": lambda world: world.write("etc/initramfs-tools/hooks/udev", "other"),
    "its configuration": lambda world: world.write("etc/initramfs-tools/initramfs.conf", "COMPRESS=xz"),
    "its own modules": lambda world: world.write("etc/initramfs-tools/modules", "virtio_blk"),
    "a rule of udev": lambda world: world.write("etc/udev/rules.d/1.rules"),
    "names of network cards": lambda world: world.write("etc/systemd/network/1.link"),
    "a filesystem": lambda world: world.write("etc/fstab", "UUID=1-2 / xfs defaults 0 0"),
    "an encrypted disk": lambda world: world.write("etc/crypttab"),
    "a library": lambda world: world.write("usr/lib/x86_64-linux-gnu/libc.so.6"),
    "what every program loads": lambda world: world.write("etc/ld.so.preload"),
    "a program": lambda world: world.write("usr/local/bin/kmod"),
    "a keyboard": lambda world: world.write("etc/default/keyboard"),
    "users": lambda world: world.write("etc/passwd"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_made_anew_where_something_counts(world: World, name: str) -> None:
    world.bring()
    assert world.bring(CHANGES[name]) == "initramfs 2" and "differs from before: " in world.told()
    assert world.bring() == "initramfs 2" and world.made == 2


def test_it_is_made_anew_for_other_packages_and_on_another_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bring()
    world.key = "other packages' key"
    assert world.bring() == "initramfs 2" and "differs from before: packages" in world.told()
    monkeypatch.setattr(kept, "machine", lambda: ["another"])
    assert world.bring() == "initramfs 3" and "differs from before: this machine" in world.told()


WAYS: dict[str, Callable[[World], object]] = {
    "a hook that is not known": lambda world: world.write("etc/initramfs-tools/hooks/mine"),
    "modules of this machine only": lambda world: world.write("etc/initramfs-tools/conf.d/x", "MODULES=dep"),
    "dracut": lambda world: world.write("usr/bin/dracut"),
    "no moment to compare with": lambda world: (world.build / FILE).unlink(),
}


@pytest.mark.parametrize("name", WAYS)
def test_it_is_never_kept_where_nobody_knows_what_it_depends_on(world: World, name: str) -> None:
    world.bring()
    assert [world.bring(WAYS[name]), world.bring()] == ["initramfs 2", "initramfs 3"]


def test_a_clock_that_was_set_back_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bring()
    now = kept.time.time_ns()
    monkeypatch.setattr("debfleet.common.bases.stamp.time.time_ns", lambda: now - 10**10)
    assert Stamp.of(world.build) is None


def test_a_damaged_one_is_made_anew(world: World, tmp_path: Path) -> None:
    world.bring()
    (file,) = (tmp_path / "cache/bases").glob("*.tar.*")
    file.write_bytes(b"x" + file.read_bytes()[1:])
    assert world.bring() == "initramfs 2" and "damaged" in world.told()


def test_what_changes_at_once_after_the_stamp_is_seen(world: World) -> None:
    world.bring()
    for number in range(20):
        Stamp.take(world.build, world.root, "key")
        world.write("etc/modprobe.d/a.conf", str(number))
        stamp = Stamp.of(world.build)
        assert stamp and list(stamp.differences(world.root, lambda _: True)) == ["etc/modprobe.d/a.conf"]
