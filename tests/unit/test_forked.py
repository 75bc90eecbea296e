# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that runs in a fork of Ansible's worker: all that Ansible sees of it is as if it had been packed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

PROBE = """
#!/usr/bin/python
import os, signal, subprocess, sys, threading, time
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import run
from ansible.module_utils.debfleet.errors import DebfleetError
def main():
    module = AnsibleModule(
        {"way": {"required": True}, "secret": {"no_log": True}, "build": {}}, supports_check_mode=True
    )
    way = module.params["way"]
    seen = {
        "check": module.check_mode, "diff": module._diff, "name": module._name, "verbosity": module._verbosity,
        "mark": os.environ.get("MARK"), "told": subprocess.check_output(["sh", "-c", "echo $MARK"], text=True),
        "cwd": os.getcwd(), "stdin": sys.stdin.read(), "umask": oct(os.umask(0o22)),
        "term": str(signal.getsignal(signal.SIGTERM)), "int": signal.getsignal(signal.SIGINT).__name__,
        "group": os.getpgrp() == os.getppid(), "alone": threading.active_count(),
        "secret": module.params["secret"], "temporary": os.path.isdir(module.tmpdir),
    }
    if way == "ok":
        module.warn("a warning")
        module.deprecate("old", version="9.9")
        module.exit_json(changed=True, **seen)
    if way == "fail":
        try:
            raise DebfleetError("the cause", hint="mend it")
        except DebfleetError as error:
            module.fail_json(msg="could not", exception=error)
    if way == "raise":
        raise RuntimeError("out of the blue")
    if way == "return":
        return
    if way == "garbage":
        print("this is no JSON")
        sys.exit(0)
    if way == "chatty":
        print("before")
        print("told on the side", file=sys.stderr)
        module.exit_json(changed=False)
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "interrupted":
        run.raise_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if way == "silent":
        os._exit(7)
    if way == "messy":
        os.chdir("/")
        os.umask(0)
        os.environ["MARK"] = "spoilt"
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for fd in range(3, 50):
            try: os.close(fd)
            except OSError: pass
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        subprocess.Popen(["sleep", "1"])
        module.exit_json(changed=False, messy=True)
if __name__ == "__main__":
    main()
"""
ACTION = """
from debfleet.controller.build_step import BuildStep as ActionModule
"""
KEEP = """
import json
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "keep"
    def v2_runner_on_ok(self, result, **_):
        with open("results", "a") as file:
            file.write(json.dumps([result.task.name, result.result], default=str) + "\\n")
    def v2_runner_on_failed(self, result, **_):
        self.v2_runner_on_ok(result)
"""
COMPARED = ("ok", "fail", "raise", "return", "garbage", "chatty")
WAYS = (*COMPARED, "killed", "interrupted", "silent", "messy", "ok")  # after the messy one all is as it was


def results(
    folder: Path, fork: str, *words: str, ways: Sequence[str] = WAYS, forks: bool | None = None
) -> dict[str, dict[str, Any]]:
    """What Ansible sees of each way the probe may end, by way."""
    home = folder / fork
    for name, text in {
        "library/probe.py": PROBE,
        "action_plugins/probe.py": ACTION,
        "callback_plugins/keep.py": KEEP,
        "ansible.cfg": "",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text.lstrip())
    tasks = [
        {
            "name": f"{number} {way}",
            "probe": {"way": way, "secret": "very-secret"},
            "environment": {"MARK": "set by the task"},
            "ignore_errors": True,
        }
        for number, way in enumerate(ways)
    ]
    (home / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "play.yml", *words],
        cwd=home,
        env={
            **os.environ,
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
            "ANSIBLE_CALLBACK_PLUGINS": str(home / "callback_plugins"),
            "ANSIBLE_STDOUT_CALLBACK": "keep",
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "DEBFLEET_FORK": fork,
        },
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("FORK probe" in done.stdout) == ((fork == "yes") if forks is None else forks), done.stdout
    told = dict(json.loads(line) for line in (home / "results").read_text().splitlines())
    assert len(told) == len(ways), done.stdout + done.stderr
    return told


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The results of forks, and of packed modules."""
    folder = tmp_path_factory.mktemp("forked")
    return results(folder, "yes", "-vvv", "--diff"), results(folder, "no", "-vvv", "--diff", ways=COMPARED)


def comparable(result: dict[str, Any], fork: str) -> dict[str, Any]:
    """A result without what must differ."""
    told: dict[str, Any] = json.loads(json.dumps(result).replace(f"/{fork}", "/HOME"))
    for notice in told.get("deprecations", []):
        notice["collection_name"] = notice["deprecator"] = None  # found by the path of the file; that is the zip's
    told.pop("group", None)  # between the worker and a packed module there is a shell
    return told


@pytest.mark.parametrize("way", [f"{number} {way}" for number, way in enumerate(COMPARED)])
def test_a_fork_gives_what_a_packed_module_gives(both: Any, way: str) -> None:
    forked, packed = both
    assert comparable(forked[way], "yes") == comparable(packed[way], "no")


def test_what_a_module_does_to_its_process_ends_with_it(both: Any) -> None:
    assert both[0]["9 messy"]["messy"]
    assert both[0]["10 ok"] == both[0]["0 ok"]


def test_a_module_sees_its_task(both: Any) -> None:
    told = both[0]["0 ok"]
    assert (told["mark"], told["told"]) == ("set by the task", "set by the task\n")
    assert (told["diff"], told["check"], told["name"], told["verbosity"]) == (True, False, "probe", 3)
    assert (told["stdin"], told["alone"], told["group"]) == ("", 1, True)
    assert told["warnings"] and told["deprecations"]
    assert "very-secret" not in json.dumps(both[0])


def test_a_module_that_tells_nothing_has_failed_with_a_sentence(both: Any) -> None:
    said = {way: both[0][way]["msg"] for way in ("6 killed", "7 interrupted", "8 silent")}
    assert said == {
        "6 killed": "probe was ended by SIGKILL",
        "7 interrupted": "probe ended with exit 1 and told nothing",
        "8 silent": "probe ended with exit 7 and told nothing",
    }
    assert both[0]["7 interrupted"]["module_stderr"] == "Interrupted: interrupted by signal 15\n"
    assert both[0]["4 garbage"]["module_stdout"] == both[1]["4 garbage"]["module_stdout"] == "this is no JSON\n"


def test_check_mode_reaches_a_fork(tmp_path: Path) -> None:
    assert results(tmp_path, "yes", "--check", "-vvv", ways=["ok"])["0 ok"]["check"] is True


def test_another_interpreter_gets_a_packed_module(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    link.chmod(0o755)
    words = ["-vvv", "-e", f"ansible_python_interpreter={link}"]
    assert results(tmp_path, "yes", *words, ways=["ok"], forks=False)["0 ok"]["changed"]
