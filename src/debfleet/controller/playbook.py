# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own playbook, or roles, run on the tree of an image by an ansible-playbook of its own.

The child lives in a PID namespace and dies with the build. It sees the user's own settings (an ansible.cfg beside the
playbook, ~/.ansible.cfg), not debfleet's; the inventory is made for it, and has one host, `image`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import yaml

from debfleet import house
from debfleet.common import journal
from debfleet.common.bases.lineage import Lineage
from debfleet.common.errors import DebfleetError
from debfleet.common.namespace import apart
from debfleet.common.run import CommandError, run
from debfleet.common.workspace import LEDGER, held_ledger
from debfleet.controller.inside import PYTHON, Inside, apt_of_the_build

HOST = "image"
FOLDER = "playbook"  # in the work folder
EVENTS = "DEBFLEET_PLAYBOOK_EVENTS"
OFFLINE = "Target is a chroot or systemd is offline"
OURS = ("ANSIBLE_CONFIG", "ANSIBLE_FORCE_COLOR", "ANSIBLE_STRATEGY", "ANSIBLE_LIBRARY", "ANSIBLE_ROLES_PATH")
LEFT = ("root/.ansible", "tmp/.ansible")


@dataclass(frozen=True)
class Settings:
    """The plugin's settings, as the manifest has them.

    :param vaults: label and password of each vault that the build was started with.
    """

    playbook: str | None = None
    roles: Sequence[str] = ()
    extra_vars: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    opt_flags: Sequence[str] = ()
    groups: Sequence[str] = ()
    vaults: Sequence[tuple[str, bytes]] = field(default=(), repr=False)

    @property
    def cwd(self) -> Path:
        """Where the playbook runs: in its own folder, where its ansible.cfg may lie."""
        return Path(self.playbook or self.roles[0]).parent


def apply(settings: Settings, inside: Inside, warn: Callable[[str], None]) -> dict[str, int]:
    """Run it on the tree. Returns how many tasks were ok, changed, skipped …; the tree has nothing of ours afterwards.

    :param warn: gets each warning of a task, once.
    :raises DebfleetError: naming the task that failed, its file and line, and what it said.
    """
    if lineage := Lineage.of(inside.build):
        lineage.leave()
    inside.folder.mkdir(exist_ok=True)  # the tree's users go through it; the folder above is closed to others
    inside.folder.chmod(0o755)
    journal.tell("ansible: making a Python for the tree")
    inside.make_python()
    with apt_of_the_build(inside):
        events = _run(settings, inside.build, inventory(settings, inside))
    for path in LEFT:
        shutil.rmtree(inside.root / path, ignore_errors=True)
    for text in _warnings(events):
        warn(text)
    hosts: dict[str, dict[str, int]] = next((event["hosts"] for event in events if event["event"] == "ended"), {})
    if HOST not in hosts:
        named = ", ".join(["all", HOST, *settings.groups])
        raise DebfleetError(
            "the playbook did nothing in the image",
            where="plugins.ansible",
            why="no play's `hosts:` names it, or no task was left by the tags",
            hint=f"the image is in {named}",
        )
    return hosts[HOST]


def _warnings(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The warnings of tasks, each once; what the modules for services say is said in our words."""
    told = [event for event in events if event["event"] == "warning"]
    idle = dict.fromkeys(event["task"] for event in told if event["msg"].startswith(OFFLINE))
    words = [f"nothing is started in an image that is built; what is enabled starts at boot: {', '.join(idle)}"]
    return [*(words if idle else []), *dict.fromkeys(e["msg"] for e in told if not e["msg"].startswith(OFFLINE))]


def check(settings: Settings, build: Path) -> None:
    """Read the playbook and all that it imports, and run nothing. Raises DebfleetError where it can't be read."""
    _run(settings, build, {"all": {"hosts": {HOST: {}}, "children": _groups(settings)}}, "--syntax-check")


def _groups(settings: Settings) -> dict[str, Any]:
    return {group: {"hosts": {HOST: {}}} for group in settings.groups}


def inventory(settings: Settings, inside: Inside) -> dict[str, Any]:
    """The inventory: the image, in the groups that it shall be in."""
    variables = {
        "ansible_connection": "image_root",
        "ansible_image_root": str(inside.root),
        "ansible_image_build": str(inside.build),
        "ansible_python_interpreter": PYTHON,
        "ansible_pipelining": True,
        "ansible_user": "root",
    }
    return {"all": {"hosts": {HOST: variables}, "children": _groups(settings)}}


def command(settings: Settings, folder: Path, playbooks: Sequence[str], *words: str) -> list[str]:
    """The command line of ansible-playbook; what is secret is in files."""
    vaults = [word for number, (label, _) in enumerate(settings.vaults)
              for word in ("--vault-id", f"{label}@{folder}/vault.{number}")]  # fmt: skip
    return [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        f"--inventory={folder}/inventory.yml",
        f"--extra-vars=@{folder}/extra_vars.json",
        *(f"--tags={tag}" for tag in settings.tags),
        *(f"--skip-tags={tag}" for tag in settings.skip_tags),
        *vaults,
        *words,
        *settings.opt_flags,
        *playbooks,
    ]


@contextlib.contextmanager
def _short(build: Path) -> Iterator[Path]:
    """A folder for temporary files whose path is short: Ansible has sockets there, whose paths may not be long.

    In a build it is in the ledger.
    """
    folder = Path("/tmp") / f"debfleet-{token_hex(4)}"
    ledger = held_ledger(build) if (build / LEDGER).exists() else None
    entry = ledger.add("folder", path=str(folder)) if ledger else None
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if ledger and entry:
            ledger.drop(entry)


def environment(build: Path, folder: Path, temporary: Path) -> dict[str, str]:
    """What the child sees besides the user's own environment."""
    return {
        "ANSIBLE_STDOUT_CALLBACK": "image_playbook",
        "ANSIBLE_CALLBACK_PLUGINS": str(house.root() / "callback_plugins"),
        "ANSIBLE_CONNECTION_PLUGINS": str(house.root() / "connection_plugins"),
        "ANSIBLE_BECOME_METHOD": "su",
        "ANSIBLE_SU_FLAGS": "-s /bin/sh",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCAL_TEMP": str(temporary),
        "TMPDIR": str(temporary),
        "DEBFLEET_BUILD": str(build),
        EVENTS: str(folder / "events"),
    }


def _run(settings: Settings, build: Path, hosts: dict[str, Any], *words: str) -> list[dict[str, Any]]:
    """Run ansible-playbook to its end; return its events."""
    folder = build / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        playbooks = [settings.playbook] if settings.playbook else []
        if settings.roles:
            playbooks.insert(0, str(_play_of_roles(folder, settings.roles)))
        _secret(folder / "inventory.yml", yaml.safe_dump(hosts))
        _secret(folder / "extra_vars.json", json.dumps(dict(settings.extra_vars)))
        for number, (_, password) in enumerate(settings.vaults):
            _secret(folder / f"vault.{number}", password.decode() + "\n")
        argv = ["env", *(f"--unset={name}" for name in OURS), *command(settings, folder, playbooks, *words)]
        shown = ["ansible-playbook", *words, *playbooks]
        try:
            with _short(build) as temporary:
                variables = environment(build, folder, temporary)
                run(apart(argv), shown=shown, cwd=settings.cwd, env=variables, on_line=_tell)
        except CommandError as error:
            raise _failure(settings, _read(folder / "events"), error) from error
        return _read(folder / "events")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _play_of_roles(folder: Path, roles: Sequence[str]) -> Path:
    """A playbook that applies roles. Their neighbours are at hand, for what they depend on."""
    beside = folder / "roles"
    beside.mkdir()
    for role in map(Path, roles):
        for neighbour in (role, *sorted(role.parent.iterdir())):
            if neighbour.is_dir() and not (beside / neighbour.name).exists():
                (beside / neighbour.name).symlink_to(neighbour)
    play = {"name": "Apply the manifest's roles", "hosts": HOST, "roles": [Path(role).name for role in roles]}
    _secret(folder / "roles.yml", yaml.safe_dump([play]))
    return folder / "roles.yml"


def _secret(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def _tell(line: str) -> None:
    if line.startswith("TASK "):
        journal.tell(f"ansible: {line[5:].rpartition('  (')[0]}")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _failure(settings: Settings, events: list[dict[str, Any]], error: CommandError) -> DebfleetError:
    """The failure in the build's words: the task that failed; else what Ansible said of the playbook itself."""
    name = Path(settings.playbook or settings.roles[0]).name
    failed = [event for event in events if event["event"] == "failed"]
    if failed:
        told = failed[-1]
        return DebfleetError(f"{name}: {told['task']} failed", where=told["path"], why=journal.masked(told["msg"]))
    return DebfleetError(f"{name} could not be run", where="plugins.ansible", why=error.why)
