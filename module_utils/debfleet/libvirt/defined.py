# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistent domains: what there is, what is to be done about it, and doing it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import journal
from ..errors import DebfleetError
from . import compare
from .daemon import failed, library

RUNNING, STOPPED, DEFINED, ABSENT = "running", "stopped", "defined", "absent"
STATES = (RUNNING, STOPPED, DEFINED, ABSENT)
PAUSE = 0.2  # seconds between two looks at a domain that shuts down
GRACE = 5.0  # seconds until a guest that hears the power button too early is told again


@dataclass(frozen=True)
class Current:
    """A domain as it is.

    :param xml: its definition, that of the next start; empty where there is none of that name.
    :param active: whether it runs. `persistent`: whether it is there when it doesn't.
    """

    xml: str = ""
    uuid: str = ""
    active: bool = False
    persistent: bool = False

    @property
    def state(self) -> str:
        """running, stopped, or absent."""
        return RUNNING if self.active else STOPPED if self.xml else ABSENT


def look(connection: Any, name: str) -> Current:
    """The domain of this name. Raises DebfleetError where it is somebody else's."""
    libvirt = library()
    try:
        handle = connection.lookupByName(name)
        xml = handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        found = Current(xml, handle.UUIDString(), bool(handle.isActive()), bool(handle.isPersistent()))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return Current()
        raise failed(f"look at the domain {name}", error) from error
    if compare.origin(compare.parse(xml)) is None:
        raise DebfleetError(f"there is a domain {name} already, and it is not one of debfleet's",
                            where=connection.getURI(), hint="choose another name")  # fmt: skip
    return found


def plan(current: Current, state: str, *, differs: bool) -> list[str]:
    """The actions that bring a domain to a state, in their order. Pure.

    :param differs: whether its definition is another than the wanted one.
    """
    if state == ABSENT:
        return [*(["destroy"] if current.active else []), *(["undefine"] if current.persistent else [])]
    actions = ["define"] if differs or not current.persistent else []
    if state == RUNNING and not current.active:
        actions.append("start")
    if state == STOPPED and current.active:
        actions.append("shut down")
    return actions


def apply(connection: Any, name: str, actions: Sequence[str], xml: str, timeout: float) -> None:
    """Do what is planned. Raises DebfleetError with libvirt's words.

    :param timeout: seconds that a guest has to shut down, until it is destroyed.
    """
    libvirt = library()
    for action in actions:
        journal.log(f"+ libvirt: {action} {name}" + (f"\n{xml}" if action == "define" else ""))
        try:
            if action == "define":
                connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
                continue
            handle = connection.lookupByName(name)
            if action == "start":
                handle.create()
            elif action == "destroy":
                _destroy(handle)
            elif action == "shut down":
                _shut_down(handle, timeout)
            elif action == "undefine":
                _undefine(handle)
        except libvirt.libvirtError as error:
            raise failed(f"{action} the domain {name}", error) from error


def _destroy(handle: Any) -> None:
    """Pull the plug. A daemon that has just begun, and still looks after its machines, may say that it is out."""
    try:
        handle.destroy()
    except library().libvirtError:
        if handle.isActive():
            raise


def _undefine(handle: Any) -> None:
    libvirt = library()
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    handle.undefineFlags(flags)


def _shut_down(handle: Any, timeout: float) -> None:
    """Press the power button, again and again since a guest that boots doesn't hear it, and pull the plug at last."""
    until, again = time.monotonic() + timeout, 0.0
    while handle.isActive():
        if time.monotonic() > until:
            _destroy(handle)
            return
        if time.monotonic() > again:
            with contextlib.suppress(library().libvirtError):
                handle.shutdown()
            again = time.monotonic() + GRACE
        time.sleep(PAUSE)
