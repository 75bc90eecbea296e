# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that can't be, each part of which is right by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import sizes
from ..architectures import RELEASES
from ..architectures import TABLE as ARCHITECTURES
from ..disk import combinations, limits
from ..disk.combinations import BIOS, FIRMWARE_MAPS, TABLE, UEFI
from ..disk.formats import FORMATS
from . import reproducible
from .problems import Keys, Positions, Problem

MOST_SPARED = 2 * sizes.UNITS["MiB"]
# The users and groups of the package base-passwd, in every image.
THERE = (
    "root", "daemon", "bin", "sys", "adm", "tty", "disk", "lp", "mail", "news", "uucp", "man", "proxy", "kmem",
    "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio", "dip", "www-data", "backup", "operator",
    "list", "irc", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff", "games", "users", "nogroup", "sync",
    "nobody", "_apt",
)  # fmt: skip
OURS = ("boot/efi", "esp", "bios_grub")
GIB = sizes.UNITS["GiB"]


@dataclass(frozen=True)
class View:
    """A manifest as rules look at it: what is an error already is not there."""

    data: Mapping[str, Any]
    bad: frozenset[Keys]
    positions: Positions

    def get(self, *keys: str) -> Any:
        """The value, None where there is none or where it is, or holds, an error."""
        if any(one[: len(keys)] == keys or keys[: len(one)] == one for one in self.bad):
            return None
        at: Any = self.data
        for key in keys:
            if not isinstance(at, Mapping) or key not in at:
                return None
            at = at[key]
        return at

    def wrong(self, keys: Keys, message: str, **more: Any) -> Problem:
        """An error of the value at these keys."""
        value: Any = self.data
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        shown = None if isinstance(value, Mapping) else value
        return self.positions.problem(keys, message, value=shown, **more)


Rule = Callable[[View], Iterator[Problem]]


def disk(view: View) -> Iterator[Problem]:
    """No root, too much for the map, too large for the volume: what the disk's own arithmetic refuses."""
    firmware, bootloader = view.get("system", "firmware"), view.get("system", "bootloader")
    volume = {key: view.get("volume", key) for key in ("partitions", "size")}
    if not isinstance(volume["partitions"], Mapping) or ("volume", "size") in view.bad:
        return
    if not isinstance(volume["partitions"].get("root"), Mapping):
        allowed = "root: {size: …}"
        yield view.wrong(("volume", "partitions", "root"), "there is no root partition", allowed=allowed)
        return
    if not all("size" in part for part in volume["partitions"].values() if isinstance(part, Mapping)):
        return
    for trouble in limits.troubles(volume, firmware=firmware or "bios", bootloader=bootloader or "none"):
        keys = tuple(trouble.where.split(".")) if trouble.where else ("volume", "partitions")
        if keys == ("volume", "partitions", "type") and bootloader in TABLE:
            continue  # a rule below says it with what is allowed
        message = trouble.what + (f": {trouble.why}" if trouble.why else "").replace("\n", "; ")
        yield view.wrong(keys, message, hint=trouble.hint)


def taken(view: View) -> Iterator[Problem]:
    """Partitions that are added by themselves."""
    volume = view.data.get("volume")
    partitions = volume.get("partitions") if isinstance(volume, Mapping) else None
    for name in OURS:
        if isinstance(partitions, Mapping) and name in partitions:
            hint = "it is added where system.firmware needs it: leave it out"
            yield view.positions.problem(
                ("volume", "partitions", name), f"{name} is debfleet's own", key=True, hint=hint
            )


def booted(view: View) -> Iterator[Problem]:
    """A bootloader that the map, the firmware or the architecture can't take."""
    bootloader, architecture = view.get("system", "bootloader"), view.get("system", "architecture")
    firmware, kind = view.get("system", "firmware"), view.get("volume", "partitions", "type")
    if bootloader not in TABLE:
        return
    keys, row = ("system", "bootloader"), TABLE[bootloader]
    if row.architectures and architecture and architecture not in row.architectures:
        fit = [name for name, one in TABLE.items() if not one.architectures or architecture in one.architectures]
        yield view.wrong(keys, f"{bootloader} does not boot {architecture}", allowed=fit)
    if kind and kind not in row.maps:
        fit = [name for name, one in TABLE.items() if kind in one.maps]
        yield view.wrong(keys, f"{bootloader} can't boot a disk whose map is {kind}", allowed=fit,
                         hint=f"or set volume.partitions.type to {' or '.join(row.maps)}")  # fmt: skip
    if firmware and firmware not in row.firmwares:
        yield view.wrong(("system", "firmware"), f"{bootloader} is not started by {firmware}",
                         allowed=list(row.firmwares))  # fmt: skip


def readable(view: View) -> Iterator[Problem]:
    """Kernels in a filesystem that the bootloader can't read."""
    bootloader, partitions = view.get("system", "bootloader"), view.get("volume", "partitions")
    if bootloader not in TABLE or not isinstance(partitions, Mapping):
        return
    name = "boot" if isinstance(partitions.get("boot"), Mapping) else "root"
    if not isinstance(partitions.get(name), Mapping):
        return
    filesystem = view.get("volume", "partitions", name, "filesystem")
    if filesystem is None or combinations.reads(bootloader, filesystem):
        return
    apart = "or give the kernels a partition of their own, as boot: {size: 512MiB, filesystem: ext4}"
    yield view.wrong(
        ("volume", "partitions", name, "filesystem"),
        f"{bootloader} can't read {filesystem}, in which the kernels would lie",
        allowed=list(TABLE[bootloader].reads),
        hint=apart if name == "root" and partitions.get("type") != "none" else "",
    )


def subvolumes(view: View) -> Iterator[Problem]:
    """A subvolume that isn't there."""
    for name, part in (view.get("volume", "partitions") or {}).items():
        options = part.get("mountopts") if isinstance(part, Mapping) else None
        for index, option in enumerate(options or ()):
            if isinstance(option, str) and re.match("subvol(id)?=", option):
                hint = "leave it out: everything is in the top level subvolume"
                keys = ("volume", "partitions", name, "mountopts", index)
                yield view.positions.problem(keys, "there is no such subvolume", value=option, hint=hint)


def started(view: View) -> Iterator[Problem]:
    """A firmware that the architecture hasn't, or that doesn't read the map."""
    architecture, firmware = view.get("system", "architecture"), view.get("system", "firmware")
    kind, bootloader = view.get("volume", "partitions", "type"), view.get("system", "bootloader")
    keys = ("system", "firmware")
    if not firmware or bootloader not in TABLE:
        return
    if not TABLE[bootloader].by_firmware:
        if architecture and firmware != "bios" and architecture not in UEFI:  # bios is whatever the machine has
            yield view.wrong(keys, f"{architecture} has no UEFI", allowed=["bios"])
        return
    fit = [word for word, there in (("bios", BIOS), ("uefi", UEFI), ("both", BIOS)) if architecture in there]
    if architecture and firmware in ("bios", "both") and architecture not in BIOS and fit:
        yield view.wrong(keys, f"{architecture} has no BIOS", allowed=fit)
    if kind == "none" and kind not in FIRMWARE_MAPS[firmware]:
        yield view.wrong(keys, f"{firmware} needs a partition map", allowed=["bios"],
                         hint="or set volume.partitions.type to gpt")  # fmt: skip
    if kind == "msdos" and kind not in FIRMWARE_MAPS[firmware]:
        yield view.wrong(keys, "one disk for BIOS and UEFI needs a GPT", allowed=["bios", "uefi"],
                         hint="or set volume.partitions.type to gpt")  # fmt: skip


def kernel(view: View) -> Iterator[Problem]:
    """A release without a kernel for the architecture, which only what is started with one from elsewhere can do."""
    release, architecture = view.get("system", "release"), view.get("system", "architecture")
    bootloader, row = view.get("system", "bootloader"), ARCHITECTURES.get(str(view.get("system", "architecture")))
    if bootloader not in TABLE or not TABLE[bootloader].by_firmware or row is None or release not in RELEASES:
        return
    if release not in row.kernel_in:
        said = f"Debian {release} has no kernel for {architecture}"
        yield view.wrong(("system", "release"), said, allowed=list(row.kernel_in))


def ec2(view: View) -> Iterator[Problem]:
    """What EC2 takes."""
    if view.get("provider", "name") != "ec2":
        return
    kind, backing = view.get("provider", "virtualization"), view.get("volume", "backing")
    bootloader = view.get("system", "bootloader")
    if kind == "pvm" and bootloader not in ("pvgrub", None):
        yield view.wrong(("system", "bootloader"), "a paravirtual machine (pvm) boots by pvgrub", allowed=["pvgrub"])
    if kind == "hvm" and bootloader == "pvgrub":
        yield view.wrong(
            ("system", "bootloader"), "pvgrub boots paravirtual machines (pvm) only", allowed=["grub", "extlinux"]
        )
    if kind == "hvm" and backing not in ("ebs", None):
        yield view.wrong(("volume", "backing"), "an hvm image is backed by ebs", allowed=["ebs"])
    if backing == "s3":
        if view.get("volume", "partitions", "type") not in ("none", None):
            yield view.wrong(("volume", "partitions", "type"), "an s3 image has no partition map", allowed=["none"])
        if not view.get("provider", "bucket") and ("provider", "bucket") not in view.bad:
            yield view.wrong(("provider", "bucket"), "bucket is missing; an s3 image needs it", key=True)
    if view.get("provider", "encrypted") and backing not in ("ebs", None):
        yield view.wrong(("provider", "encrypted"), "only ebs is encrypted", hint="set volume.backing to ebs")
    if view.get("provider", "kms_key_id") and not view.get("provider", "encrypted"):
        yield view.wrong(("provider", "kms_key_id"), "a key without encryption", hint="set provider.encrypted to true")
    if backing == "ebs":
        yield from _whole_gib(view)


def _whole_gib(view: View) -> Iterator[Problem]:
    volume = {key: view.get("volume", key) for key in ("partitions", "size")}
    if not isinstance(volume["partitions"], Mapping) or ("volume", "size") in view.bad:
        return
    parts = [part for part in volume["partitions"].values() if isinstance(part, Mapping)]
    try:
        given = volume.get("size")
        if given is not None:
            total, keys = sizes.in_bytes(given), ("volume", "size")
        else:
            total, keys = sum(sizes.in_bytes(part["size"]) for part in parts), ("volume", "partitions")
    except (ValueError, KeyError):
        return
    # Older manifests leave room for the map beside the partitions: 1023 MiB of them are a volume of 1 GiB.
    kind = volume["partitions"].get("type")
    spared = 0 if given is not None or kind == "none" else MOST_SPARED
    if -total % GIB > spared:
        text = f"an EBS volume is a multiple of 1 GiB; this is {sizes.shown(total)}"
        yield view.wrong(keys, text, hint=f"set volume.size to {-(-total // GIB)}GiB")


def lvm(view: View) -> Iterator[Problem]:
    """A logical volume has a name and a group, and nothing else has."""
    backing = view.get("volume", "backing")
    for key in ("volumegroup", "logicalvolume"):
        given = view.get("volume", key)
        if backing == "lvm" and not given and ("volume", key) not in view.bad:
            yield view.wrong(("volume", key), f"{key} is missing; lvm needs it", key=True)
        if given and backing not in ("lvm", None):
            yield view.wrong(("volume", key), f"only lvm has a {key}", key=True)


def packages(view: View) -> Iterator[Problem]:
    """A package that is wanted and not, signatures that are forced and not looked at."""
    include = view.get("bootstrapper", "include_packages") or ()
    exclude = view.get("bootstrapper", "exclude_packages") or ()
    for index, name in enumerate(exclude):
        if name in include:
            yield view.positions.problem(
                ("bootstrapper", "exclude_packages", index), f"{name} is included too", value=name
            )
    if view.get("bootstrapper", "no-check-gpg") and view.get("bootstrapper", "force-check-gpg"):
        yield view.wrong(("bootstrapper", "force-check-gpg"), "no-check-gpg says the contrary", key=True)


def userspace(view: View) -> Iterator[Problem]:
    """A userland of another architecture runs only on a kernel that runs its programs."""
    words = (view.get("system", key) for key in ("architecture", "userspace_architecture"))
    kernel, userland = (ARCHITECTURES.get(str(word)) for word in words)
    if kernel and userland and not set(kernel.uname) & set(userland.runs_on):
        fit = " or ".join(row.name for row in ARCHITECTURES.values() if set(row.uname) & set(userland.runs_on))
        wrong = f"{kernel.name}'s kernel does not run it"
        yield view.wrong(("system", "userspace_architecture"), wrong, allowed=f"the kernel of {fit}")


def one_user(view: View) -> Iterator[Problem]:
    """Two plugins that make the same user, one who exists already, or a root whose name is another plugin's."""
    admin, cloud = view.get("plugins", "admin_user", "username"), view.get("plugins", "cloud_init", "username")
    if admin and admin == cloud:
        hint = "give one of them another name, or leave admin_user out"
        yield view.wrong(("plugins", "admin_user", "username"), f"cloud_init makes the user {admin} too", hint=hint)
    for plugin, name in (("admin_user", admin), ("cloud_init", cloud)):
        if name in THERE:
            hint = "the plugin root_password gives root a password" if name == "root" else "take another name"
            yield view.wrong(("plugins", plugin, "username"), f"{name} is there already", hint=hint)


def one_charmap(view: View) -> Iterator[Problem]:
    """A locale that names another charmap than the system's."""
    locale, charmap = view.get("system", "locale"), view.get("system", "charmap")
    if locale and charmap and "." in locale:
        hint = "leave it out of the locale, or let system.charmap be the same"
        yield view.wrong(("system", "locale"), f"names another charmap than system.charmap, {charmap}", hint=hint)


def shrunk(view: View) -> Iterator[Problem]:
    """A way to shrink that the image's format doesn't know."""
    asked, backing = view.get("plugins", "minimize_size"), view.get("volume", "backing")
    if not asked or not backing:
        return
    keys, how, wanted = ("plugins", "minimize_size"), asked.get("shrink"), asked.get("compression")
    known = list(FORMATS[backing].compressed) if backing in FORMATS else []
    if how == "vmware-vdiskmanager" and backing != "vmdk":
        yield view.wrong(
            (*keys, "shrink"), f"shrinks vmdk, and volume.backing is {backing}", hint="true does what can be"
        )
    if how == "qemu-img" and not known:
        hint = "qemu-img-no-compression leaves out zeros"
        yield view.wrong((*keys, "shrink"), f"{backing} can't be compressed", hint=hint)
    elif wanted and how in (True, "qemu-img") and wanted not in known:
        yield view.wrong((*keys, "compression"), f"{backing} can't be compressed so", allowed=known or "nothing")


def same_each_time(view: View) -> Iterator[Problem]:
    """What can't be the same in two builds of an image that shall be."""
    if view.get("reproducible") is True:
        for keys, why in reproducible.differing(view.data):
            yield view.wrong(
                keys, f"is never the same in two builds: it {why}", hint=reproducible.INSTEAD[str(keys[-1])]
            )


RULES: tuple[Rule, ...] = (
    disk,
    taken,
    booted,
    readable,
    subvolumes,
    started,
    kernel,
    ec2,
    lvm,
    packages,
    userspace,
    one_user,
    one_charmap,
    shrunk,
    same_each_time,
)


def warnings(view: View) -> list[Problem]:
    """What is no error, and hardly meant."""
    return [*unlike(view), *closed(view)]


def unlike(view: View) -> list[Problem]:
    """What can't be the same in two builds, where SOURCE_DATE_EPOCH alone asks for that."""
    if view.get("reproducible") is not True:
        return []
    return [
        view.positions.problem(keys, f"is never the same in two builds: it {why}")
        for keys, why in reproducible.differing(view.data)
    ]


def closed(view: View) -> list[Problem]:
    """An image that nobody can log in to."""
    plugins = view.get("plugins")
    if (
        plugins is None
        or view.get("volume", "backing") == "folder"
        or "cloud_init" in plugins
        or "root_password" in plugins
    ):
        return []
    admin = plugins.get("admin_user") or {}
    if any(admin.get(key) for key in ("pubkey", "password-crypted")):
        return []
    hint = "cloud_init, admin_user with a password or a pubkey, or root_password let somebody in"
    return [view.positions.problem(("plugins",), "nobody can log in to this image", key=True, hint=hint)]


def broken(view: View) -> list[Problem]:
    """Every rule's errors."""
    return [problem for rule in RULES for problem in rule(view)]
