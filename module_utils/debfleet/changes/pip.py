# SPDX-License-Identifier: GPL-3.0-or-later
"""Python packages installed into the tree by its own pip."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..namespace import run_in_root
from ..run import CommandError
from . import pip_settings
from .pip_settings import Prepared
from .request import Tree, expect_keys, expect_list, expect_path

PYTHON = "/usr/bin/python3"
ENVIRONMENT = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",  # into /usr/local, which is the image's maker's
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
}


def check_pip(value: Any) -> None:
    """{packages, venv}: requirements as pip takes them, and the folder of a virtual environment, or none."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping with packages, not {value!r}")
    expect_keys(value, {"packages"}, {"venv"})
    expect_list(value["packages"], str, "requirements")
    if option := next((word for word in value["packages"] if word.startswith("-")), None):
        raise ValueError(f"{option} is no requirement")
    if value.get("venv") is not None:
        expect_path(value["venv"])


def install(tree: Tree, value: Mapping[str, Any]) -> None:
    """Install them, from where pip of this machine gets its packages unless the image has settings of its own; they
    and the cache are gone afterwards.
    """
    if not value["packages"]:
        return
    if not (tree.root / PYTHON.lstrip("/")).exists():
        raise DebfleetError("the image has no Python", hint="install python3 and python3-pip")
    with tempfile.TemporaryDirectory(prefix="pip-", dir=tree.build) as folder:
        prepared = Prepared()
        if not (tree.root / "etc/pip.conf").exists():
            prepared = pip_settings.prepare(pip_settings.read(), Path(folder))
        python = PYTHON
        if value.get("venv") is not None:
            run_in_root(tree.root, [PYTHON, "-m", "venv", value["venv"]])
            python = f"{value['venv']}/bin/python"
        words = [python, "-m", "pip", "install", "--", *value["packages"]]
        try:
            run_in_root(tree.root, words, binds=prepared.binds, env={**ENVIRONMENT, **prepared.env})
        except CommandError as error:
            said = [line for line in error.output.splitlines() if line.startswith("ERROR: ")]
            raise DebfleetError("pip could not install the packages", why="\n".join(said) or error.why) from error
