# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers and plugins are roles: found in folders, with schemas, ordered by what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check_data, error_at, good

from debfleet.common.manifest import roles
from debfleet.common.manifest.plan import plan
from debfleet.common.phases import PHASES

SCHEMA = {"type": "object", "required": ["text"], "additionalProperties": False}
SCHEMA |= {
    "properties": {"text": {"type": "string"}, "owner": {"$ref": "manifest.json#/$defs/username", "default": "me"}}
}


def role(
    folder: Path,
    name: str,
    phases: str = "",
    joins: tuple[str, ...] = ("system_modification",),
    schema: Any = None,
) -> Path:
    """Drop a role into a folder."""
    home = folder / name
    (home / "tasks").mkdir(parents=True)
    (home / "meta").mkdir()
    for phase in joins:
        (home / "tasks" / f"{phase}.yml").write_text(f"---\n- name: Do what {name} does\n  image_change: {{}}\n")
    if phases:
        (home / "meta/phases.yml").write_text(phases)
    if schema is not None:
        (home / "meta/schema.json").write_text(json.dumps(schema))
    return home


def test_dropping_a_role_into_a_folder_adds_a_plugin(tmp_path: Path) -> None:
    after = "system_modification: {after: [plugin_cloud_init, plugin_ntp], before: [plugin_commands]}\n"
    home = role(tmp_path / "mine", "plugin_motd", after, schema=SCHEMA)
    plugins = {"motd": {"text": "hello"}, "commands": {"commands": [["ls"]]}, "cloud_init": {}}
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins=plugins))
    assert accepted(checked)["plugins"]["motd"] == {"text": "hello", "owner": "me"}
    assert checked.roles["plugin_motd"] == home and not checked.not_built
    order = list(checked.phases["system_modification"])
    assert order.index("plugin_cloud_init") < order.index("plugin_motd") < order.index("plugin_commands")
    assert order[0] == "image"
    names = [task.name for task in plan(checked).phases["system_modification"]]
    assert "Do what plugin_motd does" in names


def test_its_schema_is_merged(tmp_path: Path) -> None:
    role(tmp_path / "mine", "plugin_motd", schema=SCHEMA)
    plugins = {"motd": {"txet": "x", "owner": "Not a user"}}
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins=plugins))
    assert {(e.path, e.hint) for e in checked.errors} >= {("plugins.motd.txet", "did you mean text?")}
    assert {e.path for e in checked.errors} == {"plugins.motd.txet", "plugins.motd.text", "plugins.motd.owner"}


def test_a_provider_from_outside_narrows_the_manifest(tmp_path: Path) -> None:
    fragment = {"properties": {"volume": {"properties": {"backing": {"enum": ["raw"], "default": "raw"}}}}}
    schema = {"type": "object", "properties": {"zone": {"type": "string"}}, "$defs": {"manifest": fragment}}
    role(tmp_path / "mine", "provider_cellar", schema=schema)
    volume: dict[str, Any] = {"partitions": {"root": {"size": "2GiB"}}}
    data = good(provider={"name": "cellar", "zone": "a"}, plugin_paths=["mine"], volume=volume)
    got = accepted(check_data(tmp_path, data))
    assert got["volume"]["backing"] == "raw" and got["provider"] == {"name": "cellar", "zone": "a"}
    volume["backing"] = "qcow2"
    assert error_at(check_data(tmp_path, data), "volume.backing").allowed == ["raw"]
    data["provider"]["zoen"] = "a"
    assert any(e.path == "provider.zoen" for e in check_data(tmp_path, data).errors)


def test_a_role_can_narrow_an_enum_and_not_widen_it(tmp_path: Path) -> None:
    fragment = {"properties": {"system": {"properties": {"bootloader": {"enum": ["grub", "lilo"]}}}}}
    role(tmp_path / "mine", "plugin_old", schema={"type": "object", "$defs": {"manifest": fragment}})
    data = good(plugin_paths=["mine"], plugins={"old": {}}, system={"bootloader": "lilo"})
    assert error_at(check_data(tmp_path, data), "system.bootloader").allowed == ["grub"]


def test_a_secret_of_its_own_is_hashed(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["pin"], "additionalProperties": False}
    schema |= {"properties": {"pin": {"type": "string", "x-secret": "hash"}}}
    role(tmp_path / "mine", "plugin_lock", schema=schema)
    data = good(plugin_paths=["mine"], plugins={"lock": {"pin": "correct horse"}})
    assert list(accepted(check_data(tmp_path, data))["plugins"]["lock"]) == ["pin-crypted"]
    data["plugins"]["lock"] = {}
    assert "is missing" in error_at(check_data(tmp_path, data), "plugins.lock.pin").message


def test_a_role_without_a_schema_has_no_settings(tmp_path: Path) -> None:
    role(tmp_path / "mine", "plugin_plain")
    accepted(check_data(tmp_path, good(plugin_paths=["mine"], plugins={"plain": {}})))
    assert check_data(tmp_path, good(plugin_paths=["mine"], plugins={"plain": {"x": 1}})).errors


def test_a_schema_that_does_not_speak_of_other_keys_takes_none(tmp_path: Path) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    either = [{"properties": {"x": {"type": "string"}}}, {"properties": {"y": {"type": "string"}}}]
    role(tmp_path / "mine", "plugin_open", schema={"properties": {"in": inner, "free": {"type": "object"}}})
    role(tmp_path / "mine", "plugin_both", schema={"properties": {"a": {"type": "string"}}, "allOf": either})
    plugins: dict[str, Any] = {"open": {"in": {"a": "x"}, "free": {"any": 1}}, "both": {"a": "1", "x": "2", "y": "3"}}
    data = good(plugin_paths=["mine"], plugins=plugins)
    accepted(check_data(tmp_path, data))
    plugins["open"] = {"in": {"b": "x"}, "other": 1}
    plugins["both"]["z"] = "4"
    found = {error.path for error in check_data(tmp_path, data).errors}
    assert found == {"plugins.open.in.b", "plugins.open.other", "plugins.both.z"}


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, [], {"properties": {"x": {"$ref": "#/$defs/none"}}}])
def test_a_broken_schema_is_told(tmp_path: Path, schema: Any) -> None:
    home = role(tmp_path / "mine", "plugin_odd", schema=schema)
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins={"odd": {}}))
    assert checked.manifest is None
    assert any(str(home) in error.text() or "refers to" in error.text() for error in checked.errors)


def test_a_role_of_the_manifest_s_folder_goes_before_debfleet_s_own(tmp_path: Path) -> None:
    home = role(tmp_path / "mine", "plugin_commands", schema={"type": "object", "additionalProperties": False})
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins={"commands": {}}))
    accepted(checked)
    assert checked.roles["plugin_commands"] == home


def test_two_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    role(tmp_path / "mine", "plugin_hen", "system_modification: {after: [plugin_egg]}\n")
    role(tmp_path / "mine", "plugin_egg", "system_modification: {after: [plugin_hen]}\n")
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins={"hen": {}, "egg": {}}))
    (error,) = checked.errors
    assert "plugin_hen" in error.message and "plugin_egg" in error.message and "->" in error.message
    assert error.file.endswith("meta/phases.yml")
    accepted(check_data(tmp_path, good(plugin_paths=["mine"], plugins={"hen": {}})))


def test_everything_wrong_in_phases_is_told_at_once(tmp_path: Path) -> None:
    wrong = """\
system_modificaton: {after: [image]}
volume_creation: {after: [image]}
system_modification: {after: [plugin_cluod_init], before: [plugin_ntp]}
package_installation: {behind: [image]}
"""
    role(tmp_path / "mine", "plugin_a", wrong, ("system_modification", "package_installation"))
    role(tmp_path / "mine", "plugin_b", "system_modification: [image]\n")
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins={"a": {}, "b": {}}))
    said = {error.message: error.hint for error in checked.errors}
    assert said["plugin_a: there is no phase system_modificaton"] == "did you mean system_modification?"
    assert "plugin_a: there is no tasks/volume_creation.yml" in said
    assert said["plugin_a: system_modification: after: there is no role plugin_cluod_init"]
    assert "plugin_a: unknown word behind; allowed are after and before" in said
    assert "plugin_b: a phase has after and before" in said
    assert len(said) == 5


def test_phase_plan_lists_all_eleven(tmp_path: Path) -> None:
    home = role(tmp_path, "plugin_a", joins=("cleaning",))
    got = roles.phase_plan({"plugin_a": home}, ())
    assert list(got) == list(PHASES) and got["cleaning"] == ["plugin_a"] and got["preparation"] == []


def test_phases_yml_may_be_broken(tmp_path: Path) -> None:
    for text in ("a: [", "- a\n", "a: &x [*x]\n"):
        home = role(tmp_path / str(hash(text)), "plugin_a", text)
        with pytest.raises(roles.PhasesError) as caught:
            roles.phase_plan({"plugin_a": home})
        assert caught.value.problems[0].file == str(home / "meta/phases.yml")


def test_debfleet_s_own_roles_are_in_order(repo: Path) -> None:
    there = roles.available([repo / "roles"])
    got = roles.phase_plan(there, {path.stem for path in repo.glob("schemas/p*/*.json")})
    assert got["system_modification"][-1] == "plugin_commands"
    for name, folder in there.items():
        assert roles.joins(folder), name
        if name != "image":
            assert (folder / "meta/schema.json").is_file(), name


def test_a_task_file_with_a_misspelt_phase_is_named_and_an_included_one_is_not(tmp_path: Path) -> None:
    home = role(tmp_path / "mine", "plugin_motd", joins=("system_modificatoin", "look"), schema={"type": "object"})
    checked = check_data(tmp_path, good(plugin_paths=["mine"], plugins={"motd": {}}))
    (problem,) = checked.errors
    assert problem.message == "plugin_motd: system_modificatoin is no phase"
    assert problem.hint == "did you mean system_modification?"
    assert problem.file == str(home / "tasks/system_modificatoin.yml")
