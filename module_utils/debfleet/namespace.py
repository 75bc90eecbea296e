# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs apart: in a mount and PID namespace of their own, on the host or inside a root tree.

When such a program ends, or when we die, every process in its namespace is killed and everything it mounted is gone.
Nothing here leaves more behind than files.

Who isn't root enters a user namespace first (userns.py), in which the owners of a tree are the user's subordinate ids;
and root too where programs of another architecture are run by an interpreter of our own (binfmt/).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .binfmt import programs
from .binfmt.programs import NATIVELY, Programs
from .epoch import variables as times
from .run import Done, run

UNSHARE = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"]

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "SYSTEMD_OFFLINE": "1",
}
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# $1 is the root, then what is bound where in it; what follows `--` is the command, run on the host. The device nodes
# are bound one by one: no disk of the host is seen. The kernel's settings are the host's: they can't be written.
INIT = r"""
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
if ! mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null; then # a user, whose network is the host's, can only bind it
  mount --rbind /sys "$root/sys"
  mount -o remount,bind,ro "$root/sys"
  [ ! -d "$root/sys/fs/cgroup" ] || mount -t tmpfs -o ro tmpfs "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
printf '#!/bin/sh\nexit 101\n' > "$root/run/.policy-rc.d"; chmod 755 "$root/run/.policy-rc.d"
mount --bind "$root/run/.policy-rc.d" "$root/usr/sbin/policy-rc.d"
while [ "$1" != -- ]; do
  case $2 in /run/*) mkdir -p "$root$2" ;; esac
  mount --bind "$1" "$root$2"
  case $2 in /run/.native) mount -o remount,bind,ro "$root$2" ;; esac
  shift 2
done
shift
exec "$@"
"""

# A copy of the host's resolver, for what is written to it is lost; then into the root. $1 is the root.
ENTER = r"""
set -e
root=$1; shift
resolv=$(readlink "$root/etc/resolv.conf" || :)
case "$resolv" in
  /run/*|../run/*)
    target="$root/${resolv#../}"; mkdir -p "${target%/*}"; cat /etc/resolv.conf > "$target" 2>/dev/null || : ;;
  "")
    if [ -e "$root/etc/resolv.conf" ] && [ -e /etc/resolv.conf ]; then
      cat /etc/resolv.conf > "$root/run/.resolv.conf"
      mount --bind "$root/run/.resolv.conf" "$root/etc/resolv.conf"
    fi ;;
esac
exec chroot "$root" "$@"
"""


def apart(argv: Sequence[str | Path], how: Programs = NATIVELY) -> list[str]:
    """The command that runs argv on the host in a mount and PID namespace of its own.

    :param how: how programs of another architecture are run there.
    """
    return [*unshare(how), "--mount-proc", "--", *map(str, argv)]


def unshare(how: Programs = NATIVELY) -> list[str]:
    """The words before a command that runs it in namespaces of its own, and for who isn't root, as root of one."""
    return [*how.entering(), *UNSHARE]


def proxies() -> dict[str, str]:
    """The proxies that this process was told to use; they hold inside a tree too, and are never written into it."""
    return {name: os.environ[name] for name in PROXIES if name in os.environ}


@contextlib.contextmanager
def _placeholder(path: Path) -> Iterator[None]:
    """An empty file to bind over, where there is none; gone again at the end."""
    if os.path.lexists(path):
        yield
        return
    path.touch()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def run_in_root(
    root: str | Path,
    argv: Sequence[str | Path],
    *,
    binds: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    build: Path | None = None,
) -> Done:
    """Run a program inside a root tree; the log and errors show it as the tree sees it.

    It has /proc, a small /dev, an empty /run, the host's resolver and proxies, and no way to start services
    (policy-rc.d).

    Programs of a tree of another architecture are run as programs.py says.

    :param binds: host path to path inside the tree, bound while it runs; both must exist, but for folders in /run.
    :param build: the folder of the tree's build, for who is no process of it.
    """
    variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **proxies(), **times(), **(env or {})}.items()]
    command = ["sh", "-c", ENTER, "sh", str(root), "/usr/bin/env", "-i", *variables, *map(str, argv)]
    with _placeholder(Path(root) / "etc/resolv.conf"):
        return run_around_root(
            root, command, binds=binds, shown=argv, stdin=stdin, check=check, on_line=on_line, build=build
        )


def run_around_root(
    root: str | Path,
    argv: Sequence[str | Path],
    *,
    binds: Mapping[str, str] | None = None,
    shown: Sequence[str | Path] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    pass_fds: Sequence[int] = (),
    build: Path | None = None,
) -> Done:
    """Run a program of the host that works on a root tree and may change root into it, as apt does for dpkg.

    The tree is made ready as for `run_in_root`, but for the resolver; the program's own /proc is its namespace's.
    """
    how = programs.of(Path(root), build)
    bound = [word for host, inside in {**how.binds, **(binds or {})}.items() for word in (host, inside)]
    with _placeholder(Path(root) / "usr/sbin/policy-rc.d"):
        return run(
            [*unshare(how), "--mount-proc", "--", "sh", "-c", INIT, "sh", str(root), *bound, "--", *map(str, argv)],
            shown=[str(word) for word in shown or argv],
            env=env,
            stdin=stdin,
            check=check,
            on_line=on_line,
            pass_fds=pass_fds,
        )
