# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asserted from inside a booted image. The guest collects text; judging it is pure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .seed import TOKEN_FILE

PREFIX = "debfleet: "  # every line of the report begins with it, so that a kernel's message in between does no harm
GROWN = 1 << 29  # bytes that root must have gained at least: half of what the overlay is larger
UTC = {"Etc/UTC", "UTC", "Etc/UCT", "UCT", "Etc/Universal", "Universal", "Zulu", "Etc/Zulu"}
MOVING = {"stable", "oldstable", "testing", "unstable", "sid", "experimental"}  # suites that name no release for good

# What the guest runs, as root where it may. Each section is the output of one command.
COLLECT = r"""
dmesg -n 1 2>/dev/null
section() { echo "@@ $1"; shift; "$@" 2>&1; }
language() { . /etc/default/locale 2>/dev/null || . /etc/locale.conf 2>/dev/null; echo "$LANG"; }
report() {
section system timeout 600 systemctl is-system-running --wait
section token sha256sum TOKEN_FILE
section release cat /etc/os-release
section sources sh -c 'cd /etc/apt; cat sources.list sources.list.d/*.list sources.list.d/*.sources 2>/dev/null'
section architecture dpkg --print-architecture
section hostname cat /proc/sys/kernel/hostname
section timezone readlink -f /etc/localtime
section locale language
section charmap env LC_ALL="$(language)" locale charmap
section root df -B1 --output=source,size /
section address ip -j address
section resolver sh -c 'cat /run/systemd/resolve/resolv.conf 2>/dev/null || cat /etc/resolv.conf'
section failed systemctl --failed --plain --no-legend
section order sh -c 'journalctl -b -q -o cat --no-pager _PID=1 | grep "to break ordering cycle"; echo looked'
section apt sh -c 'apt-get -q -o Debug::NoLocking=1 check; echo "exit $?"'
section swap cat /proc/swaps
section mounts cat /proc/self/mounts
section console cat /sys/class/tty/console/active
section getty systemctl is-active SERIAL_GETTY
section boot grep btime /proc/stat
section keys sh -c 'stat -c "%Y %n" /etc/ssh/ssh_host_*_key'
section machine cat /etc/machine-id
section kernel uname -r
echo "@@ end"
}
report </dev/null | base64 -w 72 | sed 's/^/PREFIX/'
echo 'PREFIX.'
"""


def script(serial: str) -> str:
    """The script that the guest runs (POSIX shell); `serial` is the kernel's name of the serial port."""
    text = COLLECT.replace("TOKEN_FILE", TOKEN_FILE).replace("SERIAL_GETTY", f"serial-getty@{serial}.service")
    return text.replace("PREFIX", PREFIX)


def complete(text: str) -> bool:
    """Whether the report has ended."""
    return f"{PREFIX}." in text.replace("\r", "").split("\n")


def read_report(text: str) -> dict[str, str]:
    """The sections of the report in this text, by name; empty when there is none or it is torn."""
    lines = [line[len(PREFIX) :] for line in text.replace("\r", "").split("\n") if line.startswith(PREFIX)]
    try:
        report = base64.b64decode("".join(line for line in lines if line != ".")).decode(errors="replace")
    except ValueError:
        return {}
    sections: dict[str, str] = {}
    name = ""
    for line in report.splitlines():
        if line.startswith("@@ "):
            name = line[3:]
            sections[name] = ""
        elif name:
            sections[name] += line + "\n"
    return {key: value.strip() for key, value in sections.items()} if "end" in sections else {}


def digest(token: str) -> str:
    """What the guest must make of the token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Expected:
    """What an image should show once it runs. None, False or nothing: not asked for, so not checked.

    :param root: bytes of the root partition in the image; `grows` whether it fills a larger disk at first boot.
    :param mounts: mount points with their filesystems.
    """

    release: str
    architecture: str
    serial: str
    hostname: str | None = None
    timezone: str | None = None
    locale: str | None = None
    charmap: str | None = None
    root: int = 0
    grows: bool = False
    swap: bool = False
    mounts: Mapping[str, str] = field(default_factory=dict)
    ssh: bool = False


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, whether it is as it should be, and what was seen."""

    name: str
    ok: bool
    seen: str

    def to_dict(self) -> dict[str, Any]:
        """As proof.json has it."""
        return {"name": self.name, "ok": self.ok, "seen": self.seen}


Told = Mapping[str, str]


def _release(told: Told, want: Expected) -> Check:
    values = dict(line.split("=", 1) for line in told.get("release", "").splitlines() if "=" in line)
    codename = values.get("VERSION_CODENAME", "").strip('"')
    suites = re.findall(r"^(?:deb|deb-src)\s+(?:\[[^\]]*\]\s+)?\S+\s+(\S+)", told.get("sources", ""), re.M)
    for words in re.findall(r"^Suites:\s*(.+)$", told.get("sources", ""), re.M):
        suites += words.split()
    ok = want.release in suites if want.release in MOVING else want.release == codename
    return Check("release", ok, f"{codename or 'none'} (apt: {' '.join(dict.fromkeys(suites)) or 'no sources'})")


def _timezone(told: Told, want: Expected) -> Check:
    path = told.get("timezone", "")
    seen = path.partition("zoneinfo/")[2] or ("UTC" if path in ("", "/etc/localtime") else path)
    return Check("timezone", seen == want.timezone or {seen, want.timezone} <= UTC, seen)


def _locale(told: Told, want: Expected) -> Check:
    seen = told.get("locale", "")
    generated = "annot" not in told.get("charmap", "")  # locale(1): Cannot set LC_CTYPE to default locale
    same = seen.split(".")[0].split("@")[0] == (want.locale or "").split(".")[0].split("@")[0]
    return Check("locale", same and generated, seen + ("" if generated else " (not generated)"))


def _charmap(told: Told, want: Expected) -> Check:
    seen = told.get("charmap", "").splitlines()[-1:] or [""]
    return Check("charmap", seen[0].upper() == (want.charmap or "").upper(), seen[0])


def _grown(told: Told, want: Expected) -> Check:
    words = told.get("root", "").split()
    size = int(words[-1]) if words and words[-1].isdigit() else 0
    return Check("root grown", size > want.root + GROWN * 9 // 10, f"{size} bytes, of a partition that had {want.root}")


def _address(told: Told, _want: Expected) -> Check:
    try:
        links = json.loads(told.get("address", "[]"))
    except ValueError:
        links = []
    found = [
        f"{link['ifname']} {info['local']}/{info['prefixlen']}"
        for link in links
        for info in link.get("addr_info", [])
        if info.get("family") == "inet" and info.get("scope") == "global" and info.get("dynamic")
    ]
    return Check("address by DHCP", bool(found), ", ".join(found) or "none")


def _resolver(told: Told, _want: Expected) -> Check:
    servers = re.findall(r"^nameserver\s+(\S+)", told.get("resolver", ""), re.M)
    return Check("resolver", bool(servers), " ".join(servers) or "none")


def _units(told: Told, _want: Expected) -> Check:
    failed = [line.split()[0] for line in told.get("failed", "?").splitlines() if line.strip()]
    state = (told.get("system", "").splitlines() or ["unknown"])[-1]
    return Check("no failed units", not failed and state == "running", " ".join([state, *failed]))


def _order(told: Told, _want: Expected) -> Check:
    """A unit that systemd left out to break a circle has not failed: it was never there."""
    lines = told.get("order", "").splitlines()
    left_out = re.findall(r"Job (\S+)/\w+ deleted to break ordering cycle", "\n".join(lines))
    ok = lines == ["looked"]
    return Check("no unit left out", ok, "none" if ok else " ".join(left_out) or "not looked at")


def _apt(told: Told, _want: Expected) -> Check:
    lines = told.get("apt", "").splitlines()
    ok = bool(lines) and lines[-1] == "exit 0"
    return Check("apt-get check", ok, "ok" if ok else " ".join(lines[-3:]) or "nothing")


def _swap(told: Told, _want: Expected) -> Check:
    active = [line.split()[0] for line in told.get("swap", "").splitlines()[1:] if line.split()]
    return Check("swap", bool(active), " ".join(active) or "none")


def _mounts(told: Told, want: Expected) -> Check:
    rows = [line.split() for line in told.get("mounts", "").splitlines()]
    mounted = {row[1].replace("\\040", " "): row[2] for row in rows if len(row) > 2}
    missing = [place for place, kind in want.mounts.items() if mounted.get(place) not in (kind, "autofs")]
    seen = ", ".join(f"{place} {mounted.get(place, 'not mounted')}" for place in want.mounts)
    return Check("mounts", not missing, seen)


def _console(told: Told, want: Expected) -> Check:
    consoles, getty = told.get("console", ""), told.get("getty", "")
    ok = want.serial in consoles.split() and getty == "active"
    return Check("serial console", ok, f"{consoles}; login on {want.serial} {getty or 'unknown'}")


def _keys(told: Told, _want: Expected) -> Check:
    boot = int((re.findall(r"btime (\d+)", told.get("boot", "")) or ["0"])[0])
    keys = [(int(seconds), name) for seconds, name in re.findall(r"^(\d+) (\S+)$", told.get("keys", ""), re.M)]
    old = [name for seconds, name in keys if seconds < boot - 2]
    ok = bool(keys) and bool(boot) and not old
    seen = (
        f"{len(keys)} made after the boot began" if ok else " ".join(["older than the boot:", *old]) if old else "none"
    )
    return Check("host keys made at first boot", ok, seen)


def _machine(told: Told, _want: Expected) -> Check:
    seen = told.get("machine", "")
    return Check("machine-id", bool(re.fullmatch(r"[0-9a-f]{32}", seen)), seen or "none")


def _equal(name: str, section: str) -> Callable[[Told, Expected], Check]:
    def check(told: Told, want: Expected) -> Check:
        seen = told.get(section, "")
        return Check(name, seen == getattr(want, section), seen)

    return check


def _always(_want: Expected) -> bool:
    return True


TABLE: tuple[tuple[Callable[[Expected], Any], Callable[[Told, Expected], Check]], ...] = (
    (_always, _release),
    (_always, _equal("architecture", "architecture")),
    (lambda want: want.hostname, _equal("hostname", "hostname")),
    (lambda want: want.timezone, _timezone),
    (lambda want: want.locale, _locale),
    (lambda want: want.charmap, _charmap),
    (lambda want: want.grows, _grown),
    (_always, _address),
    (_always, _resolver),
    (_always, _units),
    (_always, _order),
    (_always, _apt),
    (lambda want: want.swap, _swap),
    (lambda want: want.mounts, _mounts),
    (_always, _console),
    (lambda want: want.ssh, _keys),
    (_always, _machine),
)


def judge(told: Told, want: Expected, token: str) -> list[Check]:
    """Every check that applies. The first is the token: without it nothing else counts."""
    seen = (told.get("token", "").split() or ["none"])[0]
    first = Check("token from inside", seen == digest(token), seen)
    return [first, *(check(told, want) for applies, check in TABLE if applies(want))]
