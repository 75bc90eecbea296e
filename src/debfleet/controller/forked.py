# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module in a fork of Ansible's worker, where that gives the same as packing it for a new interpreter.

A module of a build runs on this machine, as this user, in this very Python. Packing it, copying it, starting an
interpreter and importing all anew takes a third of a second; a fork takes a hundredth. The fork is a process like any
that Ansible starts: its own output, environment, folder and signals, and nothing of the worker's is open in it.
Elsewhere (another connection, user or interpreter, an Ansible that this was not tried with) modules run as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from debfleet.common import userns
from debfleet.common.process import Process

OFF = "DEBFLEET_FORK"  # the variable that switches it off when it is `no`
TRIED = ("2.21.",)  # of ansible-core: what is used of its inner parts has no promise
PROFILE = "legacy"  # of the JSON that Ansible's modules and its controller exchange
LENT, OURS = "ansible.module_utils.debfleet", "debfleet.common"
PR_SET_PDEATHSIG = 1
FIRST_OTHER_FD = 3
MOST_FDS = 1 << 20


class ForkedModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """An action whose module runs in a fork where that is possible. The rest of its execution is Ansible's own."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._forks = False
        self._as_root = False  # in a user namespace, where the user is not root; it makes no difference to root
        self._on_fork: Callable[[Process], contextlib.AbstractContextManager[None]] = _nothing
        self._path = ""
        self._params = b""
        self._variables: dict[str, str] = {}

    def can_fork(self, variables: dict[str, Any]) -> bool:
        """Whether a fork of this process is as good as the process that Ansible would start for the module."""
        interpreter = variables.get("ansible_python_interpreter")
        interpreter = interpreter or constants.config.get_config_value("INTERPRETER_PYTHON")
        return (
            os.environ.get(OFF) != "no"
            and ansible_version.startswith(TRIED)
            and self._connection.transport == "local"
            and not self._connection.become
            and not self._task.delegate_to
            and not self._task.async_val
            and not constants.DEFAULT_KEEP_REMOTE_FILES
            and self._templar.template(interpreter) == sys.executable
        )

    def _is_pipelining_enabled(self, *args: Any, **words: Any) -> bool:
        """A fork needs no file on its way."""
        return self._forks or bool(super()._is_pipelining_enabled(*args, **words))

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        """Where the module would be packed: keep what it is to be given."""
        if not self._forks:
            return super()._configure_module(module_name, module_args, task_vars)
        from ansible.executor.module_common import _BuiltModule
        from ansible.module_utils.common.json import Direction, get_module_encoder

        found = self._shared_loader_obj.module_loader.find_plugin_with_context(
            module_name, ".py", collection_list=self._task.collections
        )
        variables: dict[str, Any] = {}
        self._compute_environment_string(variables)
        self._variables = {name: str(value) for name, value in variables.items()}
        self._path = str(found.plugin_resolved_path)
        encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
        self._params = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder).encode()
        built = _BuiltModule(
            b_module_data=b"", module_style="new", shebang=f"#!{sys.executable}", serialization_profile=PROFILE
        )
        return built, self._path

    def _low_level_execute_command(self, cmd: str, **words: Any) -> Any:
        """Where the packed module would be executed: fork, wait, and return what it said."""
        if not self._forks:
            inside = userns.entering() if self._as_root else []
            cmd = shlex.join([*inside, "/bin/sh", "-c", cmd]) if inside else cmd
            return super()._low_level_execute_command(cmd, **words)
        name = Path(self._path).stem
        self._display.vvv(f"FORK {name}", host=self._play_context.remote_addr)
        code, out, err = run(self._enter, self._on_fork)
        if code < 0 or not out.strip():
            out = json.dumps({"failed": True, "msg": f"{name} {_ended(code)}", "rc": code, "module_stderr": err})
        lines = {"stdout_lines": out.splitlines(), "stderr_lines": err.splitlines()}
        return {"rc": code, "stdout": out, "stderr": err, **lines}

    def _enter(self) -> NoReturn:
        """In the fork: become what Ansible's own wrapper would have made, and run the module."""
        from ansible.module_utils._internal._ansiballz import _loader

        name = Path(self._path).stem
        with contextlib.suppress(OSError):
            Path("/proc/self/comm").write_text(name, encoding="utf-8")  # what ps and top tell it by
        os.chdir(self._loader.get_basedir())
        os.environ.update(self._variables)
        sys.argv = [self._path]
        if self._as_root:
            userns.enter()
        _forget_the_controller()
        lend()
        sys.path.insert(0, str(Path(self._path).parent))
        _loader.run_module(
            json_params=self._params,
            profile=PROFILE,
            module_fqn=name,
            modlib_path=self._path,
            extensions={},
        )
        raise AssertionError("a module ends by itself")


def run(
    enter: Callable[[], NoReturn],
    on_fork: Callable[[Process], contextlib.AbstractContextManager[None]],
) -> tuple[int, str, str]:
    """Call `enter` in a fork, inside of `on_fork`. Returns its exit code (-N: ended by signal N), output and errors.

    The fork is made before `on_fork` is entered (which may start threads), and goes on only then. It is told to end
    by SIGTERM when this process ends. Its output goes to files, so that nothing that it leaves running is waited for.
    """
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(os.fdopen(os.memfd_create(name), "rb")) for name in ("out", "err"))
        waits, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            _live(enter, out.fileno(), err.fileno(), waits, go)
        os.close(waits)
        try:
            with on_fork(Process.of(pid)):
                os.write(go, b"!")
                _, status = os.waitpid(pid, 0)
        finally:
            os.close(go)
        texts = [(file.seek(0), file.read())[1].decode(errors="surrogateescape") for file in (out, err)]
        return os.waitstatus_to_exitcode(status), texts[0], texts[1]


def _live(enter: Callable[[], NoReturn], out: int, err: int, waits: int, go: int) -> NoReturn:
    """The fork's life. It never returns, for what is above it on the stack belongs to the worker."""
    code = 1
    try:
        gc.freeze()  # what the worker had is never finalised here: its descriptors are closed, and may mean others
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.close(go)
        if not os.read(waits, 1):  # the worker is gone
            os._exit(code)
        atexit._clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for standard, fd in enumerate((null, out, err)):
            os.dup2(fd, standard)
        os.closerange(FIRST_OTHER_FD, MOST_FDS)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - they live as long as the process
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        enter()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _forget_the_controller() -> None:
    """Module code asks Ansible whether it runs on the controller, for one to print warnings instead of returning them.

    In the fork it does not, whatever the worker that it comes from had set up.
    """
    from ansible.module_utils import _internal
    from ansible.module_utils._internal import _traceback
    from ansible.module_utils.common import warnings

    _internal.is_controller = False
    _internal.import_controller_module = lambda _name, /: None
    _internal.get_controller_serialize_map = dict
    _traceback._is_traceback_enabled = _traceback._is_module_traceback_enabled
    warnings._global_warnings.clear()
    warnings._global_deprecations.clear()


class _Lending(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the parts of debfleet that modules import by Ansible's name for them: the same, not a second copy."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Those, and nothing else."""
        if fullname == LENT or fullname.startswith(f"{LENT}."):
            return importlib.machinery.ModuleSpec(fullname, self)
        return None

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """A module as ever, which is exchanged at once."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the real one into its place."""
        sys.modules[module.__name__] = importlib.import_module(OURS + module.__name__.removeprefix(LENT))


def lend() -> None:
    """Let this process import ansible.module_utils.debfleet, which is debfleet.common."""
    if not any(isinstance(finder, _Lending) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Lending())


def _ended(code: int) -> str:
    """How a module ended that has told nothing, as the end of a sentence."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit {code} and told nothing"


@contextlib.contextmanager
def _nothing(_process: Process) -> Iterator[None]:
    yield
