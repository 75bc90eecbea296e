# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ordinary modules inside the root tree of an image, each command in namespaces of its own."""

from __future__ import annotations

DOCUMENTATION = """
name: image_root
short_description: Run inside the root tree of an image
description:
  - A task of a plugin's role runs an ordinary module inside the tree with C(delegate_to=image).
  - Every command has a mount and a PID namespace of its own. When it ends nothing is mounted and nothing runs.
  - Services are not started.
  - Such a task runs before the changes that the phase's tasks asked for by C(image_change) are made.
author: debfleet (@debfleet)
options:
  root:
    description: The root tree.
    vars:
      - name: ansible_image_root
    type: path
    required: true
  build:
    description:
      - Folder of the build. Where it has a Python and sources of apt to lend to the tree, as for a user's own playbook,
        they are at C(/run/.debfleet) while commands run. Else the tree's own Python is needed.
    vars:
      - name: ansible_image_build
    type: path
"""

import shutil
from pathlib import Path

from ansible.errors import AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase

from debfleet.common import userns
from debfleet.common.bases.lineage import Lineage
from debfleet.common.changes.request import Tree
from debfleet.common.namespace import run_in_root
from debfleet.controller.inside import Inside


def _copy(source: str | Path, target: str | Path) -> None:
    shutil.copyfile(source, target)


class Connection(ConnectionBase):
    """The connection."""

    transport = "image_root"
    has_pipelining = True
    has_tty = False

    def _connect(self) -> Connection:
        if lineage := Lineage.of(self.get_option("build")):
            userns.within(lineage.leave)
        if self._inside() is None and not (Path(self.get_option("root")) / "usr/bin/python3").exists():
            # Not a failure to connect: a host that can't be reached would get no clean-up.
            raise AnsibleError(
                "the image has no Python, which ordinary modules need: let the plugin install python3 in "
                "package_installation, or use image_change"
            )
        self._connected = True
        return self

    def _inside(self) -> Inside | None:
        build = self.get_option("build")
        inside = Inside(Path(self.get_option("root")), Path(build)) if build else None
        return inside if inside and inside.made() else None

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a shell command line inside the tree."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        inside = self._inside()
        done = run_in_root(
            self.get_option("root"),
            ["/bin/sh", "-c", cmd],
            binds=inside.binds if inside else None,
            env=inside.variables if inside else None,
            stdin=in_data,
            check=False,
            build=Path(self.get_option("build")) if self.get_option("build") else None,
        )
        return done.returncode, done.stdout.encode(), done.stderr.encode()

    def _path(self, path: str) -> Path:
        return Tree(Path(self.get_option("root"))).path(path)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the builder into the tree."""
        super().put_file(in_path, out_path)
        if not Path(in_path).exists():
            raise AnsibleFileNotFound(f"there is no file {in_path}")
        userns.within(lambda: _copy(in_path, self._path(out_path)))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the tree to the builder."""
        super().fetch_file(in_path, out_path)
        userns.within(lambda: _copy(self._path(in_path), out_path))

    def close(self) -> None:
        """Nothing stays open between commands."""
        self._connected = False
