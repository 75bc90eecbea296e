# SPDX-License-Identifier: GPL-3.0-or-later
"""Root without being root: user namespaces in which a user and the user's subordinate ids are the owners in an image.

Inside, the user is root and the subordinate ids are 1 to 65535, the same in every namespace: what one step of a build
writes, the next one reads with the same owners. Outside, root's files are the user's own. What belongs to a subordinate
id can only be removed inside; ended from outside can be any process of a namespace that the user has made.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import DebfleetError, MissingError
from .run import SEARCH, find

USER = "DEBFLEET_USER"  # in the environment of what runs inside: the uid of who runs it outside
LAST = 65535  # the ids of an image are 0 to this
LEAST = 65534  # and at least to nobody's
FIRST = 100000  # where subordinate ids begin, as useradd has it
NO_IDS = "there are not enough subordinate ids for the users of an image"
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
MAPPING = 'read -r go && newuidmap "$1" $2 && newgidmap "$1" $3'  # $1 is a pid, $2 and $3 are lists of words
WRITING = 'read -r go && printf "%s\\n" "$2" >"/proc/$1/uid_map" && printf "%s\\n" "$3" >"/proc/$1/gid_map"'
TRIAL = (
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--mount-proc"),
    *("--", "sh", "-c", "mount -t tmpfs tmpfs /mnt && chown 65534:65534 /mnt"),
)
CONTAINER = "in a container: let it mount (docker run --privileged, podman run --privileged)"
NO_NEW_RIGHTS = (
    "start it where programs may gain rights, as newuidmap must: without no_new_privs "
    "(docker: --security-opt no-new-privileges, systemd: NoNewPrivileges=)"
)
SWITCHES = (
    ("kernel/unprivileged_userns_clone", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "0"),
    ("user/max_user_namespaces", "15000"),
)


@dataclass(frozen=True)
class Range:
    """Consecutive subordinate ids: the first, and how many."""

    first: int
    count: int


def needed() -> bool:
    """Whether this process is an ordinary user's, who has to enter a namespace to be root."""
    return os.geteuid() != 0


def user() -> int | None:
    """The uid of the user outside, in a namespace that `enter` made; None elsewhere."""
    return int(os.environ[USER]) if os.geteuid() == 0 and USER in os.environ else None


def limited() -> bool:
    """Whether this process can't do what only the machine's root can: loop devices, device nodes."""
    if needed():
        return True
    first = Path("/proc/self/uid_map").read_text(encoding="utf-8").split()
    return first != ["0", "0", "4294967295"]


def parse(text: str, names: Iterable[str]) -> list[Range]:
    """The ranges that /etc/subuid or /etc/subgid gives to one of these names (or uids)."""
    known = set(names)
    lines = (line.split(":") for line in text.splitlines() if not line.startswith("#"))
    return [
        Range(int(fields[1]), int(fields[2]))
        for fields in lines
        if len(fields) == 3 and fields[0] in known and fields[1].isdigit() and fields[2].isdigit() and int(fields[2])
    ]


def mapping(own: int, ranges: Sequence[Range]) -> list[str]:
    """The words for newuidmap: 0 is the user's own id, 1 and further are the subordinate ones, 65535 at most."""
    words, inside = ["0", str(own), "1"], 1
    for one in ranges:
        count = min(one.count, LAST + 1 - inside)
        if count > 0:
            words += [str(inside), str(one.first), str(count)]
            inside += count
    return words


def subordinate(name: str) -> list[Range]:
    """The ranges of this user in /etc/NAME, NAME being subuid or subgid.

    Raises MissingError, with the command that gives some, where there are too few.
    """
    ranges, why = _granted(name)
    if not why:
        return ranges
    raise MissingError(NO_IDS, why=why, hint=f"{assign(name)}; or build as root")


def _granted(name: str) -> tuple[list[Range], str]:
    """The ranges of this user in /etc/NAME, and why they are not enough; nothing where they are."""
    file, who = Path(f"/etc/{name}"), account()
    ranges = parse(_read(file), (who, str(os.geteuid())))
    have = sum(one.count for one in ranges)
    told = f"{have} ids, and the users of an image need {LAST}" if have else "none"
    return ranges, "" if have >= LEAST else f"{file} gives {who} {told}"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def account() -> str:
    """The name of the user who runs this; the uid where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def assign(*names: str) -> str:
    """The command that gives this user 65536 ids which nobody has yet: of subuid, subgid or both."""
    words = []
    for name in names:
        fields = [line.split(":") for line in _read(Path(f"/etc/{name}")).splitlines()]
        ends = [int(one[1]) + int(one[2]) for one in fields if len(one) == 3 and one[1].isdigit() and one[2].isdigit()]
        first = max([FIRST, *ends])
        words.append(f"--add-{name}s {first}-{first + LAST}")
    return f"sudo usermod {' '.join(words)} {account()}"


def switched_off() -> str:
    """The command that lets users make namespaces, where a setting of this machine forbids it; else nothing."""
    for name, good in SWITCHES:
        path = Path("/proc/sys") / name
        value = path.read_text(encoding="utf-8").strip() if path.exists() else good
        if value != good and (name.startswith("kernel") or value == "0"):
            return f"sudo sysctl -w {name.replace('/', '.')}={good}"
    return ""


def remedy() -> str:
    """What to do where a namespace can't be made: a setting, a restriction of this process, or a container's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    if status[status.index("NoNewPrivs:") + 1] == "1":
        return NO_NEW_RIGHTS
    return switched_off() or CONTAINER


def require() -> None:
    """See that this user can be root of a namespace, by making one. Raises MissingError, saying what to do."""
    lacking = {name: why for name in ("subuid", "subgid") if (why := _granted(name)[1])}
    if lacking:
        raise MissingError(NO_IDS, why="\n".join(lacking.values()), hint=f"{assign(*lacking)}; or build as root")
    find("newuidmap", "uidmap")
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*entering(), *TRIAL], check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        raise MissingError(
            "a user who isn't root can't make the namespaces that an image is built in, on this machine",
            why=done.stderr.strip(),
            hint=f"{remedy()}; or build as root",
        )


def entering() -> list[str]:
    """The words to put before a command so that it runs in a user namespace; none where it needs none."""
    return [sys.executable, "-P", "-m", "debfleet.common.userns"] if needed() else []


def same(text: str) -> str:
    """A map of all ids to themselves for a namespace within the one whose uid_map or gid_map this is."""
    return "\n".join(f"{inside} {inside} {count}" for inside, _, count in map(str.split, text.splitlines()))


def enter(*, always: bool = False) -> None:
    """Become root of a user namespace. This process may have no further threads.

    :param always: for who is root already, too: of a namespace in which all ids are as they are.
    Raises MissingError where that can't be.
    """
    user_needs = needed()
    if not user_needs and not always:
        return
    own, group = os.geteuid(), os.getegid()
    if user_needs:
        words = [mapping(own, subordinate("subuid")), mapping(group, subordinate("subgid"))]
        find("newuidmap", "uidmap")
        how, maps = MAPPING, [" ".join(one) for one in words]
    else:
        how, maps = WRITING, [same(_read(Path(f"/proc/self/{name}"))) for name in ("uid_map", "gid_map")]
    libc = ctypes.CDLL(None, use_errno=True)
    death, parent = ctypes.c_int(), os.getppid()
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(death))
    helper = subprocess.Popen(  # it stays outside, where the programs that write the maps have their rights
        ["sh", "-c", how, "sh", str(os.getpid()), *maps],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SEARCH}", "LC_ALL": "C.UTF-8"},
    )
    if libc.unshare(CLONE_NEWUSER):
        why = os.strerror(ctypes.get_errno())
        helper.communicate()
        raise MissingError("could not make a user namespace", why=why, hint=remedy())
    _, said = helper.communicate(b"go\n")
    if helper.returncode:
        raise MissingError("could not map the users of an image", why=said.decode(errors="replace"), hint=remedy())
    os.setgid(0)
    os.setuid(0)
    libc.prctl(PR_SET_PDEATHSIG, death.value)  # the kernel forgets it when a process gets new rights
    if death.value and os.getppid() != parent:
        os.kill(os.getpid(), death.value)
    if user_needs:
        os.environ[USER] = str(own)


def within(work: Callable[[], None]) -> None:
    """Do something as root of a user namespace, in a fork; root does it at once, in this process.

    Raises DebfleetError with what it raised there.
    """
    if not needed():
        work()
        return
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            enter()
            work()
            code = 0
        except BaseException as error:
            os.write(writing, str(error).encode(errors="replace")[:4096])
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        why = told.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    if status:
        raise DebfleetError("could not act for the users of an image", why=why)


def main(argv: Sequence[str]) -> None:
    """Run a command in a user namespace: it takes the place of this process."""
    try:
        enter()
        os.execvpe(argv[0], list(argv), os.environ)
    except DebfleetError as error:
        sys.exit(f"{error.what}: {error.why}" if error.why else error.what)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
