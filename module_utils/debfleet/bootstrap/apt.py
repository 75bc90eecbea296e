# SPDX-License-Identifier: GPL-3.0-or-later
"""apt run from outside on a root tree, with a configuration of its own in the build's folder.

Nothing of the building machine is left in the tree: sources, lists, downloads and logs stay in the folder, and only
what the packages themselves write, and apt's list of automatically installed packages, goes into the tree.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..epoch import variables as times
from ..errors import DebfleetError
from ..namespace import ENVIRONMENT, proxies, run_around_root
from ..run import CommandError, Done, run
from . import deferred, status

STATE = "apt.json"
LOCKED = "locked"  # in its folder: preferences that hold while building, where versions are given
ARCHIVES = "var/cache/apt/archives"
CACHES = ("var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin")
PROXY = re.compile(r'Acquire::http::Proxy "([^"]*)";$', re.IGNORECASE)
NO_INITRAMFS = {"INITRD": "No"}  # the kernel's hooks honour it; the image gets its initramfs once, at the end


@dataclass(frozen=True)
class Apt:
    """apt's own corner of a build: where it lies, and what it uses.

    :param sources: entries in the one-line format; empty before the mirror was looked at.
    :param settings: lines of apt.conf that hold while building, of the building machine or none.
    :param own: whether the building machine's mirror is used, and with it its credentials (auth.conf).
    :param lists: the folder of lists that is read, in its corner: all that was got, or a part of them (nearby.py).
    """

    folder: Path
    architecture: str
    suite: str
    sources: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    recommends: bool = False
    own: bool = False
    lists: str = "lists"

    @property
    def cache(self) -> Path:
        """Where apt keeps what it has read of the lists."""
        return self.folder / ("cache" if self.lists == "lists" else f"{self.lists}.cache")

    def save(self) -> None:
        """Leave this for later steps of the build."""
        self.folder.mkdir(parents=True, exist_ok=True)
        written = {"schema_version": 1, **asdict(self), "folder": str(self.folder)}
        new = self.folder / f"{STATE}.new"
        new.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        new.replace(self.folder / STATE)

    @classmethod
    def load(cls, build: str | Path) -> Apt:
        """What an earlier step of the build left in its folder. Raises DebfleetError when none did."""
        path = folder_of(build) / STATE
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DebfleetError("apt of this build is not set up", where=str(path), hint="bootstrap first") from error
        return cls(
            Path(written["folder"]),
            written["architecture"],
            written["suite"],
            tuple(written["sources"]),
            tuple(written["settings"]),
            written["recommends"],
            written["own"],
        )


def proxy(settings: Sequence[str]) -> str:
    """The proxy that these lines of apt.conf name for http, with its user and password; empty where there is none."""
    found = [match[1] for line in settings if (match := PROXY.match(line))]
    return found[-1] if found and found[-1].upper() not in ("DIRECT", "FALSE") else ""


def folder_of(build: str | Path) -> Path:
    """Where apt's corner of a build lies."""
    return Path(build) / "apt"


def configuration(apt: Apt, root: Path | None) -> str:
    """The apt.conf for work on a tree, or on no tree at all: then nothing is installed, and everything can be asked."""
    tree = root or apt.folder / "empty"
    at = apt.folder
    lines = [
        f'APT::Architecture "{apt.architecture}";',
        f'APT::Architectures {{ "{apt.architecture}"; }};',
        f'APT::Install-Recommends "{str(apt.recommends).lower()}";',
        'APT::Sandbox::User "root";',  # the build's folder is closed to others
        'APT::Get::Assume-Yes "true";',
        'APT::Keep-Downloaded-Packages "true";',
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        f'Dir "{tree}";',
        f'Dir::State "{tree}/var/lib/apt";',
        f'Dir::State::status "{tree}/var/lib/dpkg/status";',
        f'Dir::State::lists "{at / apt.lists}";',
        f'Dir::Cache "{apt.cache}";',
        f'Dir::Cache::archives "{tree / ARCHIVES if root else at / "archives"}";',
        f'Dir::Log "{at}/log";',
        f'Dir::Etc::sourcelist "{at}/sources.list";',
        f'Dir::Etc::sourceparts "{at}/none";',
        f'Dir::Etc::main "{at}/none/apt.conf";',
        f'Dir::Etc::trusted "{at}/none/trusted.gpg";',
        f'Dir::Etc::trustedparts "{at}/trusted.gpg.d";',
        'Dpkg::Use-Pty "false";',
    ]
    lines += [] if root else [f'Dir::Etc::parts "{at}/none";', f'Dir::Etc::preferencesparts "{at}/preferences.d";']
    if (at / LOCKED).exists():
        lines += locked(apt)
    if apt.own:
        lines += ['Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";']
    return "\n".join([*lines, *apt.settings]) + "\n"


def locked(apt: Apt) -> list[str]:
    """Lines of apt.conf by which given versions hold, in the tree too; the image's own preferences.d still counts."""
    return [f'Dir::Etc::preferences "{apt.folder / LOCKED}";', 'APT::Get::allow-downgrades "true";']


def lay_out(apt: Apt, root: Path | None = None) -> Path:
    """Make apt's folders and write its configuration. Returns the path of the apt.conf, for APT_CONFIG."""
    at = apt.folder
    for name in ("lists/partial", "archives/partial", apt.cache, "log", "none", "trusted.gpg.d", "preferences.d"):
        (at / name).mkdir(parents=True, exist_ok=True)
    if root is None:
        (at / "empty/var/lib/apt").mkdir(parents=True, exist_ok=True)
        (at / "empty/var/lib/dpkg").mkdir(parents=True, exist_ok=True)
        (at / "empty/var/lib/dpkg/status").touch()
    sources = at / "sources.list"
    lines = "".join(f"{line}\n" for line in apt.sources)
    # A newer file makes apt read all lists anew.
    if not sources.exists() or sources.read_text(encoding="utf-8") != lines:
        sources.write_text(lines, encoding="utf-8")
    conf = at / ("root.conf" if root else "apt.conf")
    conf.write_text(configuration(apt, root), encoding="utf-8")
    return conf


def ask(apt: Apt, argv: Sequence[str], *, root: Path | None = None, check: bool = True) -> Done:
    """Run a program of apt that only looks: apt-cache, apt-get -s, indextargets."""
    conf = lay_out(apt, root)
    return run(argv, env={"APT_CONFIG": str(conf), "TMPDIR": str(apt.folder)}, check=check)


def update(apt: Apt) -> Done:
    """Get the indices of all sources, and tell how far it is. What failed is in the output: see `indices`."""
    conf = lay_out(apt)
    with status.told("getting the package lists") as fd:
        return run(
            # what is made of the lists is left to who asks for it
            ["apt-get", "-o", f"APT::Status-Fd={fd}", "-o", "pkgCacheFile::Generate=false", "update"],
            env={"APT_CONFIG": str(conf), "TMPDIR": str(apt.folder)},
            check=False,
            pass_fds=[fd],
        )


@dataclass(frozen=True)
class Installed:
    """What an installation did: how many packages are in the tree now, and the seconds it took."""

    count: int
    seconds: float


def install(
    root: str | Path,
    packages: Sequence[str],
    *,
    build: str | Path,
    standard: bool = False,
    upgrade: bool = False,
    env: Mapping[str, str] | None = None,
    lists: str = "lists",
) -> Installed:
    """Install packages into a tree that this build bootstrapped.

    :param packages: names, ``name/suite``, ``name=version``, or paths of .deb files of this machine.
    :param build: the folder of the build, where the bootstrap left apt's corner.
    :param standard: install every package of priority standard too.
    :param upgrade: bring what is installed to the newest version first (dist-upgrade).
    :param lists: which of apt's folders of lists have the packages (nearby.py).
    :raises DebfleetError: naming the package that could not be installed; the tree is then as dpkg left it.
    """
    apt, root, start = replace(Apt.load(build), lists=lists), Path(root).resolve(), time.monotonic()
    wanted = [*packages, *([standard_pattern(apt)] if standard else [])]
    with _archives(apt, root) as binds:
        names = [_inside(package, apt, root) for package in wanted]
        if upgrade:
            _run(apt, root, ["dist-upgrade"], binds, env)
        if names:
            _run(apt, root, ["install", *names], binds, env)
    return Installed(count(root), time.monotonic() - start)


def standard_pattern(apt: Apt) -> str:
    """apt's pattern for the packages of priority standard, of the suite itself."""
    return f"?narrow({of_suite(apt.suite)},?architecture({apt.architecture}),?priority(standard))"


def of_suite(suite: str) -> str:
    """apt's pattern for what a suite has, by its name or its codename."""
    return f"?or(?archive(^{suite}$),?codename(^{suite}$))"


def count(root: Path) -> int:
    """How many packages are installed in a tree."""
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    return len(re.findall(r"^Status: install ok installed$", status, re.MULTILINE))


def is_file(package: str) -> bool:
    """Whether a package is named by the path of its .deb file."""
    return package.endswith(".deb") and "/" in package


def _inside(package: str, apt: Apt, root: Path) -> str:
    """A package as apt is told it: a local file is copied to where dpkg inside the tree finds it."""
    if not is_file(package):
        return package
    local = apt.folder / "archives/local"
    local.mkdir(exist_ok=True)
    shutil.copyfile(package, local / Path(package).name)
    return str(root / ARCHIVES / "local" / Path(package).name)


@contextlib.contextmanager
def _archives(apt: Apt, root: Path) -> Iterator[dict[str, str]]:
    """The build's folder of downloads, to be bound into the tree, where dpkg sees it; emptied at the end."""
    lay_out(apt, root)
    inside = root / ARCHIVES
    made = []
    for folder in (inside, *inside.parents):
        if folder.exists():
            break
        made.append(folder)
    inside.mkdir(parents=True, exist_ok=True)
    try:
        yield {str(apt.folder / "archives"): f"/{ARCHIVES}"}
    finally:
        for name in CACHES:  # maintainer scripts that ask apt make them
            (root / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # of dpkg-preconfigure, called by the image's own apt.conf.d
            (root / "var/cache/debconf/tmp.ci").rmdir()
        for folder in made:
            folder.rmdir()
        shutil.rmtree(apt.folder / "archives", ignore_errors=True)


def _run(apt: Apt, root: Path, words: Sequence[str], binds: Mapping[str, str], env: Mapping[str, str] | None) -> None:
    conf = lay_out(apt, root)
    passed = proxies()
    later = deferred.lay_out(apt.folder / "deferred")
    inner = ["--unset=TMPDIR", "--unset=APT_CONFIG", *(f"--unset={name}" for name in passed)]
    inner += [f"PATH={deferred.path()}", "dpkg"]
    variables = {
        **ENVIRONMENT,
        **NO_INITRAMFS,
        **passed,
        **times(),
        **(env or {}),
        "APT_CONFIG": str(conf),
        "TMPDIR": f"{root}/tmp",
    }
    with status.told("installing packages") as fd:
        options = {
            "APT::Status-Fd": str(fd),
            "DPkg::Chroot-Directory": str(root),
            "Dir::Bin::dpkg": "env",
            # An image's own apt.conf.d is read after APT_CONFIG: what must hold is told here again.
            "Dir::Etc::sourcelist": str(apt.folder / "sources.list"),
            "Dir::Etc::sourceparts": str(apt.folder / "none"),
        }
        argv = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
        argv += [f"-oDPkg::Options::={word}" for word in [*inner, "--force-unsafe-io", "--force-confold"]]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        command = deferred.waiting(later, [*clean, *argv, *words])
        binds = {**binds, str(later): deferred.INSIDE}
        try:
            run_around_root(root, command, binds=binds, shown=["apt-get", *words], pass_fds=[fd])
        except CommandError as error:
            raise DebfleetError(f"apt could not {words[0]} packages", why=status.reasons(error.output)) from error
    deferred.look(later)
