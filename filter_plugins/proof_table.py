# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of an image for a reader: each boot, and what was seen in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = """
name: proof_table
short_description: A proof, a line for each thing looked at
description: Turns the proof that C(image_proof) returns into lines, one for each boot and one for each check in it.
options:
  _input:
    description: The proof.
    type: dict
    required: true
author: debfleet (@debfleet)
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ image_proof.proof | proof_table }}"
"""

RETURN = """
_value:
  description: The lines.
  type: list
  elements: str
"""

LOGGED_IN = {
    "cloud-init": "over SSH as a user made by cloud-init",
    "ssh": "over SSH as root, by a systemd credential",
    "console": "at the serial console, by a systemd credential",
}


def proof_table(proof: Mapping[str, Any]) -> list[str]:
    """A head line for each boot, and below it name and finding of each check."""
    lines = [f"{proof['file']}  sha256 {proof['sha256'][:16]}…"]
    for boot in proof["boots"]:
        how = LOGGED_IN[boot["access"]]
        lines.append(
            f"booted by {boot['firmware']} on {boot['accelerator']} in {boot['seconds']:.0f} s, logged in {how}"
        )
        lines.append("  " + " · ".join(f"{stage} {seconds:.0f} s" for stage, seconds in boot["reached"].items()))
        width = max(len(check["name"]) for check in boot["checks"])
        lines += [
            f"  {'✓' if check['ok'] else '✗'} {check['name']:{width}}  {check['seen']}" for check in boot["checks"]
        ]
    reasons = dict.fromkeys(boot["reason"] for boot in proof["boots"])
    return [*lines, *(f"why {proof['accelerator']}: {reason}" for reason in reasons)]


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function."""
        return {"proof_table": proof_table}
