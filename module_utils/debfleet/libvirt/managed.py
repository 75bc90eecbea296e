# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain brought to the state that its user wants, with the files that are its own: overlay, seed, serial log."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import DebfleetError
from ..ledger import state_folder
from ..run import find, run
from ..sizes import in_bytes
from . import compare, defined, preflight, seed
from .acceleration import Acceleration
from .daemon import connected
from .defined import ABSENT, RUNNING, Current
from .domain_xml import domain_xml
from .machine import Disk, Forward, Machine
from .request import decided

OVERLAY, SEED, SERIAL = "disk.qcow2", "seed.iso", "serial.log"
SEED_FILES = {"user_data": "user-data", "meta_data": "meta-data", "network_config": "network-config"}
FORWARD = re.compile(r"hostfwd=(tcp|udp):([\d.]+):(\d+)-:(\d+)")


@dataclass(frozen=True)
class Wish:
    """A domain as it is wanted.

    :param options: those of `request`, without seed.
    :param folder: for files that are the domain's own; None: below the state folder.
    :param overlay: whether the domain writes to a file of its own, so that the image stays as it was built.
    :param size: of the overlay, where it is larger than the image.
    :param seed: texts by the keys of SEED_FILES.
    :param timeout: seconds that a guest has to shut down.
    """

    name: str
    state: str
    options: Mapping[str, Any]
    uri: str | None = None
    folder: Path | None = None
    overlay: bool = True
    size: str | None = None
    seed: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60

    @property
    def own(self) -> Path:
        """The folder of its files."""
        return self.folder or state_folder() / "domains" / (quote(self.name, safe=" ") or "_")


def ensure(wish: Wish, *, check: bool) -> dict[str, Any]:
    """Bring the domain to its state; or, to check, say what would be done. Returns what the module does."""
    with connected(wish.uri) as connection:
        current = defined.look(connection, wish.name)
        if wish.state == ABSENT:
            return _absent(wish, connection, current, check)
        machine, acceleration, image = _wanted(wish, current)
        xml = domain_xml(machine)
        element = compare.parse(xml)
        before = compare.reduced(compare.parse(current.xml), element, [machine.type.family]) if current.xml else ""
        after = compare.written(element)
        actions = defined.plan(current, wish.state, differs=before != after)
        _check(wish, machine, image, current)
        if not check:
            _act(wish, connection, machine, image, current, actions)
        state = RUNNING if "start" in actions or (current.active and "shut down" not in actions) else "stopped"
        uuid = current.uuid if check or current.uuid else defined.look(connection, wish.name).uuid
        return {
            "changed": bool(actions),
            "pending": "define" in actions and current.active and state == RUNNING,
            "domain": _facts(machine, acceleration, uuid, state, after),
            "diff": _diff(wish, current, before, after, state),
        }


def _absent(wish: Wish, connection: Any, current: Current, check: bool) -> dict[str, Any]:
    actions = defined.plan(current, ABSENT, differs=False)
    leftover = wish.own.exists() and (bool(current.xml) or wish.folder is None)
    if not check:
        defined.apply(connection, wish.name, actions, "", wish.timeout)
        if leftover:
            for name in (OVERLAY, SEED, SERIAL):
                (wish.own / name).unlink(missing_ok=True)
            if not any(wish.own.iterdir()):
                wish.own.rmdir()
    before = compare.written(compare.parse(current.xml)) if current.xml else ""
    return {
        "changed": bool(actions) or leftover,
        "pending": False,
        "domain": {"name": wish.name, "uuid": current.uuid, "state": ABSENT},
        "diff": _diff(wish, current, before, "", ABSENT),
    }


def _wanted(wish: Wish, current: Current) -> tuple[Machine, Acceleration, Disk | None]:
    """The machine with its own files in it; how it is accelerated; and the image where the disk is an overlay."""
    options = {"serial": str(wish.own / SERIAL), **{k: v for k, v in wish.options.items() if v is not None}}
    machine, acceleration = decided({**options, "name": wish.name})
    disks, image = list(machine.disks), None
    if wish.overlay and options.get("image"):
        image = disks[0]
        disks[0] = Disk(wish.own / OVERLAY, "qcow2")
    elif wish.size:
        raise DebfleetError("a size is said, and there is no overlay", hint="leave size out, or let overlay be true")
    origin = dict(machine.origin or {})
    if wish.seed:
        disks.append(Disk(wish.own / SEED, "raw", readonly=True))
        origin["seed"] = _digest(wish.seed)
    kept = {(found[1], int(found[4])): int(found[3]) for found in FORWARD.finditer(current.xml)}
    networks = [
        replace(card, forwards=tuple(_with_port(forward, kept) for forward in card.forwards))
        for card in machine.networks
    ]
    uuid = machine.uuid or current.uuid
    if current.uuid and uuid != current.uuid:
        raise DebfleetError(f"the domain {wish.name} has another UUID", where=f"uuid: {uuid}", why=current.uuid)
    return (
        replace(machine, disks=disks, origin=origin, networks=networks, uuid=uuid),
        acceleration,
        image,
    )


def _with_port(forward: Forward, kept: Mapping[tuple[str, int], int]) -> Forward:
    """The forward with a port of the host: the one said, the one that it had, or a free one."""
    if forward.host:
        return forward
    return replace(forward, host=kept.get((forward.protocol, forward.guest)) or preflight.choose(forward))


def _digest(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:16]


def _check(wish: Wish, machine: Machine, image: Disk | None, current: Current) -> None:
    """See that all is there, before anything is made."""
    own = {wish.own / OVERLAY, wish.own / SEED}
    others = [disk for disk in machine.disks if disk.path not in own]
    checked = replace(machine, disks=[*([image] if image else []), *others])
    preflight.check(checked, starts=wish.state == RUNNING and not current.active)
    made = compare.origin(compare.parse(current.xml)) if current.xml else None
    if image and made and (wish.own / OVERLAY).exists():
        for key in ("sha256", "image"):
            if made.get(key) and made.get(key) != (machine.origin or {}).get(key):
                raise DebfleetError(
                    f"the disk of {wish.name} was begun on another image", where=str(wish.own / OVERLAY),
                    why=f"{key} was {made[key]}, and is {(machine.origin or {}).get(key)}",
                    hint="remove the domain first (state: absent), or name it otherwise",
                )  # fmt: skip


def _act(
    wish: Wish, connection: Any, machine: Machine, image: Disk | None, current: Current, actions: list[str]
) -> None:
    new = not wish.own.exists()
    try:
        _files(wish, machine, image, current)
        defined.apply(connection, wish.name, actions, domain_xml(machine), wish.timeout)
    except BaseException:
        if new and not current.xml and not defined.look(connection, wish.name).xml:
            shutil.rmtree(wish.own, ignore_errors=True)
        raise


def _files(wish: Wish, machine: Machine, image: Disk | None, current: Current) -> None:
    """Make the overlay where there is none, and the seed where it is another."""
    wish.own.mkdir(parents=True, exist_ok=True)
    overlay = wish.own / OVERLAY
    if image and not overlay.exists():
        find("qemu-img", "qemu-utils")
        size = [str(in_bytes(wish.size))] if wish.size else []
        backing: list[str | Path] = ["-F", image.format, "-b", image.path]
        new = overlay.with_suffix(".new")
        run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, new, *size])
        new.replace(overlay)
    made = compare.origin(compare.parse(current.xml)) if current.xml else None
    wanted = (machine.origin or {}).get("seed")
    if wanted and (not (wish.own / SEED).exists() or (made or {}).get("seed") != wanted):
        texts = {SEED_FILES[key]: text for key, text in wish.seed.items()}
        texts.setdefault("meta-data", f"instance-id: {wanted}\n")
        texts.setdefault("user-data", "#cloud-config\n")
        seed.write_seed(wish.own / SEED, texts)


def _facts(machine: Machine, acceleration: Acceleration, uuid: str, state: str, xml: str) -> dict[str, Any]:
    return {
        "name": machine.name,
        "uuid": uuid,
        "state": state,
        "architecture": machine.architecture.name,
        "machine": machine.type.name,
        "firmware": machine.firmware,
        "accelerator": acceleration.name,
        "reason": acceleration.reason,
        "forwards": [
            {"protocol": one.protocol, "address": one.address, "host": one.host, "guest": one.guest}
            for card in machine.networks
            for one in card.forwards
        ],
        "serial": str(machine.serial or ""),
        "xml": xml,
    }


def _diff(wish: Wish, current: Current, before: str, after: str, state: str) -> dict[str, str]:
    heads = {"before_header": f"{wish.name} ({current.state})", "after_header": f"{wish.name} ({state})"}
    return {"before": before, "after": after, **heads}
