"""Settings as options and variables of ``serve`` and ``exec``."""

from __future__ import annotations

import re
import sys
from dataclasses import fields

import click
import pytest

from healthimaging_emulator import Settings
from healthimaging_emulator.cli.exec import exec_
from healthimaging_emulator.cli.serve import serve
from healthimaging_emulator.settings import DECLARED
from tests.cli.conftest import Address, ask, run, serving
from tests.cli.test_exec import executed
from tests.conftest import DEMO
from tests.demo import MANY, path
from tests.raw import exchange, request

PREFIX = "HEALTHIMAGING_EMULATOR_"
LISTS = {"control_hosts": "control-host", "cors_origins": "cors-origin", "quotas": "quota"}


def option_of(command: click.Command, name: str) -> click.Option:
    (option,) = (each for each in command.params if each.name == name and isinstance(each, click.Option))
    return option


@pytest.mark.newest_click
@pytest.mark.parametrize("command", [serve, exec_], ids=["serve", "exec"])
@pytest.mark.parametrize("name", DECLARED)
def test_every_setting_has_an_option_a_variable_and_help(command: click.Command, name: str) -> None:
    option, wire = option_of(command, name), LISTS.get(name, name.replace("_", "-"))
    assert option.opts == [f"--{wire}"]
    assert option.envvar == PREFIX + wire.replace("-", "_").upper()
    words = DECLARED[name].help.split()
    assert option.help == DECLARED[name].help
    assert words
    assert option.multiple == (name in LISTS)
    shown = " ".join(command.get_help(click.Context(command)).split())
    assert " ".join(words) in shown
    assert f"[env var: {option.envvar}" in shown


DEFAULTS = {each.name: each.default for each in fields(Settings)}


@pytest.mark.newest_click
@pytest.mark.parametrize("name", DECLARED)
def test_an_option_has_the_default_of_its_setting(name: str) -> None:
    option = option_of(serve, name)
    with click.Context(serve) as context:
        value = option.get_default(context)
    assert value == (None if name in LISTS else DEFAULTS[name])


def test_every_option_of_serve_has_a_variable_of_its_own() -> None:
    variables = [each.envvar for each in serve.params if isinstance(each, click.Option)]
    assert len(set(variables)) == len(variables)
    assert all(re.fullmatch(f"{PREFIX}[A-Z3_]+", str(variable)) for variable in variables)


# Values in variables.


@pytest.mark.parametrize("separator", [" ", ",", ", ", "  ,\n"])
def test_commas_and_spaces_separate_the_values_of_a_variable(separator: str) -> None:
    origins = ["http://localhost:3000", "http://localhost:4000"]
    variables = {PREFIX + "CORS_ORIGIN": separator.join(origins), PREFIX + "CONTROL_HOST": separator.join(["a", "b"])}
    with serving(**variables) as (_, banner):
        for origin in origins:
            assert get(banner, "/_emulator/faults", f"Origin: {origin}") == 200
        assert [get(banner, "/_emulator/faults", host=host) for host in "abc"] == [200, 200, 403]


def get(banner: list[str], target: str, *headers: str, host: str = "127.0.0.1") -> int:
    sent = request("GET", target, *headers).replace(b"Host: 127.0.0.1", f"Host: {host}".encode())
    return exchange(Address(banner), sent).status  # type: ignore[arg-type]


def test_an_option_is_repeated_for_several_values() -> None:
    with serving("--control-host", "a", "--control-host", "b", **{PREFIX + "CONTROL_HOST": "c"}) as (_, banner):
        assert [get(banner, "/_emulator/faults", host=host) for host in "abc"] == [200, 200, 403]


@pytest.mark.newest_click
def test_a_comma_does_not_separate_the_values_of_an_option() -> None:
    result = run("serve", "--port", "0", "--cors-origin", "http://a,http://b")
    told = "invalid value 'http://a,http://b': expected an origin such as http://localhost:3000"
    assert result.stderr.splitlines()[-1] == (
        f"Error: Invalid value for '--cors-origin' (env var: '{PREFIX}CORS_ORIGIN'): {told}"
    )


def test_several_credentials_are_given_in_a_variable() -> None:
    variables = {PREFIX + "REQUIRE_SIGNATURE": "true", PREFIX + "CREDENTIAL": "000000000000:a 111111111111:b"}
    show = 'echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"'
    assert executed("--", "sh", "-c", show, **variables).stdout == "000000000000 a\n"
    assert executed("--account", "111111111111", "--", "sh", "-c", show, **variables).stdout == "111111111111 b\n"


@pytest.mark.parametrize("level", ["info", "INFO", "Info"])
def test_the_level_of_the_log_is_written_in_any_case(level: str) -> None:
    url = "os.environ['AWS_ENDPOINT_URL_MEDICAL_IMAGING'] + '/_emulator/reset'"
    program = f"import os, urllib.request as r; r.urlopen(r.Request({url}, method='POST'))"
    command = ("--", sys.executable, "-c", program)
    by_variable = executed(*command, **{PREFIX + "LOG_LEVEL": level})
    by_option = executed("--log-level", level, *command)
    for finished in (by_variable, by_option):
        assert re.fullmatch(r"[\d:.]{12} 0{12} POST /_emulator/reset +204 [\d.]+ ms\n", finished.stderr)


@pytest.mark.parametrize(("value", "is_null"), [("true", False), ("1", False), ("false", True), ("0", True)])
def test_a_flag_is_true_or_false_in_a_variable(value: str, is_null: bool) -> None:
    with serving(**{PREFIX + "OMIT_UNSET": value}) as (_, banner):
        page = ask(banner).json
    assert ("nextToken" in page) is is_null


def test_none_switches_a_number_off() -> None:
    variables = {PREFIX + "TRANSITION_READS": "none", PREFIX + "TRANSITION_SECONDS": "None"}
    with serving("--token-lifetime", "none", **variables) as (_, banner):
        assert ask(banner, path(MANY)).json["nextToken"].count(".") == 4  # without the time when it was issued


def test_an_empty_variable_is_none() -> None:
    with serving(**{PREFIX + "PAGE_SIZE": "", PREFIX + "CORS_ORIGIN": "", PREFIX + "SEED": ""}) as (_, banner):
        assert len(ask(banner, path(MANY)).json["imageSetPropertiesList"]) == 50


@pytest.mark.newest_click
@pytest.mark.parametrize("secret", ["a\rb", "a\tb"])
@pytest.mark.parametrize("name", ["TOKEN_KEY", "CONTROL_TOKEN"])
def test_a_control_character_in_a_key_is_refused_and_not_shown(name: str, secret: str) -> None:
    finished = executed("--", "true", **{PREFIX + name: secret})
    option = f"--{name.replace('_', '-').lower()}"
    told = "invalid value: expected text without control characters"
    assert (finished.returncode, finished.stderr.splitlines()[-1]) == (
        2,
        f"Error: Invalid value for '{option}' (env var: '{PREFIX}{name}'): {told}",
    )


@pytest.mark.parametrize("value", ["abc\r", " abc\n", '"abc"', "'abc'", '"abc"\r'])
def test_what_a_file_of_variables_leaves_around_a_value_is_stripped(value: str) -> None:
    variables = {PREFIX + name: value.replace("abc", text) for name, text in PLAIN.items()}
    with serving(**variables) as (_, banner):
        with serving("--token-key", "abc") as (_, other):
            token = ask(other, f"{path(MANY)}?maxResults=7").json["nextToken"]
        page = ask(banner, f"{path(MANY)}?nextToken={token}").json["imageSetPropertiesList"]
        assert (len(page), page[0]["versionId"]) == (9, "130")


PLAIN = {"TOKEN_KEY": "abc", "PAGE_SIZE": "9", "LOG_LEVEL": "error", "REGION": "", "SEED": str(DEMO)}


def test_commas_and_spaces_separate_credentials_too() -> None:
    variables = {PREFIX + "CREDENTIAL": "AKIDA:one, AKIDB:two AKIDC:three", PREFIX + "REQUIRE_SIGNATURE": "1"}
    program = "import os; print(os.environ['AWS_ACCESS_KEY_ID'])"
    assert executed("--", sys.executable, "-c", program, **variables).stdout == "AKIDA\n"
    assert executed("--account", "111111111111", "--", "true", **variables).returncode == 2
    refused = executed("--", "true", **variables | {PREFIX + "CREDENTIAL": "AKIDA:one,two"})
    assert "invalid credential: expected ACCESS_KEY:SECRET" in refused.stderr


# Unknown variables.


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PROT", "PORT"),
        ("PAGESIZE", "PAGE_SIZE"),
        ("CONTROL_HOSTS", "CONTROL_HOST"),
        ("TLS_KEYS", "TLS_KEY"),
        ("page_size", None),
        ("XYZ", None),
        ("", None),
    ],
)
def test_a_variable_that_no_option_has_is_warned_of_with_the_nearest_name(name: str, nearest: str | None) -> None:
    finished = executed("--", "echo", "run", **{PREFIX + name: "1"})
    hint = f" (did you mean {PREFIX}{nearest}?)" if nearest else ""
    assert finished.stderr == f"warning: no option has the variable {PREFIX}{name}{hint}\n"
    assert (finished.returncode, finished.stdout) == (0, "run\n")


def test_variables_of_another_command_are_known() -> None:
    variables = dict.fromkeys(["HOST", "PORT", "TLS_CERT", "TLS_KEY", "TLS_SELF_SIGNED"], "1")
    finished = executed("--", "true", **{PREFIX + name: value for name, value in variables.items()})
    assert (finished.returncode, finished.stderr) == (0, "")


def test_variables_of_kubernetes_are_known() -> None:
    """Kubernetes sets these beside a service that is called healthimaging-emulator."""
    url = "tcp://10.0.0.1:4580"
    variables = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "4580",
        "SERVICE_PORT_HTTP": "4580",
        "PORT": url,
        "PORT_4580_TCP": url,
        "PORT_4580_TCP_PROTO": "tcp",
        "PORT_4580_TCP_PORT": "4580",
        "PORT_4580_TCP_ADDR": "10.0.0.1",
    }
    finished = executed("--", "true", **{PREFIX + name: value for name, value in variables.items()})
    assert (finished.returncode, finished.stderr) == (0, "")


def test_variables_of_the_shells_completion_are_known() -> None:
    assert executed("--", "true", _HEALTHIMAGING_EMULATOR_COMPLETE="").stderr == ""


def test_serve_warns_of_unknown_variables_too() -> None:
    with serving("--log-level", "error", **{PREFIX + "PROT": "4600"}) as (process, _):
        assert process.stderr
        assert process.stderr.readline() == (
            f"warning: no option has the variable {PREFIX}PROT (did you mean {PREFIX}PORT?)\n"
        )


def test_commands_that_make_no_emulator_read_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PAGE_SIZE", "0")
    assert run("seed", "schema").exit_code == 0


@pytest.mark.parametrize("command", ["serve", "exec"])
def test_the_help_shows_the_options_in_groups(command: str) -> None:
    lines = run(command, "--help").stdout.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    tls = ["TLS:"] if command == "serve" else []
    assert titles == ["Options:", "The answers of the service:", "Access:", *tls, "Limits:"]
    options = {line.split()[0] for line in lines if line.startswith("  --")}
    shown = {each.opts[0] for each in COMMANDS[command].params if isinstance(each, click.Option)}
    assert shown <= options | {"-h"}
    assert lines.index("Limits:") < next(number for number, line in enumerate(lines) if "--max-calls" in line)


COMMANDS = {"serve": serve, "exec": exec_}
