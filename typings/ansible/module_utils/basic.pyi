# SPDX-License-Identifier: GPL-3.0-or-later
# What our modules use of Ansible, so that their calls into module_utils/debfleet are checked too.
from collections.abc import Sequence
from typing import Any, NoReturn

class AnsibleModule:
    params: dict[str, Any]
    check_mode: bool
    no_log_values: set[str]
    tmpdir: str
    _diff: bool

    def __init__(
        self,
        argument_spec: dict[str, dict[str, Any]],
        bypass_checks: bool = ...,
        no_log: bool = ...,
        mutually_exclusive: Sequence[Sequence[str]] | None = ...,
        required_together: Sequence[Sequence[str]] | None = ...,
        required_one_of: Sequence[Sequence[str]] | None = ...,
        add_file_common_args: bool = ...,
        supports_check_mode: bool = ...,
        required_if: Sequence[Any] | None = ...,
        required_by: dict[str, Any] | None = ...,
    ) -> None: ...
    def exit_json(self, **result: Any) -> NoReturn: ...
    def fail_json(self, msg: str, *, exception: BaseException | str | None = ..., **result: Any) -> NoReturn: ...
    def warn(self, warning: str) -> None: ...
    def debug(self, msg: str) -> None: ...
    def log(self, msg: str, log_args: dict[str, str] | None = ...) -> None: ...

def missing_required_lib(library: str, reason: str | None = ..., url: str | None = ...) -> str: ...
