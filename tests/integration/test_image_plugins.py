# SPDX-License-Identifier: GPL-3.0-or-later
"""Every plugin that goes with the others in one image, built once, booted once, and each looked at inside.

manifests/kvm-amd64-plugins.yml is what is built; besides, apt goes through a proxy of the test's, and pip to an index
of the test's, each with a password that must stand nowhere afterwards. Another plugin: into that manifest, a question
into QUESTIONS, a test on its answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import plays
import pytest
import told
import yaml
from counting_proxy import Seen, counting_proxy
from python_index import make_wheel, python_index

pytestmark = [pytest.mark.slow, pytest.mark.root]

PROXY_PASSWORD = "planted:pr@xy-4713"
INDEX_PASSWORD = "planted-index-4714"
MOST_MODULES = 15
CHUNK = 1 << 24
DOCKER = "docker info --format '{{.LoggingDriver}} {{.ServerVersion}} {{.Images}}'"
QUESTIONS = {
    "time": "systemctl is-active systemd-timesyncd; timedatectl show-timesync --property=SystemNTPServers",
    "upgrades": "systemctl is-active unattended-upgrades apt-daily.timer apt-daily-upgrade.timer; "
    "apt-config dump APT::Periodic; ls /etc/apt/apt.conf.d",
    "docker": f"systemctl is-active docker containerd; {DOCKER}; cat /etc/docker-version",
    "pin": "apt-cache policy docker.io",
    "pip": "python3 -c 'import planted; print(planted.__file__)'; planted; python3 -m pip config list",
    "overlay": "cat /etc/motd; stat -c '%a %U %G %F' /usr/local/bin/image-age; readlink /usr/local/bin/days; days",
    "playbook": "cat /etc/purpose; systemctl is-active cron",
    "small": "ls /usr/share/locale; find /usr/share/doc -type f ! -name copyright | wc -l",
    "proxy": "apt-config dump | grep -i proxy; env | grep -i proxy; ls /etc/apt/auth.conf.d; echo nothing more",
}
AFTER = ["docker.service", "systemd-timesyncd.service", "unattended-upgrades.service", "apt-daily.timer"]


@dataclass(frozen=True)
class Plugged:
    """The image's folder, what the play said, what booting it told, and what was seen of the build from outside."""

    folder: Path
    said: str
    checks: dict[str, dict[str, object]]
    answers: dict[str, str]
    proxy: Seen
    modules: list[str]


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugged]:
    folder = tmp_path_factory.mktemp("plugins")
    wheel = make_wheel(folder, "planted", "1.5")
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(counting_proxy("ann", PROXY_PASSWORD))
        index = stack.enter_context(python_index(folder / "index", wheel, "bob", INDEX_PASSWORD))
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("PIP_INDEX_URL", index)
        environment.setenv("no_proxy", "127.0.0.1,localhost")
        callbacks = [plays.ROOT / "callback_plugins", plays.ROOT / "benchmarks/callback_plugins"]
        environment.setenv("ANSIBLE_CALLBACK_PLUGINS", ":".join(map(str, callbacks)))
        environment.setenv("ANSIBLE_CALLBACKS_ENABLED", "module_executions")
        environment.setenv("DEBFLEET_MODULE_EXECUTIONS", str(folder / "modules"))
        environment.setenv("PROXY_PASSWORD", PROXY_PASSWORD)
        done = plays.run("build-image", folder, "-vv", manifest=write_manifest(folder, proxy.port))
        assert done.returncode == 0, done.stdout
    image = next((folder / "build").glob("*/metadata.json")).parent
    booted = plays.run("boot-image", folder, image=image)
    assert booted.returncode == 0, booted.stdout
    checks = {check["name"]: check for check in json.loads((image / "proof.json").read_text())["checks"]}
    answers = told.answers((image / "serial.log").read_text(errors="replace"))
    yield Plugged(image, done.stdout, checks, answers, proxy, (folder / "modules").read_text().split())
    (image / "disk.qcow2").unlink()


def write_manifest(folder: Path, port: int) -> Path:
    """The example with what a test adds to it."""
    plugins = {
        **told.plugins(folder, QUESTIONS, AFTER),
        "pip_install": {"packages": ["planted==1.5"]},
        "apt_proxy": {"address": "127.0.0.1", "port": port, "username": "ann", "password_env": "PROXY_PASSWORD"},
    }
    manifest = {
        "extends": str(plays.ROOT / "manifests/kvm-amd64-plugins.yml"),
        "system": {"firmware": "bios"},
        "plugins": plugins,
    }
    path = folder / "plugins.yml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def test_it_boots_with_all_of_them(plugged: Plugged) -> None:
    assert all(check["ok"] for check in plugged.checks.values()), plugged.checks


def test_so_many_plugins_cost_no_more_modules(plugged: Plugged) -> None:
    assert 10 <= len(plugged.modules) <= MOST_MODULES, plugged.modules


def test_ntp_asks_the_servers_of_the_manifest(plugged: Plugged) -> None:
    assert plugged.answers["time"].split() == ["active", "SystemNTPServers=ntp1.example.com", "ntp2.example.com"]


def test_unattended_upgrades_runs_at_the_intervals_of_the_manifest(plugged: Plugged) -> None:
    told_ = plugged.answers["upgrades"]
    assert told_.split()[:3] == ["active"] * 3
    for name, days in {"Update-Package-Lists": 1, "Download-Upgradeable-Packages": 1, "Unattended-Upgrade": 7}.items():
        assert f'APT::Periodic::{name} "{days}";' in told_


def test_debconf_was_answered_before_the_package_asked(plugged: Plugged) -> None:
    assert "60periodic" in plugged.answers["upgrades"]
    assert "20auto-upgrades" not in plugged.answers["upgrades"]


def test_docker_runs_with_its_settings_in_its_version_and_has_not_run_before(plugged: Plugged) -> None:
    states, info, version = plugged.answers["docker"].splitlines()[:2], *plugged.answers["docker"].splitlines()[2:4]
    assert states == ["active", "active"]
    assert info.startswith("journald 26.1.") and info.endswith(" 0")
    assert version.startswith("Docker version 26.1.")
    assert "1001" in plugged.answers["pin"]


def test_pip_has_installed_for_everybody_and_left_no_settings(plugged: Plugged) -> None:
    where, version = plugged.answers["pip"].splitlines()
    assert where.startswith("/usr/local/lib/python3") and version == "1.5"


def test_a_playbook_of_ones_own_was_applied(plugged: Plugged) -> None:
    assert plugged.answers["playbook"].splitlines()[:2] == ["showing plugins", "active"]


def test_what_dpkg_was_told_to_leave_out_is_not_there(plugged: Plugged) -> None:
    *kept, documents = plugged.answers["small"].splitlines()
    assert int(documents) == 0
    assert all(name.startswith(("en", "locale.alias")) for name in kept), kept
    assert json.loads((plugged.folder / "metadata.json").read_text())["savings"]


def test_the_overlay_lies_over_the_root(plugged: Plugged) -> None:
    motd, stat, link, days = plugged.answers["overlay"].splitlines()
    assert motd.startswith("Built by debfleet")
    assert (stat, link) == ("755 root root regular file", "image-age")
    assert days.isdigit()


def test_apt_went_through_the_proxy_alone_and_nothing_of_it_is_left(plugged: Plugged) -> None:
    assert plugged.proxy.served.total() > 100 and not plugged.proxy.refused
    assert plugged.answers["proxy"] == "nothing more"


def test_no_password_stands_anywhere(plugged: Plugged) -> None:
    raw = plugged.folder / "plain"
    subprocess.run(["qemu-img", "convert", "-O", "raw", plugged.folder / "disk.qcow2", raw], check=True)
    try:
        assert holds(raw, b"Built by debfleet: every plugin")
        for password in (PROXY_PASSWORD, INDEX_PASSWORD, "planted%3Apr%40xy-4713"):
            assert password not in plugged.said
            for path in plugged.folder.rglob("*"):
                assert not path.is_file() or not holds(path, password.encode()), path
    finally:
        raw.unlink()


def holds(path: Path, text: bytes) -> bool:
    """Whether a file holds a text; holes are passed over."""
    with open(path, "rb") as file:
        end = 0
        while True:
            try:
                at = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                return False
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for start in range(at, end, CHUNK):
                if text in os.pread(file.fileno(), min(CHUNK + len(text), end - start), start):
                    return True
