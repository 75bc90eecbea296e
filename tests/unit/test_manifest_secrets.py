# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: from wherever they come, hashed before anything stores them, in no message, no notice, no JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check, check_data, check_yaml, error_at, good

from debfleet.cli import main
from debfleet.common.journal import MASK
from debfleet.common.manifest import Checked

PASSWORD = "planted-Xyzzy-42"
HEAD = "name: x\nprovider: {name: kvm}\nvolume: {partitions: {root: {size: 2GiB}}}\n"


def with_root(**settings: Any) -> dict[str, Any]:
    return good(plugins={"root_password": settings})


def right(crypted: str, password: str = PASSWORD) -> bool:
    _, method, salt, _ = crypted.split("$")
    argv = ["openssl", "passwd", f"-{method}", "-salt", salt, "-stdin"]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout.strip() == crypted


def everything(checked: Checked) -> str:
    """All that a caller could print or store, besides the strings that are there to be masked."""
    manifest = checked.manifest.canonical_json() if checked.manifest else ""
    return (
        repr(checked) + json.dumps(checked.to_dict()) + "".join(map(str, checked.errors + checked.notices)) + manifest
    )


def test_a_password_is_hashed_and_only_its_hash_remains(tmp_path: Path) -> None:
    checked = check_data(tmp_path, with_root(password=PASSWORD))
    settings = accepted(checked)["plugins"]["root_password"]
    assert list(settings) == ["password-crypted"] and right(settings["password-crypted"])
    assert PASSWORD in checked.secrets and settings["password-crypted"] in checked.secrets
    assert PASSWORD not in everything(checked)


def test_a_password_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{PASSWORD}\nsecond line\n")
    checked = check_data(tmp_path, with_root(password_file="pw"))
    assert right(accepted(checked)["plugins"]["root_password"]["password-crypted"])
    assert PASSWORD in checked.secrets and PASSWORD not in everything(checked)


def test_a_password_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PW", PASSWORD)
    checked = check_data(tmp_path, with_root(password_env="IMAGE_PW"))
    assert right(accepted(checked)["plugins"]["root_password"]["password-crypted"])
    assert PASSWORD not in everything(checked)
    monkeypatch.delenv("IMAGE_PW")
    error = error_at(check_data(tmp_path, with_root(password_env="IMAGE_PW")), "plugins.root_password.password_env")
    assert "IMAGE_PW" in error.message


def test_a_hash_is_taken_as_it_is(tmp_path: Path) -> None:
    crypted = "$6$saltsaltsalt$" + "a" * 86
    checked = check_data(tmp_path, with_root(**{"password-crypted": crypted}))
    assert accepted(checked)["plugins"]["root_password"] == {"password-crypted": crypted}
    assert crypted in checked.secrets


@pytest.mark.parametrize("crypted", ["plain-word-here", "$6$x:y$" + "a" * 20, "$6$a\n$" + "b" * 20, "", "!"])
def test_what_is_no_hash_is_refused_and_not_shown(tmp_path: Path, crypted: str) -> None:
    checked = check_data(tmp_path, with_root(**{"password-crypted": crypted}))
    assert error_at(checked, "plugins.root_password.password-crypted").value in (MASK, None)
    assert not crypted or len(crypted) < 4 or crypted not in everything(checked)


def test_a_vault_value_is_opened_by_the_caller(tmp_path: Path) -> None:
    text = HEAD + "plugins:\n  root_password:\n    password: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n"
    seen: list[str] = []

    def decrypt(sealed: str) -> str:
        seen.append(sealed)
        return PASSWORD

    checked = check_yaml(tmp_path, text, decrypt=decrypt)
    assert seen == ["$ANSIBLE_VAULT;1.1;AES256\n6162\n"]
    assert right(accepted(checked)["plugins"]["root_password"]["password-crypted"])
    assert PASSWORD in checked.secrets and PASSWORD not in everything(checked)


def test_a_vault_value_is_not_checked_at_the_prompt(tmp_path: Path) -> None:
    checked = check_yaml(tmp_path, HEAD + "plugins: {root_password: {password: !vault x}}\n")
    assert accepted(checked)["plugins"]["root_password"] == {"password-crypted": MASK}
    assert [notice.path for notice in checked.notices] == ["plugins.root_password.password"]


def test_any_value_may_be_in_a_vault_and_is_a_secret_then(tmp_path: Path) -> None:
    text = HEAD + "system: {hostname: !vault x, timezone: !vault x}\n"
    checked = check_yaml(tmp_path, text, decrypt=lambda _: PASSWORD)
    assert error_at(checked, "system.timezone").value == MASK
    assert PASSWORD in checked.secrets and PASSWORD not in everything(checked)
    accepted(check_yaml(tmp_path, text))


def test_a_whole_file_may_be_sealed(tmp_path: Path) -> None:
    path = tmp_path / "sealed.yml"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert accepted(check(path, decrypt=lambda _: HEAD))["name"] == "x"
    assert "sealed by ansible-vault" in check(path).errors[0].message

    def locked(_: str) -> str:
        raise RuntimeError("no vault secrets were found that could decrypt")

    assert "no vault secrets" in check(path, decrypt=locked).errors[0].hint


def test_a_vault_that_does_not_open_is_an_error(tmp_path: Path) -> None:
    def locked(_: str) -> str:
        raise RuntimeError("wrong password")

    error = check_yaml(tmp_path, HEAD + "plugins: {root_password: {password: !vault x}}\n", decrypt=locked).errors[0]
    assert (error.path, error.line, error.hint) == ("plugins.root_password.password", 4, "wrong password")


@pytest.mark.parametrize(
    "settings",
    [
        {"password": PASSWORD, "password-crypted": "$6$saltsalt$" + "a" * 86},
        {"password": PASSWORD, "password_env": "HOME"},
        {"password": PASSWORD, "password_file": "pw"},
    ],
)
def test_two_passwords_at_once_are_an_error(tmp_path: Path, settings: dict[str, str]) -> None:
    (tmp_path / "pw").write_text(PASSWORD)
    for plugins in ({"root_password": settings}, {"admin_user": settings}):
        checked = check_data(tmp_path, good(plugins=plugins))
        assert [("two ways" in error.message) for error in checked.errors] == [True]
        assert PASSWORD not in everything(checked)


def test_a_missing_password_is_an_error(tmp_path: Path) -> None:
    error = error_at(check_data(tmp_path, with_root()), "plugins.root_password.password")
    assert error.allowed == ["password", "password_file", "password_env", "password-crypted"]


@pytest.mark.parametrize(
    "plugins",
    [
        {"root_password": PASSWORD},
        {"root_password": [PASSWORD]},
        {"root_password": {"passwort": PASSWORD}},
        {"root_password": {"password": [PASSWORD]}},
        {"root_password": {"password": {"x": PASSWORD}}},
        {"root_password": {"password": PASSWORD + "\n"}},
        {"root_password": {"password": PASSWORD + "\u0007"}},
        {"root_password": {"password": PASSWORD * 40}},
        {"rot_password": {"password": PASSWORD}},
        {"admin_user": {"username": "a b", "pasword": PASSWORD}},
        {"admin_user": {"nested": {"password": PASSWORD}}},
        {"admin_user": {"password": PASSWORD, "username": PASSWORD}},
        {"apt_proxy": {"address": "a.example", "port": "x", "username": "u", "password": PASSWORD}},
        {"unknown": {"token": PASSWORD}},
        {"admin_user": {"password": PASSWORD, "password_file": "nothing"}},
    ],
)
def test_no_error_shows_a_password(tmp_path: Path, plugins: dict[str, Any]) -> None:
    checked = check_data(tmp_path, good(plugins=plugins))
    assert checked.errors
    assert PASSWORD not in everything(checked)


def test_numbers_as_passwords_are_refused_without_being_shown(tmp_path: Path) -> None:
    checked = check_data(tmp_path, with_root(password=31337421))
    assert error_at(checked, "plugins.root_password.password").hint == "write it in quotes"
    assert "31337421" not in everything(checked)


def test_passwords_in_addresses_are_refused_and_masked(tmp_path: Path) -> None:
    address = f"http://user:{PASSWORD}@mirror.example/debian"
    sources = {"x": [f"deb {address} trixie main"]}
    checked = check_data(tmp_path, good(packages={"mirror": address, "sources": sources}))
    assert {error.path for error in checked.errors} == {"packages.mirror", "packages.sources.x[0]"}
    assert PASSWORD not in everything(checked)


def test_top_level_credentials_are_secret(tmp_path: Path) -> None:
    data = good(
        provider={"name": "ec2", "description": "x"}, credentials={"access-key": "A" * 20, "secret-key": PASSWORD},
        volume={"backing": "ebs", "partitions": {"root": {"size": "8GiB"}}},
    )  # fmt: skip
    checked = check_data(tmp_path, data)
    assert accepted(checked)["provider"]["credentials"]["secret-key"] == MASK
    assert checked.plain == {"provider.credentials.secret-key": PASSWORD}
    assert PASSWORD not in everything(checked)


def test_a_reproducible_build_has_the_same_hash_each_time(tmp_path: Path) -> None:
    data = with_root(password=PASSWORD)
    assert accepted(check_data(tmp_path, data)) != accepted(check_data(tmp_path, data))
    data["reproducible"] = True
    assert accepted(check_data(tmp_path, data)) == accepted(check_data(tmp_path, data))


@pytest.mark.parametrize("verb", [["check", "--json"], ["check"], ["plan"], ["plan", "--json"]])
def test_the_prompt_shows_no_password(tmp_path: Path, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.json"
    for settings in ({"password": PASSWORD}, {"password": PASSWORD, "password_env": "NO_SUCH", "passwrd": PASSWORD}):
        path.write_text(json.dumps(with_root(**settings)))
        main(["manifest", *verb, str(path)])
        said = capsys.readouterr()
        assert said.out and PASSWORD not in said.out + said.err and "$6$" not in said.out + said.err
