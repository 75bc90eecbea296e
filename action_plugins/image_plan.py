# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the manifest, find its provider and plugins, and order them, on the controller. Nothing is touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

try:
    from ansible.template import trust_as_template

    from debfleet import house
    from debfleet.common import manifest as manifests
    from debfleet.common.disk.layout import LayoutError
    from debfleet.common.errors import DebfleetError
    from debfleet.common.manifest.plan import plan
    from debfleet.controller import environment, failure, foreign, inputs, locking, planning, unprivileged
except ImportError as error:
    raise AnsibleError(
        f"this ansible-playbook runs on {sys.executable}, which has no debfleet: run `make setup`, then "
        "`.venv/bin/ansible-playbook`, or `source .venv/bin/activate` first"
    ) from error

REGISTERED = (
    "image_build",
    "image_tree",
    "image_packages",
    "image_unchanged",
    "image_environment",
    "image_epoch",
    "image_phase_begun",
    "image_role",
    "phase",
)


class ActionModule(ActionBase):
    """Options: `manifest`, a file; `build_dir`, where images are put; `prove`, whether the image is booted; `cache`,
    whether what earlier builds made is used, and kept for later ones; `rebuild`, so that an image is built though
    nothing has changed; `on_error`, rollback or shell; `foreign`, how programs of another architecture are run;
    `locked`, the packages.json whose versions are to be taken;
    `only_plan`, so that what can't be built yet is told but is no error.
    """

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(
        ("manifest", "build_dir", "prove", "cache", "rebuild", "on_error", "foreign", "locked", "only_plan")
    )

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what `image_build` holds from here on; never logged, since it holds hashed passwords."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            environment.require()
        except DebfleetError as error:
            raise AnsibleActionFail(str(error)) from None
        self._refuse_partial_runs()
        self._refuse_shadows()
        checked = self._check(self._task.args.get("manifest"))
        only_plan = boolean(self._task.args.get("only_plan", False))
        if checked.not_built and not only_plan:
            raise AnsibleActionFail(f"not built yet: {', '.join(checked.not_built)}; plan-image.yml still plans it")
        manifest = checked.manifest.to_dict()
        build_dir = Path(str(self._task.args.get("build_dir") or "build")).expanduser().absolute()
        try:
            build = planning.describe(manifest, build_dir, checked.plain)
        except LayoutError as error:
            raise AnsibleActionFail(f"the disk can't be laid out: {error}") from error
        if not only_plan:
            self._refuse_what_needs_root(build)
        build["phases"] = {
            phase: [str(checked.roles[role]) for role in joined] for phase, joined in checked.phases.items()
        }
        build["prove"] = boolean(self._task.args.get("prove", False))
        build["on_error"] = self._on_error()
        build["foreign"] = str(self._task.args.get("foreign") or "auto")
        if not only_plan:
            self._refuse_what_can_not_run(build)
        build["rebuild"] = boolean(self._task.args.get("rebuild", False))
        build["inputs"] = inputs.of_image(checked)
        build["epoch"], build["packages"] = "", {}
        try:
            seconds, lock = locking.wanted(self._task.args.get("locked"), manifest)
        except DebfleetError as error:
            raise AnsibleActionFail(str(error)) from None
        if lock:
            build["inputs"]["locked"] = lock.digest
            build["packages"]["locked"] = str(lock.file)
        if seconds is not None:
            build["epoch"] = str(seconds)
        if cache := boolean(self._task.args.get("cache", True)):
            build["cache_key"] = inputs.tree_code()
        build["not_built"] = list(checked.not_built)
        build["packages"] |= {**self._packages(build, variables), "cache": cache}
        asked = dict.fromkeys(name for names in build["packages"]["packages"].values() for name in names)
        build["shown"] = plan(checked, packages=list(asked)).text().splitlines()
        if only_plan:
            build["work"] = ""  # nothing is built, so no step of it has a folder
        if not only_plan:
            for notice in checked.notices:
                self._display.display(f"note: {notice}")
        return {**result, **build, "changed": False, "_ansible_no_log": True}

    def _refuse_partial_runs(self) -> None:
        if context.CLIARGS.get("start_at_task"):
            raise AnsibleActionFail("a build can't run in part: leave --start-at-task out")
        if tuple(context.CLIARGS.get("tags") or ("all",)) != ("all",):
            raise AnsibleActionFail("a build can't run in part: leave --tags out")

    def _refuse_what_needs_root(self, build: dict[str, Any]) -> None:
        try:
            unprivileged.require(build["manifest"], build["layout"])
        except DebfleetError as error:
            raise AnsibleActionFail(str(error)) from None

    def _refuse_shadows(self) -> None:
        """An extra variable hides what the play registers under that name."""
        if taken := [name for name in REGISTERED if name in load_extra_vars(self._loader)]:
            raise AnsibleActionFail(f"the play itself sets {' and '.join(taken)}: leave it out of -e")

    def _on_error(self) -> str:
        try:
            way, note = failure.wanted(self._task.args.get("on_error"), os.getppid())
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        if note:
            self._display.display(note)
        return way

    def _refuse_what_can_not_run(self, build: dict[str, Any]) -> None:
        try:
            foreign.require(build["manifest"], build["foreign"])
        except DebfleetError as error:
            raise AnsibleActionFail(str(error)) from None

    def _check(self, manifest: str | None) -> Any:
        if not manifest:
            raise AnsibleActionFail("name a manifest: -e manifest=FILE")
        path = Path(manifest).expanduser().absolute()
        if not path.is_file():
            raise AnsibleActionFail(f"there is no manifest {path}")
        checked = manifests.check(
            path, role_paths=self._role_paths(), schema_dir=house.schemas(), decrypt=self._decrypt
        )
        if checked.errors:
            lines = "\n".join(f"  {problem}" for problem in checked.errors)
            raise AnsibleActionFail(f"{path} is not a valid manifest:\n{lines}")
        return checked

    def _role_paths(self) -> list[Path]:
        configured = [Path(folder) for folder in C.DEFAULT_ROLES_PATH or []]
        return [*configured, Path(self._loader.get_basedir()) / "roles", house.roles()]

    def _decrypt(self, vaulted: str) -> str:
        plain: bytes = self._loader._vault.decrypt(vaulted)
        return plain.decode()

    def _packages(self, build: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The options of image_packages: everything that this build will install."""

        def templar(own: dict[str, Any]) -> Any:
            known = {**{name: _trusted(value) for name, value in own.items()}, **variables, "image_build": build}
            return self._templar.copy_with_new_env(available_variables=known)

        manifest = build["manifest"]
        wanted = planning.asked_packages(
            build["phases"]["package_installation"],
            lambda when, own: all(templar(own).evaluate_conditional(one) for one in _conditions(when)),
            lambda value, own: templar(own).template(_trusted(value)),
        )
        return {
            "suite": manifest["system"]["release"],
            "architecture": manifest["system"]["architecture"],
            "bootstrapper": manifest["bootstrapper"],
            "image_apt": manifest["packages"],
            "packages": wanted,
            "proxy": build["proxy"],
        }


def _conditions(when: Any) -> list[Any]:
    return [_trusted(one) for one in (when if isinstance(when, list) else [when])]


def _trusted(value: Any) -> Any:
    """The value with its expressions taken for ours: task files of roles are code, like the play itself."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [_trusted(one) for one in value]
    return value
