"""A pytest plugin: an emulator for each test, in its process or behind a server.

pytest loads this module in every run, so imports are inside the functions that use them.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from .control.client import RemoteAccount
    from .emulator import Emulator
    from .faults.engine import FaultStatus
    from .faults.fault import Fault
    from .interfaces import AccountInterface
    from .seeds.loader import Seed

MARKER = "healthimaging"

MAX_CALLS_SHOWN = 50
"""Calls that the report of a failing test shows; the last ones."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("healthimaging", "AWS HealthImaging emulator")
    group.addoption(
        "--healthimaging-endpoint",
        metavar="URL",
        help="Use the emulator at URL for healthimaging_server, instead of starting one.",
    )
    parser.addini("healthimaging_seed", "Seeds for all tests: files or folders.  [default: the demo]", "paths", [])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(seed, faults, settings, backoff, allow_unfired): give the test an emulator with this seed, these "
        "faults and settings; backoff=True lets boto3 sleep before a retry, allow_unfired=True allows faults that "
        "never fire.",
    )


@dataclass(frozen=True)
class Options:
    """The arguments of ``@pytest.mark.healthimaging``; those of a test override those of its class and module."""

    seed: Any = None
    faults: Sequence[Fault | Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    backoff: bool = False
    allow_unfired: bool = False


def _read_options(item: pytest.Item) -> Options:
    from .errors import suggestion

    marks = list(item.iter_markers(MARKER))
    merged = {name: value for mark in reversed(marks) for name, value in mark.kwargs.items()}
    faults = merged.get("faults") or ()
    merged["faults"] = faults if isinstance(faults, (list, tuple)) else [faults]
    unknown = [name for name in merged if name not in Options.__dataclass_fields__]
    if unknown or any(mark.args for mark in marks):
        known = ", ".join(f"{name}=" for name in Options.__dataclass_fields__)
        given = f", not {unknown[0]}={suggestion(unknown[0], Options.__dataclass_fields__)}" if unknown else ""
        raise pytest.UsageError(f"@pytest.mark.{MARKER} takes {known}{given}")
    return Options(**merged)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """If a test has the mark but no fixture, set up the emulator before all other fixtures: they may use it."""
    names = getattr(item, "fixturenames", None)
    if names is not None and item.get_closest_marker(MARKER) and not _FIXTURES & set(names):
        item.fixturenames = ["healthimaging", *names]  # type: ignore[attr-defined]  # a new list: other tests share the old one


_FIXTURES = {"healthimaging", "healthimaging_server"}


# Seeds.


_SEED = pytest.StashKey["Seed"]()


@pytest.fixture
def healthimaging_seed(request: pytest.FixtureRequest) -> Any:
    """Return the seed of all tests: files, folders or a document. Override it, or set it with the mark."""
    return request.config.getini("healthimaging_seed")


def _load(config: pytest.Config, sources: Any) -> Seed:
    """Load a seed. The configured one is loaded once for all tests."""
    from .errors import InvalidError
    from .seeds.loader import find_fixture, load_seed

    is_configured = sources == config.getini("healthimaging_seed")
    if is_configured and _SEED in config.stash:
        return config.stash[_SEED]
    listed = sources if isinstance(sources, (list, tuple)) else [sources]
    found = [config.rootpath / each if isinstance(each, (str, Path)) else each for each in listed]
    try:
        loaded = load_seed(*(found or [find_fixture("demo.json")]))
    except InvalidError as error:
        raise pytest.fail.Exception(f"the seed cannot be loaded: {error}", pytrace=False) from None
    if is_configured:
        config.stash[_SEED] = loaded
    return loaded


# In this process.


@pytest.fixture
def healthimaging(request: pytest.FixtureRequest, healthimaging_seed: Any) -> Iterator[Emulator]:
    """Return a fresh emulator, which every boto3 client of ``medical-imaging`` reaches while the test runs."""
    from .emulator import Emulator
    from .errors import InvalidError

    options = _read_options(request.node)
    seed = _load(request.config, healthimaging_seed if options.seed is None else options.seed)
    try:
        emulator = Emulator(seed, **options.settings)
    except (InvalidError, TypeError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from None
    with _watch(request.node, emulator.faults, lambda: emulator.accounts):
        emulator.faults.add(*options.faults)
        with emulator.patch(backoff=options.backoff):
            yield emulator


@pytest.fixture
def healthimaging_client(request: pytest.FixtureRequest, healthimaging: Emulator) -> BaseClient:
    """Return a boto3 client of the test's emulator."""
    return healthimaging.client(backoff=_read_options(request.node).backoff)


# Behind a server.


@pytest.fixture(scope="session")
def _healthimaging_endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of the session's emulator: the given one, or that of a server started here."""
    from .control.client import RemoteAccount
    from .emulator import Emulator
    from .errors import EmulatorError

    url = request.config.getoption("--healthimaging-endpoint")
    if url:
        try:
            RemoteAccount(url).check_health()
        except EmulatorError as error:
            raise pytest.fail.Exception(f"--healthimaging-endpoint: {error}", pytrace=False) from None
        yield url
        return
    with Emulator(_load(request.config, request.config.getini("healthimaging_seed"))).serve() as server:
        yield server.url


@pytest.fixture(scope="session")
def _healthimaging_accounts() -> Iterator[str]:
    """Return an account id for each test. Others may use the same emulator, so the first id is random."""
    first = secrets.randbelow(10**12)
    return (f"{number % 10**12:012}" for number in itertools.count(first))


@pytest.fixture
def healthimaging_server(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    healthimaging_seed: Any,
    _healthimaging_endpoint: str,
    _healthimaging_accounts: Iterator[str],
) -> Iterator[RemoteAccount]:
    """Return an account of the session's server, and set the environment so that plain SDK clients reach it.

    A client that was made before would reach AWS, so its calls raise ``RuntimeError``.
    """
    from .control.client import RemoteAccount
    from .errors import requires_extra

    with requires_extra("boto3"):
        import boto3

        from .transports.botocore_patch import forbid_aws

    options = _read_options(request.node)
    if options.settings:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: settings= are for healthimaging, since tests share a server")
    token = os.environ.get("HEALTHIMAGING_EMULATOR_CONTROL_TOKEN")
    account = RemoteAccount(_healthimaging_endpoint, next(_healthimaging_accounts), control_token=token)
    seed = healthimaging_seed if options.seed is None else options.seed
    is_elsewhere = request.config.getoption("--healthimaging-endpoint")
    try:
        if seed != ([] if is_elsewhere else request.config.getini("healthimaging_seed")):
            account.put(_load(request.config, seed))
        _set_environment(monkeypatch, account)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of the previous test
        with forbid_aws(), _watch(request.node, account.faults, lambda: [account]):
            account.faults.add(*options.faults)
            yield account
    finally:
        account.forget()


def _set_environment(monkeypatch: pytest.MonkeyPatch, account: RemoteAccount) -> None:
    """Set the environment so that SDKs in this process reach an account."""
    from botocore.session import Session

    from .transports.environment import build_child_environment, make_endpoint

    variables = build_child_environment(account.url, account.id)
    if "disable_host_prefix_injection" not in Session.SESSION_VARIABLES:  # of boto3 before 1.37.5
        variables["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] = make_endpoint(account.url)
    for name in os.environ.keys() - variables:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)


# Reports: faults that never fired, and the calls of a test that failed.


class _Watch(NamedTuple):
    """The accounts that a test may change, and the faults that were there before it."""

    accounts: Callable[[], Iterable[AccountInterface]]
    seeded: list[FaultStatus]


_WATCHES = pytest.StashKey[list[_Watch]]()


@contextmanager
def _watch(
    item: pytest.Item, faults: Iterable[FaultStatus], accounts: Callable[[], Iterable[AccountInterface]]
) -> Iterator[None]:
    """Watch the accounts of a test: the hooks below look at their faults and calls when it ends."""
    watch = _Watch(accounts, list(faults))
    watches = item.stash.setdefault(_WATCHES, [])
    if watches:
        pytest.fail("a test has either healthimaging or healthimaging_server", pytrace=False)
    watches.append(watch)
    try:
        yield
    finally:
        watches.remove(watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although one of its faults never fired: it did not test what it says."""
    result = yield
    unfired = [text for watch in item.stash.get(_WATCHES, []) for text in _find_unfired(watch)]
    if unfired and not _read_options(item).allow_unfired:
        pytest.fail("\n".join(unfired), pytrace=False)
    return result


def _find_unfired(watch: _Watch) -> Iterator[str]:
    from msgspec.structs import replace

    from .faults.near_miss import explain_miss

    seeded = [replace(fault, matched=0) for fault in watch.seeded]
    for account in watch.accounts():
        for fault in account.faults:
            if not fault.fired and replace(fault, matched=0) not in seeded:
                yield f"fault {fault.id} of account {account.id} never fired: {explain_miss(fault, account.calls)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the calls of the client in the report of a test that fails."""
    report = yield
    if report.failed:
        for watch in item.stash.get(_WATCHES, []):
            for account in watch.accounts():
                report.sections.append((f"HealthImaging calls of account {account.id}", _show_calls(account)))
    return report


def _show_calls(account: AccountInterface) -> str:
    from .errors import EmulatorError

    try:
        calls = [str(call) for call in account.calls]
    except EmulatorError as error:  # of an emulator elsewhere
        return f"unknown: {error}"
    earlier = [f"{len(calls) - MAX_CALLS_SHOWN} earlier ones"] if len(calls) > MAX_CALLS_SHOWN else []
    return "\n".join([*earlier, *calls[-MAX_CALLS_SHOWN:]]) or "none"
