# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging what a guest reports of itself."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.libvirt import checks
from debfleet.common.libvirt.checks import Expected, judge, read_report

TOKEN = "0123abcd"
WANT = Expected(
    release="bookworm", architecture="amd64", serial="ttyS0", hostname="web", timezone="Europe/Vienna", locale="en_US",
    charmap="UTF-8", root=2 << 30, grows=True, swap=True, mounts={"/": "ext4", "/var": "ext4"}, ssh=True,
)  # fmt: skip
ADDRESS = [
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "ens3", "addr_info": [
        {"family": "inet", "local": "10.0.2.15", "prefixlen": 24, "scope": "global", "dynamic": True}]},
]  # fmt: skip
TOLD = {
    "system": "running",
    "token": f"{checks.digest(TOKEN)}  /run/debfleet-token",
    "release": 'PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_CODENAME=bookworm',
    "sources": "deb [signed-by=/x.gpg] http://deb.example.org/debian bookworm main\nSuites: bookworm-updates",
    "architecture": "amd64",
    "hostname": "web",
    "timezone": "/usr/share/zoneinfo/Europe/Vienna",
    "locale": "en_US.UTF-8",
    "charmap": "UTF-8",
    "root": "Filesystem 1B-blocks\n/dev/vda3 3120562176",
    "address": json.dumps(ADDRESS),
    "resolver": "# comment\nnameserver 10.0.2.3",
    "failed": "",
    "order": "looked",
    "apt": "Reading package lists...\nexit 0",
    "swap": "Filename Type Size Used Priority\n/dev/vda2 partition 65532 0 -2",
    "mounts": "/dev/vda3 / ext4 rw 0 0\n/dev/vda4 /var ext4 rw 0 0",
    "console": "tty0 ttyS0",
    "getty": "active",
    "boot": "btime 1795546682",
    "keys": "1795546740 /etc/ssh/ssh_host_ed25519_key",
    "machine": "7f4f149edef748b3afebcd563e6bd665",
    "end": "",
}


def wrong(told: dict[str, str], want: Expected = WANT) -> list[str]:
    return [check.name for check in judge(told, want, TOKEN) if not check.ok]


def test_an_image_that_is_as_declared_passes_every_check() -> None:
    assert wrong(TOLD) == []
    assert len(judge(TOLD, WANT, TOKEN)) == len(checks.TABLE) + 1


BROKEN = {
    "token from inside": {"token": "0" * 64 + "  /run/debfleet-token"},
    "release": {"release": "VERSION_CODENAME=trixie"},
    "architecture": {"architecture": "i386"},
    "hostname": {"hostname": "localhost"},
    "timezone": {"timezone": "/usr/share/zoneinfo/Etc/UTC"},
    "locale": {"locale": "C.UTF-8"},
    "charmap": {"charmap": "ANSI_X3.4-1968"},
    "root grown": {"root": "Filesystem 1B-blocks\n/dev/vda3 2046820352"},
    "address by DHCP": {"address": json.dumps(ADDRESS[:1])},
    "resolver": {"resolver": "# nothing"},
    "no failed units": {"failed": "ssh.service loaded failed failed OpenBSD Secure Shell server", "system": "degraded"},
    "no unit left out": {
        "order": "sysinit.target: Job cloud-init-local.service/start deleted to break ordering cycle starting with "
        "sysinit.target/start\nlooked"
    },
    "apt-get check": {"apt": "E: Unmet dependencies\nexit 100"},
    "swap": {"swap": "Filename Type Size Used Priority"},
    "mounts": {"mounts": "/dev/vda3 / ext4 rw 0 0"},
    "serial console": {"getty": "inactive"},
    "host keys made at first boot": {"keys": "1795000000 /etc/ssh/ssh_host_rsa_key"},
    "machine-id": {"machine": "uninitialized"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_thing_that_is_wrong_is_named_alone(name: str) -> None:
    assert wrong({**TOLD, **BROKEN[name]}) == [name]


@pytest.mark.parametrize("section", [name for name in TOLD if name not in ("end", "sources", "failed")])
def test_a_section_that_is_missing_never_passes(section: str) -> None:
    assert wrong({key: value for key, value in TOLD.items() if key != section})


def test_a_locale_that_is_named_and_not_generated_fails() -> None:
    told = {
        **TOLD,
        "charmap": "locale: Cannot set LC_CTYPE to default locale: No such file or directory\nANSI_X3.4-1968",
    }
    assert wrong(told) == ["locale", "charmap"]


@pytest.mark.parametrize(("zone", "path"), [("UTC", "/usr/share/zoneinfo/Etc/UTC"), ("Etc/UTC", "/etc/localtime")])
def test_utc_has_many_names(zone: str, path: str) -> None:
    assert wrong({**TOLD, "timezone": path}, replace(WANT, timezone=zone)) == []


@pytest.mark.parametrize("suite", ["sid", "unstable", "testing"])
def test_a_moving_suite_is_known_by_the_sources(suite: str) -> None:
    told = {**TOLD, "release": "VERSION_CODENAME=forky"}
    assert wrong(told, replace(WANT, release=suite)) == ["release"]
    assert wrong({**told, "sources": f"Types: deb\nSuites: {suite}"}, replace(WANT, release=suite)) == []


def packed(text: str) -> str:
    body = base64.b64encode(text.encode()).decode()
    return "".join(f"{checks.PREFIX}{body[at : at + 72]}\n" for at in range(0, len(body), 72)) + f"{checks.PREFIX}.\n"


SECTIONS = st.dictionaries(
    st.text("abcdefgh", min_size=1),
    st.text(st.characters(codec="ascii", exclude_categories=["C"])).map(str.strip),
    min_size=1,
)


@given(SECTIONS.filter(lambda told: not any(value.startswith("@@ ") for value in told.values())), st.lists(st.text()))
def test_a_report_survives_a_console(told: dict[str, str], noise: list[str]) -> None:
    lines = packed("".join(f"@@ {name}\n{value}\n" for name, value in told.items()) + "@@ end\n").splitlines()
    for number, text in enumerate(noise):
        lines.insert(number % len(lines), "[ 9.9] " + " ".join(text.split()))
    said = "\r\n".join(lines) + "\r\n"
    assert checks.complete(said)
    assert {**told, "end": ""} == read_report(said)


@pytest.mark.parametrize("said", ["", "login: ", f"{checks.PREFIX}@@@@\n{checks.PREFIX}.\n", packed("@@ token\nx\n")])
def test_a_torn_report_is_none(said: str) -> None:
    assert read_report(said) == {}


def test_the_script_is_sound_shell_and_names_the_port() -> None:
    script = checks.script("ttyAMA0")
    assert "serial-getty@ttyAMA0.service" in script
    done: Any = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
