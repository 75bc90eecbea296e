# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet domain-xml`: what libvirt is to be told of a machine that runs an image."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from debfleet.common.errors import OK

# option: what it is for, and the settings of argparse beside
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "--format": ("the image's format, where its name doesn't tell", {}),
    "--machine": ("the kind of machine, as q35 or virt", {}),
    "--firmware": ("what boots the disk, as bios or uefi; direct boots a kernel", {}),
    "--variables": ("the domain's own file of UEFI variables; libvirt makes one when omitted", {"metavar": "FILE"}),
    "--accelerator": (
        "auto tries KVM and emulates where that doesn't work",
        {"choices": ("auto", "kvm", "tcg", "xen")},
    ),
    "--emulator": ("the emulator's path on the machine that runs it", {"metavar": "FILE"}),
    "--memory": ("MiB", {"type": int}),
    "--cpus": ("virtual CPUs", {"type": int}),
    "--disk": (
        "a further disk; ,format=FORMAT and ,readonly may follow",
        {"metavar": "FILE", "action": "append", "dest": "disks"},
    ),
    "--seed": ("cloud-init's seed disk (NoCloud)", {"metavar": "FILE"}),
    "--network": (
        "a network card: user, nat[:NETWORK], bridge:BRIDGE or none; one of type user when omitted",
        {"metavar": "TYPE[:SOURCE]", "action": "append", "dest": "networks"},
    ),
    "--forward": (
        "a port of ours that leads to one of the guest's",
        {"metavar": "[PROTOCOL:][ADDRESS:]HOST:GUEST", "action": "append", "dest": "forwards"},
    ),
    "--serial": ("a file that gets all that the console says", {"metavar": "FILE"}),
    "--kernel": ("a kernel to boot directly", {"metavar": "FILE"}),
    "--initrd": ("its initramfs", {"metavar": "FILE"}),
    "--cmdline": ("its command line", {}),
    "--device-tree": ("its device tree", {"metavar": "FILE"}),
    "--host-device": (
        "a device of the host for the guest: PCI as 0000:01:00.0, USB as 1d6b:0002",
        {"metavar": "DEVICE", "action": "append", "dest": "host_devices"},
    ),
    "--uuid": ("the domain's UUID; libvirt makes one when omitted", {}),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options; there is no verb."""
    parser.description = (
        "Print the XML of a libvirt domain that runs an image; the same that the module libvirt_domain defines. "
        "libvirt need not be there. What is not said follows from the image, its architecture and this machine."
    )
    parser.add_argument(
        "--arch", dest="architecture", help="Debian's name or another; else the image's, else the host's"
    )
    parser.add_argument("--image", metavar="FILE", help="the disk's file, or a folder that build-image.yml has made")
    parser.add_argument("--name", help="the domain's name; else the image's")
    for option, (purpose, settings) in WORDS.items():
        parser.add_argument(option, help=purpose, **settings)
    parser.set_defaults(run=run_domain_xml)


def run_domain_xml(args: argparse.Namespace) -> int:
    """Print the XML."""
    from debfleet.common.libvirt.domain_xml import domain_xml
    from debfleet.common.libvirt.request import OPTIONS, decided

    machine, acceleration = decided(
        {
            **{option: getattr(args, option) for option in OPTIONS},
            "name": args.name or name_of(args.image),
            "disks": [_disk(words) for words in args.disks] if args.disks else None,
            "networks": _networks(args.networks),
        }
    )
    if args.verbose:
        print(f"debfleet: {acceleration.name}: {acceleration.reason}", file=sys.stderr)
    print(domain_xml(machine))
    return OK


def name_of(image: str | None) -> str:
    """A name for the domain of an image: of its folder where debfleet made it, else of its file."""
    from debfleet.common.libvirt.words import absolute

    if not image:
        return "debfleet"
    path = absolute(image)
    return path.name if path.is_dir() else path.parent.name if (path.parent / "metadata.json").exists() else path.stem


def _disk(words: str) -> dict[str, Any]:
    path, *settings = words.split(",")
    said: dict[str, Any] = {"path": path}
    for setting in settings:
        key, equals, value = setting.partition("=")
        said[key] = value if equals else True
    return said


def _networks(words: list[str] | None) -> list[dict[str, Any]] | None:
    if words is None:
        return None
    cards = [word.partition(":") for word in words if word != "none"]
    return [{"type": kind, "source": source or None} for kind, _, source in cards]
