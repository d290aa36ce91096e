"""A pytest plugin: an emulator for each test, in its process or behind a server.

pytest loads this module in every run, so it imports what it needs only where it is used.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from healthimaging_emulator.accounts import Account
    from healthimaging_emulator.control.client import Remote
    from healthimaging_emulator.emulator import Emulator
    from healthimaging_emulator.faults.engine import RuleStatus
    from healthimaging_emulator.faults.fault import Rule
    from healthimaging_emulator.seeds.loader import Seed

MARKER = "healthimaging"

SHOWN = 50
"""Of the calls of a test that fails, the last so many are shown."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("healthimaging", "AWS HealthImaging emulator")
    group.addoption(
        "--healthimaging-endpoint",
        metavar="URL",
        help="Let healthimaging_server be an account of the emulator at URL, instead of one of our own.",
    )
    parser.addini("healthimaging_seed", "Seeds for every test: files or folders.  [default: the demo]", "paths", [])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(seed, faults, backoff, allow_unfired): what the emulator begins with, the fault rules of the test, "
        "whether boto3 sleeps before it tries again, and whether a rule may never fire.",
    )


@dataclass(frozen=True)
class Options:
    """What ``@pytest.mark.healthimaging`` says; the mark of a test goes before those of its class and module."""

    seed: Any = None
    faults: Sequence[Rule | Mapping[str, Any]] = ()
    backoff: bool = False
    allow_unfired: bool = False


def _options(item: pytest.Item) -> Options:
    marks = list(item.iter_markers(MARKER))
    merged = {name: value for mark in reversed(marks) for name, value in mark.kwargs.items()}
    faults = merged.get("faults") or ()
    merged["faults"] = faults if isinstance(faults, (list, tuple)) else [faults]
    unknown = [name for name in merged if name not in Options.__dataclass_fields__]
    if unknown or any(mark.args for mark in marks):
        known = ", ".join(f"{name}=" for name in Options.__dataclass_fields__)
        raise pytest.UsageError(f"@pytest.mark.{MARKER} takes {known}")
    return Options(**merged)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the mark alone be enough: before all other fixtures, which may ask already."""
    names = getattr(item, "fixturenames", None)
    if names is not None and item.get_closest_marker(MARKER) and not _FIXTURES & set(names):
        item.fixturenames = ["healthimaging", *names]  # type: ignore[attr-defined]  # a list of its own: others share it


_FIXTURES = {"healthimaging", "healthimaging_server"}


# Seeds.


_SEED = pytest.StashKey["Seed"]()


@pytest.fixture
def healthimaging_seed(request: pytest.FixtureRequest) -> Any:
    """Say what the emulators of all tests begin with: files, folders or a document. A mark says it for some."""
    return request.config.getini("healthimaging_seed")


def _load(config: pytest.Config, sources: Any) -> Seed:
    """Load a seed; that of the configuration once for all tests."""
    from healthimaging_emulator.seeds import loader as seeds
    from healthimaging_emulator.seeds.reader import SeedError

    is_configured = sources == config.getini("healthimaging_seed")
    if is_configured and _SEED in config.stash:
        return config.stash[_SEED]
    listed = sources if isinstance(sources, (list, tuple)) else [sources]
    found = [config.rootpath / each if isinstance(each, (str, Path)) else each for each in listed]
    try:
        loaded = seeds.load(*(found or [seeds.fixture("demo")]))
    except SeedError as error:
        pytest.fail(f"the seed cannot be loaded: {error}", pytrace=False)
    if is_configured:
        config.stash[_SEED] = loaded
    return loaded


# In this process.


@pytest.fixture
def healthimaging(request: pytest.FixtureRequest, healthimaging_seed: Any) -> Iterator[Emulator]:
    """Return a fresh emulator, which every boto3 client of ``medical-imaging`` reaches while the test runs."""
    from healthimaging_emulator.emulator import Emulator

    options = _options(request.node)
    emulator = Emulator(_load(request.config, healthimaging_seed if options.seed is None else options.seed))
    with _watched(request.node, emulator.faults, lambda: emulator.accounts):
        emulator.faults.add(*options.faults)
        with emulator.patch(backoff=options.backoff):
            yield emulator


@pytest.fixture
def healthimaging_client(request: pytest.FixtureRequest, healthimaging: Emulator) -> BaseClient:
    """Return a boto3 client of the test's emulator."""
    return healthimaging.client(backoff=_options(request.node).backoff)


# Behind a server.


@pytest.fixture(scope="session")
def _healthimaging_endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return where the session's emulator is: elsewhere, or served from here."""
    from healthimaging_emulator.control.client import Remote
    from healthimaging_emulator.emulator import Emulator

    url = request.config.getoption("--healthimaging-endpoint")
    if url:
        try:
            Remote(url).ask("GET", "health")
        except (OSError, ValueError) as error:
            pytest.fail(f"--healthimaging-endpoint {url}: {error}", pytrace=False)
        yield url
        return
    with Emulator(_load(request.config, request.config.getini("healthimaging_seed"))).serve() as server:
        yield server.url


@pytest.fixture(scope="session")
def _healthimaging_accounts() -> Iterator[str]:
    """Return an account for each test; others may use the same emulator, so they begin anywhere."""
    first = secrets.randbelow(10**12)
    return (f"{number % 10**12:012}" for number in itertools.count(first))


@pytest.fixture
def healthimaging_server(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    healthimaging_seed: Any,
    _healthimaging_endpoint: str,
    _healthimaging_accounts: Iterator[str],
) -> Iterator[Remote]:
    """Return an account of the session's server, and set the environment so that plain SDK clients reach it.

    A client of this process that was made before, and so would ask AWS, raises ``RuntimeError``.
    """
    import boto3

    from healthimaging_emulator.control.client import Remote
    from healthimaging_emulator.transports.boto3_transport import guard

    options = _options(request.node)
    token = os.environ.get("HEALTHIMAGING_EMULATOR_CONTROL_TOKEN")
    remote = Remote(_healthimaging_endpoint, next(_healthimaging_accounts), control_token=token)
    seed = healthimaging_seed if options.seed is None else options.seed
    is_elsewhere = request.config.getoption("--healthimaging-endpoint")
    try:
        if seed != ([] if is_elsewhere else request.config.getini("healthimaging_seed")):
            remote.put(_load(request.config, seed))
        _set(monkeypatch, remote)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which keeps the credentials of the test before
        with guard(), _watched(request.node, remote.faults, lambda: [remote]):
            remote.faults.add(*options.faults)
            yield remote
    finally:
        remote.forget()


def _set(monkeypatch: pytest.MonkeyPatch, remote: Remote) -> None:
    """Set the environment to that of a process which is to reach an account."""
    from botocore.session import Session

    from healthimaging_emulator.transports import environment

    variables = environment.child(remote.url, remote.account)
    if "disable_host_prefix_injection" not in Session.SESSION_VARIABLES:  # of boto3 before 1.37.5
        variables["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] = environment.endpoint(remote.url)
    for name in os.environ.keys() - variables:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)


# What became of the rules, and what the client did.


class _Watch(NamedTuple):
    """What a test may change, accounts here or elsewhere, and the rules that were there before it."""

    views: Callable[[], Iterable[Account | Remote]]
    seeded: list[RuleStatus]


_WATCHES = pytest.StashKey[list[_Watch]]()


@contextmanager
def _watched(
    item: pytest.Item, faults: Iterable[RuleStatus], views: Callable[[], Iterable[Account | Remote]]
) -> Iterator[None]:
    """Have what a test adds to the ``faults`` that there are, and its calls, looked at when it ends."""
    watch = _Watch(views, list(faults))
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
    """Fail a test that passed although one of its rules never fired: it did not test what it says."""
    result = yield
    unfired = [text for watch in item.stash.get(_WATCHES, []) for text in _unfired(watch)]
    if unfired and not _options(item).allow_unfired:
        pytest.fail("\n".join(unfired), pytrace=False)
    return result


def _unfired(watch: _Watch) -> Iterator[str]:
    from msgspec.structs import replace

    from healthimaging_emulator.faults.near_miss import nearest_miss

    seeded = [replace(rule, matched=0) for rule in watch.seeded]
    for view in watch.views():
        for rule in view.faults:
            if not rule.fired and replace(rule, matched=0) not in seeded:
                yield f"fault rule {rule.id} of account {_id(view)} never fired: {nearest_miss(rule, view.calls)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the client really did where a test fails."""
    report = yield
    if report.failed:
        for watch in item.stash.get(_WATCHES, []):
            for view in watch.views():
                report.sections.append((f"HealthImaging calls of account {_id(view)}", _journal(view)))
    return report


def _id(view: Account | Remote) -> str:
    return view.account if hasattr(view, "account") else view.id


def _journal(view: Account | Remote) -> str:
    try:
        calls = [str(call) for call in view.calls]
    except (OSError, ValueError) as error:  # of an emulator elsewhere
        return f"unknown: {error}"
    earlier = [f"{len(calls) - SHOWN} earlier ones"] if len(calls) > SHOWN else []
    return "\n".join([*earlier, *calls[-SHOWN:]]) or "none"
