"""``serve``, as a program; and rules for every command."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import click
import pytest

from healthimaging_emulator.cli import main
from healthimaging_emulator.cli.serve import serve
from healthimaging_emulator.server.listener import Server
from tests.cli.conftest import Address, ask, run, serving
from tests.conftest import DEMO, ROOT
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import HANG_SECONDS, Client, request


def test_the_banner_has_the_url_the_seed_and_examples() -> None:
    with serving("--seed", str(DEMO)) as (_, banner):
        address = Address(banner)
        text = "".join(banner)
    endpoint = f"http://emulator@127.0.0.1:{address.port}"
    assert f"is ready at http://127.0.0.1:{address.port}\n" in text
    assert f"with 2 data stores, 28 image sets, 277 versions from {DEMO}\n" in text
    assert f'boto3.client("medical-imaging", endpoint_url="{endpoint}")' in text
    assert f"aws medical-imaging list-image-set-versions --endpoint-url {endpoint}" in text
    assert f"--datastore-id {DATASTORE} --image-set-id {SAMPLE}" in text
    assert f'endpoint: "http://127.0.0.1:{address.port}", disableHostPrefix: true' in text


def test_serve_without_a_seed_serves_the_demo() -> None:
    with serving() as (_, banner):
        assert len(ask(banner, path(MANY)).json["imageSetPropertiesList"]) == 50


def test_settings_are_options_and_variables(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_bytes(DEMO.read_bytes())
    environment = {"SEED": str(seed), "PAGE_SIZE": "7", "TOKEN_KEY": "k", "TOKEN_LIFETIME": "60", "LOG_LEVEL": "error"}
    with serving(**{f"HEALTHIMAGING_EMULATOR_{name}": value for name, value in environment.items()}) as (
        _,
        by_variable,
    ):
        page = ask(by_variable, path(MANY)).json
    assert len(page["imageSetPropertiesList"]) == 7
    assert page["nextToken"].count(".") == 5  # with the time when it was issued
    options = ["--seed", str(seed), "--page-size", "9", "--token-key", "k", "--token-lifetime", "60"]
    with serving(*options, HEALTHIMAGING_EMULATOR_PAGE_SIZE="7") as (_, by_option):
        following = ask(by_option, f"{path(MANY)}?nextToken={page['nextToken']}").json
    assert [len(following["imageSetPropertiesList"]), following["imageSetPropertiesList"][0]["versionId"]] == [9, "130"]


@pytest.mark.parametrize("has_seed", [False, True])
def test_the_demo_has_a_bucket_and_outputs_are_written_to_the_present_folder(tmp_path: Path, has_seed: bool) -> None:
    options = ["--seed", str(DEMO)] if has_seed else []
    with serving(*options, "--transition-seconds", "none", cwd=str(tmp_path)) as (_, banner):
        url = f"http://emulator@127.0.0.1:{Address(banner).port}"
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        client = boto3.client("medical-imaging", endpoint_url=url, **keys)
        started = client.start_dicom_import_job(
            datastoreId=DATASTORE,
            dataAccessRoleArn="arn:aws:iam::123456789012:role/any",
            inputS3Uri="s3://demo/",
            outputS3Uri="s3://results/",
        )
        job = {"datastoreId": DATASTORE, "jobId": started["jobId"]}
        statuses = [client.get_dicom_import_job(**job)["jobProperties"]["jobStatus"] for _ in range(3)]
    assert statuses == ["SUBMITTED", "IN_PROGRESS", "FAILED" if has_seed else "COMPLETED"]
    written = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert written == ([] if has_seed else ["failure.ndjson", "job-output-manifest.json", "success.ndjson"])


def test_faults_and_a_control_token(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("[{times: 1, error: {code: ThrottlingException}}]")
    with serving("--faults", str(faults), "--control-token", "sesame") as (_, banner):
        assert [ask(banner).status for _ in range(2)] == [429, 200]
        assert ask(banner, "/_emulator/reset").status == 403
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            client.send(request("POST", "/_emulator/reset", "x-emulator-token: sesame"))
            assert client.receive().status == 204
        assert ask(banner).status == 429


def test_a_mistake_in_the_faults_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"error": {"code": "Nonsense"}}]')
    result = run("serve", "--port", "0", "--faults", str(faults))
    modelled = (
        "ThrottlingException, AccessDeniedException, ValidationException, InternalServerException, ConflictException, "
        "ResourceNotFoundException"
    )
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {faults}: $[0].error: can never do anything: ListImageSetVersions does not model Nonsense, so it "
        f"needs a status; it models {modelled}\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_whatever_connections_are_open(number: signal.Signals) -> None:
    with serving() as (process, banner), Client(Address(banner)) as idle, Client(Address(banner)) as begun:  # type: ignore[arg-type]
        begun.send(b"POST / HT")
        assert ask(banner).status == 200
        process.send_signal(number)
        assert process.wait(HANG_SECONDS) == 0
        assert idle.is_closed()
        assert process.stderr
        line = r"[\d:.]{12} 0{12} ListImageSetVersions 1234..9012/ea92..f87e page 1 +200 [\d.]+ ms\n"
        assert re.fullmatch(line, process.stderr.read())


def test_two_signals_at_once_stop_it() -> None:
    for _ in range(10):
        with serving() as (process, _):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG_SECONDS) == 0


def test_a_signal_while_seeds_load_ends_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "seed.json")  # to which nobody ever writes
    command = [
        sys.executable,
        "-m",
        "healthimaging_emulator",
        "serve",
        "--port",
        "0",
        "--seed",
        str(tmp_path / "seed.json"),
    ]
    # The pipe opens when its reader does, so the seed is being read by then.
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / "seed.json").open("wb"),
    ):
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 1
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_log_that_nobody_reads_blocks_no_request_and_no_stop() -> None:
    with serving() as (process, banner):
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            for _ in range(3000):  # at 100 bytes a line, far more than a pipe holds
                client.send(request("GET", "/" + "x" * 80))
                assert client.receive().status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0


def test_a_port_that_kubernetes_set_is_the_default() -> None:
    option = next(option for option in serve.params if option.name == "port")
    assert option.type.convert("tcp://10.0.0.1:80", None, None) == 4580
    assert option.type.convert("81", None, None) == 81


def test_the_log_can_be_silenced() -> None:
    with serving("--log-level", "warning") as (process, banner):
        ask(banner)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_busy_port_is_one_line(demo_server: Server) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    result = run("serve", "--port", str(demo_server.port))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert result.exit_code == 1
    reason = "the port is in use; choose another with --port or HEALTHIMAGING_EMULATOR_PORT"
    assert result.stderr == f"Error: cannot listen on 127.0.0.1 port {demo_server.port}: {reason}\n"


def test_an_address_of_another_machine_is_one_line() -> None:
    result = run("serve", "--host", "192.0.2.1", "--port", "0")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: cannot listen on 192.0.2.1 port 0: ")


def test_a_bad_seed_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"datastores": [{"datastoreId": "x"}, {"datastoreId": "y"}]}')
    result = run("serve", "--port", "0", "--seed", str(seed))
    mistake = f"{seed}: $.datastores[0].datastoreId: Expected `str` matching regex '[0-9a-z]{{32}}'"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {mistake}\n")


def test_a_signature_can_be_required(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"Version": 1, "AccessKeyId": "AKIDOTHER", "SecretAccessKey": "other"}')
    (tmp_path / "two.yaml").write_text("[{AccessKeyId: ASIAEXAMPLE, SecretAccessKey: s, SessionToken: t}]")
    options = ("--require-signature", "--credential", "AKIDEXAMPLE:a:secret", "--credentials", str(tmp_path))
    with serving(*options) as (_, banner):
        assert "export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=...\n" in "".join(banner)
        assert ask(banner).json == {"message": "Missing Authentication Token"}
        url = f"http://emulator@127.0.0.1:{Address(banner).port}"
        for key in (("AKIDEXAMPLE", "a:secret", None), ("AKIDOTHER", "other", None), ("ASIAEXAMPLE", "s", "t")):
            client = boto3.client("medical-imaging", "us-east-1", None, None, None, url, *key)
            assert client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)


def test_the_banner_has_the_variables_that_a_client_needs_to_sign(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text('{"AccessKeyId": "ASIA", "SecretAccessKey": "secret", "SessionToken": "t"}')
    options = ("--require-signature", "--credentials", str(tmp_path / "session.json"), "--region", "eu-west-1")
    with serving(*options) as (_, banner):
        exports = [line.split("export ")[1].strip() for line in banner if "export " in line]
    assert exports == [
        "AWS_ACCESS_KEY_ID=ASIA AWS_SECRET_ACCESS_KEY=...",
        "AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1",
        "AWS_SESSION_TOKEN=...",
    ]


def test_faults_come_from_all_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('[{"times": 1, "error": {"code": "ThrottlingException"}}]')
    with serving("--faults", str(tmp_path)) as (_, banner):
        assert [ask(banner).status for _ in range(3)] == [429, 429, 200]


def invalid(option: str, mistake: str) -> str:
    variable = "HEALTHIMAGING_EMULATOR_" + option.replace("-", "_").upper()
    return f"Invalid value for '--{option}' (env var: '{variable}'): {mistake}"


NO_CREDENTIAL = invalid("credential", "invalid credential: expected ACCESS_KEY:SECRET")
A_HOST = "the name or the address of a host, without a port"
A_LIFETIME = "a number of seconds above 0"
ONE_WAY_OF_TLS = "give --tls-cert and --tls-key, or --tls-self-signed"
SIGNED = "--require-signature"


@pytest.mark.newest_click
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((SIGNED,), 2, "--require-signature needs a --credential, or --credentials with at least one"),
        (("--credential", "AKIDEXAMPLE:secret"), 2, "credentials are only used with --require-signature"),
        ((SIGNED, "--credential", "secretsecret"), 2, NO_CREDENTIAL),
        ((SIGNED, "--credential", "AKIDEXAMPLE:"), 2, NO_CREDENTIAL),
        ((SIGNED, "--credential", "a b:secretsecret"), 2, NO_CREDENTIAL),
        ((SIGNED, "--credential", "a:é"), 2, NO_CREDENTIAL),
        ((SIGNED, "--credentials", "nowhere.json"), 2, "nowhere.json: No such file or directory"),
        (
            (SIGNED, "--credential", "a:b", "--credential", "a:c"),
            2,
            "invalid credentials: an access key is given twice",
        ),
        (
            ("--region", "us-east-1"),
            2,
            "region needs credentials: it is compared with the region that a request is signed for",
        ),
        (
            (SIGNED, "--credential", "a:b", "--region", "US"),
            2,
            invalid("region", "invalid value 'US': expected a region such as us-east-1"),
        ),
        (
            ("--host", ""),
            2,
            "Invalid value for --host: invalid host '': expected a name or an address; 0.0.0.0 is every one",
        ),
        (
            ("--host", "\udcff"),
            2,
            "Invalid value for --host: encoding with 'idna' codec failed (UnicodeError: Invalid character '\\udcff')",
        ),
        (("--port", "65536"), 2, invalid("port", "65536 is not in the range 0<=x<=65535.")),
        (("--control-host", "*"), 2, invalid("control-host", f"invalid value '*': expected {A_HOST}")),
        (("--control-host", "a:4580"), 2, invalid("control-host", f"invalid value 'a:4580': expected {A_HOST}")),
        (
            ("--cors-origin", "localhost"),
            2,
            invalid("cors-origin", "invalid value 'localhost': expected an origin such as http://localhost:3000"),
        ),
        (("--page-size", "51"), 2, invalid("page-size", "invalid value '51': expected a whole number from 1 to 50")),
        (("--page-size", "0"), 2, invalid("page-size", "invalid value '0': expected a whole number from 1 to 50")),
        (("--page-size", "1.5"), 2, invalid("page-size", "invalid value '1.5': expected a whole number from 1 to 50")),
        (("--token-lifetime", "0"), 2, invalid("token-lifetime", f"invalid value '0': expected {A_LIFETIME}")),
        (("--token-lifetime", "nan"), 2, invalid("token-lifetime", f"invalid value 'nan': expected {A_LIFETIME}")),
        (("--max-accounts", "0"), 2, invalid("max-accounts", "invalid value '0': expected a whole number from 1")),
        (
            ("--max-accounts", "none"),
            2,
            invalid("max-accounts", "invalid value 'none': expected a whole number from 1"),
        ),
        (("--log-level", "x"), 2, invalid("log-level", "'x' is not one of 'debug', 'info', 'warning', 'error'.")),
        (("x",), 2, "x: No such file or directory"),
        (("--tls-cert", "cert.pem"), 2, ONE_WAY_OF_TLS),
        (("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-self-signed=ca.pem"), 2, ONE_WAY_OF_TLS),
        (("--tls-cert", "", "--tls-key", ""), 1, "TLS: , : No such file or directory"),
        (("--tls-cert", "no.pem", "--tls-key", "no.pem"), 1, "TLS: no.pem, no.pem: No such file or directory"),
        (
            ("--tls-cert", str(DEMO), "--tls-key", str(DEMO)),
            1,
            f"TLS: expected {DEMO} and {DEMO} to be a certificate and its key in PEM, unencrypted",
        ),
        (("--tls-self-signed", ""), 1, "TLS: : Is a directory"),
        (("--tls-self-signed", "/nowhere/ca.pem"), 1, "TLS: /nowhere/ca.pem: No such file or directory"),
        (
            ("--tls-self-signed", "/dev/null", "--control-host", "a..b"),
            2,
            "no certificate can be made for 127.0.0.1, a..b: Empty Label",
        ),
    ],
)
def test_a_mistake_in_the_options_is_one_line(options: tuple[str, ...], code: int, message: str) -> None:
    result = run("serve", "--port", "0", *options)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (code, f"Error: {message}")
    assert "secretsecret" not in result.output


@pytest.mark.newest_click
@pytest.mark.parametrize("option", ["token-key", "control-token"])
@pytest.mark.parametrize("secret", ["", "sesame\r", "ses\tame", "sesame\udcff"])
def test_a_key_without_text_or_with_a_control_character_is_refused_and_not_shown(option: str, secret: str) -> None:
    result = run("serve", "--port", "0", f"--{option}", secret)
    told = invalid(option, "invalid value: expected text without control characters")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {told}")


@pytest.mark.parametrize(
    ("options", "warns"),
    [((), False), (("--host", "0.0.0.0"), True), (("--host", "0.0.0.0", "--control-token", "sesame"), False)],
)
def test_an_open_control_api_is_warned_of(options: tuple[str, ...], warns: bool) -> None:
    with serving(*options) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == (
            "warning: anybody who can reach 0.0.0.0 can control this emulator; "
            "set --control-token to require a secret\n"
            if warns
            else ""
        )


def test_a_certificate_can_be_made(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with serving("--tls-self-signed", str(authority), "--control-host", "emulator") as (_, banner):
        text = "".join(banner)
        assert f"AWS_CA_BUNDLE={authority} NODE_EXTRA_CA_CERTS={authority}\n" in text
        port = Address(banner).port
        assert f'endpoint_url="https://emulator@127.0.0.1:{port}"' in text
        context = ssl.create_default_context(cafile=str(authority))
        for name in ("127.0.0.1", "runtime-emulator"):
            with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as plain:
                context.wrap_socket(plain, server_hostname=name).close()


def test_the_authority_is_written_to_this_folder_by_default(tmp_path: Path) -> None:
    with serving("--tls-self-signed", cwd=str(tmp_path)) as (_, banner):
        assert f"AWS_CA_BUNDLE={tmp_path}/healthimaging-emulator-ca.pem" in "".join(banner)
    assert ssl.create_default_context(cafile=str(tmp_path / "healthimaging-emulator-ca.pem"))


AUTHORIZED = "Authorization: AWS4-HMAC-SHA256 Credential=111111111111/20260101/us-east-1/medical-imaging/aws4_request"


def test_limits_are_options_and_variables() -> None:
    with serving("--max-body", "5", HEALTHIMAGING_EMULATOR_MAX_ACCOUNTS="1") as (_, banner):
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            client.send(request("POST", path(), body=b"123456"))
            assert client.receive().status == 413
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            client.send(request("POST", path(), AUTHORIZED) + request("POST", path()))
            assert [client.receive().status for _ in range(2)] == [403, 200]


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield from commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_an_example_in_its_help(path: tuple[str, ...]) -> None:
    name = " ".join(["healthimaging-emulator", *path])
    assert re.search(f"Example:.*{name}", " ".join(run(*path, "--help").stdout.split()))


def test_the_version_is_the_packages() -> None:
    assert re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)[1] in run("--version").stdout  # type: ignore[index]
