# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain's definition has of what we want of it, so that the two can be compared and shown. Pure.

libvirt adds to a definition what it decides itself: addresses, controllers, versions of machine types. Of that we keep
nothing; but what we would have written ourselves and have not (a further disk, a kernel) counts as a difference.
"""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from .domain_xml import ORIGIN, OURS, QEMU

# what stands in a definition only if somebody wrote it
WRITTEN = {
    *("disk", "interface", "hostdev", "filesystem", "log", "kernel", "initrd", "cmdline", "dtb", "loader", "nvram"),
    *("sysinfo", "entry", "smbios", "smm", "seclabel", f"{{{QEMU}}}commandline", f"{{{QEMU}}}arg"),
}


def parse(xml: str) -> ET.Element:
    """The element of a domain."""
    ET.register_namespace("qemu", QEMU)
    ET.register_namespace("debfleet", OURS)
    return ET.fromstring(xml)


def origin(current: ET.Element) -> dict[str, str] | None:
    """What a domain of ours was made from; None for a domain of somebody else."""
    found = current.find(f"metadata/{ORIGIN}")
    return None if found is None else dict(found.attrib)


def reduced(current: ET.Element, wanted: ET.Element, families: Iterable[str] = ()) -> str:
    """The part of a definition that is ours to say, in the order of the wanted one.

    :param families: how the names begin that libvirt puts in place of the machine type that was said.
    """
    kept = _reduced(current, wanted)
    kind, said = kept.find("os/type"), wanted.find("os/type")
    if kind is not None and said is not None and kind.get("machine", "").startswith(tuple(filter(None, families))):
        kind.set("machine", said.get("machine", ""))
    return written(kept)


def written(element: ET.Element) -> str:
    """The text of a definition."""
    element = copy.deepcopy(element)
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"


def _reduced(current: ET.Element, wanted: ET.Element) -> ET.Element:
    kept = ET.Element(current.tag, {name: current.attrib[name] for name in wanted.attrib if name in current.attrib})
    if (wanted.text or "").strip():
        kept.text = (current.text or "") if not len(wanted) else None
    left = list(current)
    for child in wanted:
        found = next((other for other in left if other.tag == child.tag and _key(other) == _key(child)), None)
        if found is not None:
            left.remove(found)
            kept.append(_reduced(found, child))
    kept.extend(copy.deepcopy(other) for other in left if other.tag in WRITTEN)
    return kept


def _key(element: ET.Element) -> str:
    """What tells an element from others of its kind; those without such are told by their order."""
    target = element.find("target") if element.tag == "disk" else None
    return target.get("dev", "") if target is not None else element.get("name", "") if element.tag == "entry" else ""
