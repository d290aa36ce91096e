"""A pytest plugin: an emulator for each test, in its process or behind a server.

From the first fixture on, or from the start of the run if the configuration says so, no request of this service leaves
for AWS until the run ends: neither from tests without a fixture, nor from threads or child processes that outlive
their test.

pytest loads this module in every run, so imports are inside the functions that use them.
"""

from __future__ import annotations

import importlib
import itertools
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
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

NOWHERE = "http://no-emulator.invalid"
"""The endpoint of child processes that no emulator answers."""

STRAYS = "healthimaging_strays"
"""The key under which a worker of xdist sends its strays to the controller."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("healthimaging", "AWS HealthImaging emulator")
    group.addoption(
        "--healthimaging-endpoint",
        metavar="URL",
        help="Use the emulator at URL for healthimaging_server, instead of starting one.",
    )
    parser.addini("healthimaging_seed", "Seeds for all tests: files or folders.  [default: the demo]", "paths", [])
    parser.addini(
        "healthimaging_settings", "Settings of all emulators, one on a line, as in page_size=10.", "linelist", []
    )
    parser.addini("healthimaging_forbid_aws", "Let no request reach AWS HealthImaging in the whole run.", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(seed, faults, settings, backoff, allow_unfired): give the test an emulator with this seed, these "
        "faults and settings; backoff says whether boto3 sleeps before a retry, allow_unfired=True allows faults that "
        "never fire.",
    )
    if config.getini("healthimaging_forbid_aws"):
        _forbid_aws(config)


@dataclass(frozen=True)
class Options:
    """The arguments of ``@pytest.mark.healthimaging``; those of a test override those of its class and module."""

    seed: Any = None
    faults: Sequence[Fault | Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    backoff: bool | None = None
    allow_unfired: bool = False


def _read_options(node: pytest.Item | pytest.Collector) -> Options:
    from .errors import suggestion

    marks = list(node.iter_markers(MARKER))
    merged = {name: value for mark in reversed(marks) for name, value in mark.kwargs.items()}
    faults = merged.get("faults") or ()
    merged["faults"] = faults if isinstance(faults, (list, tuple)) else [faults]
    unknown = [name for name in merged if name not in Options.__dataclass_fields__]
    if unknown or any(mark.args for mark in marks):
        positional = [repr(argument) for mark in marks for argument in mark.args]
        known = ", ".join(f"{name}=" for name in Options.__dataclass_fields__)
        hints = [f"{name}={suggestion(name, Options.__dataclass_fields__)}" for name in unknown]
        given = f", not {(hints + positional)[0]}"
        raise pytest.UsageError(f"@pytest.mark.{MARKER} takes {known}{given}")
    return Options(**merged)


def _read_settings(config: pytest.Config) -> dict[str, Any]:
    """Return the settings of the configuration. Raises ``UsageError``."""
    from .errors import suggestion
    from .settings import DECLARED

    found: dict[str, Any] = {}
    for line in config.getini("healthimaging_settings"):
        name, equals, text = (part.strip() for part in line.partition("="))
        if not equals or name not in DECLARED:
            raise pytest.UsageError(f"healthimaging_settings: no setting {name!r}{suggestion(name, DECLARED)}")
        setting = DECLARED[name]
        try:
            found[name] = setting.read_all(text)
        except ValueError:
            raise pytest.UsageError(
                f"healthimaging_settings: invalid {name}{setting.show(text)}: expected {setting.expected}"
            ) from None
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """If a test has the mark but no fixture, set up the emulator before all other fixtures: they may use it."""
    names = getattr(item, "fixturenames", None)
    if names is not None and item.get_closest_marker(MARKER) and not any(name in _FIXTURES for name in names):
        item.fixturenames = ["healthimaging", *names]  # type: ignore[attr-defined]  # a new list: other tests share the old one


def pytest_collection_finish(session: pytest.Session) -> None:
    """Import the emulator before the first test: a test may replace classes and modules that the emulator uses."""
    if not session.config.option.collectonly and any(map(_needs_emulator, session.items)):
        for name in ("control.client", "emulator", "faults.near_miss", "server.listener", "webhook"):
            importlib.import_module(f"healthimaging_emulator.{name}")
        with suppress(ImportError):  # without boto3, the fixtures say so
            importlib.import_module("healthimaging_emulator.transports.botocore_patch")


def _needs_emulator(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return item.get_closest_marker(MARKER) is not None or any(name.startswith("healthimaging") for name in names)


# AWS is out of reach.


_FORBIDDEN = pytest.StashKey[ExitStack]()
_forks = 0


def _forbid_aws(config: pytest.Config) -> None:
    """From now on, let no request of this service leave for AWS; the end of the run takes this back."""
    if _FORBIDDEN in config.stash:
        return
    stack = config.stash[_FORBIDDEN] = ExitStack()
    if "AWS_ENDPOINT_URL_MEDICAL_IMAGING" not in os.environ:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AWS_ENDPOINT_URL_MEDICAL_IMAGING", NOWHERE)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=_count_fork)
    try:
        from .transports.botocore_patch import forbid_aws
    except ImportError:  # no boto3: nothing in this process can ask
        return
    stack.enter_context(forbid_aws(_explain_forbidden))


def _count_fork() -> None:
    global _forks  # noqa: PLW0603  # the hook of the process has no other place
    _forks += 1


def _explain_forbidden() -> str:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if not test:
        return "no test is running"
    return f"{test} has none of the fixtures healthimaging and healthimaging_server, or a thread outlived its test"


def pytest_unconfigure(config: pytest.Config) -> None:
    if _FORBIDDEN in config.stash:
        config.stash[_FORBIDDEN].close()


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


def _make_emulator(config: pytest.Config, options: Options, seed: Any) -> Emulator:
    from .emulator import Emulator
    from .errors import InvalidError

    try:
        return Emulator(_load(config, seed), **(_read_settings(config) | dict(options.settings)))
    except (InvalidError, TypeError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from None


# In this process.


def _provide_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Return a fresh emulator, which every boto3 client of ``medical-imaging`` reaches while the fixture lasts."""
    _require_boto3()
    options = _read_options(request.node)
    emulator = _make_emulator(request.config, options, _choose_seed(request, options))
    _forbid_aws(request.config)
    with _watch(request, emulator.faults, lambda: emulator.accounts):
        emulator.faults.add(*options.faults)
        with emulator.patch(backoff=bool(options.backoff)):
            yield emulator


def _require_boto3() -> None:
    """Fail in one line without the extra."""
    from .errors import requires_extra

    try:
        with requires_extra("pytest"):
            import boto3  # noqa: F401
    except ImportError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _choose_seed(request: pytest.FixtureRequest, options: Options) -> Any:
    if options.seed is not None:
        return options.seed
    if request.scope == "function":
        return request.getfixturevalue("healthimaging_seed")
    return request.config.getini("healthimaging_seed")


healthimaging = pytest.fixture(_provide_emulator, name="healthimaging")
healthimaging_class = pytest.fixture(_provide_emulator, scope="class", name="healthimaging_class")
healthimaging_module = pytest.fixture(_provide_emulator, scope="module", name="healthimaging_module")
healthimaging_package = pytest.fixture(_provide_emulator, scope="package", name="healthimaging_package")
healthimaging_session = pytest.fixture(_provide_emulator, scope="session", name="healthimaging_session")


@pytest.fixture
def healthimaging_client(request: pytest.FixtureRequest, healthimaging: Emulator) -> BaseClient:
    """Return a boto3 client of the test's emulator."""
    return healthimaging.client(backoff=bool(_read_options(request.node).backoff))


# Behind a server.


@pytest.fixture(scope="session")
def _healthimaging_endpoint(request: pytest.FixtureRequest) -> Iterator[_Endpoint]:
    """Return the session's emulator: that at the given URL, or one that is served here."""
    from .control.client import RemoteAccount
    from .errors import EmulatorError

    url = request.config.getoption("--healthimaging-endpoint")
    if url:
        try:
            RemoteAccount(url).check_health()
        except EmulatorError as error:
            raise pytest.fail.Exception(f"--healthimaging-endpoint: {error}", pytrace=False) from None
        yield _Endpoint(url, None)
        return
    with _serve(_make_emulator(request.config, Options(), request.config.getini("healthimaging_seed"))) as endpoint:
        yield endpoint
        _keep_strays(request.config, RemoteAccount(endpoint.url))


class _Endpoint(NamedTuple):
    """A URL, and the emulator there if it is in this process."""

    url: str
    emulator: Emulator | None


@contextmanager
def _serve(emulator: Emulator) -> Iterator[_Endpoint]:
    """Start a server for tests. Fails with advice if a plugin blocks sockets."""
    emulator.adopt_unnamed()
    try:
        server = emulator.serve()
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("pytest_socket", "pytest_recording"):
            advice = "healthimaging_server needs 127.0.0.1: with pytest-socket, add --allow-hosts=127.0.0.1"
            raise pytest.fail.Exception(f"{advice} ({error})", pytrace=False) from None
        raise
    with server:
        yield _Endpoint(server.url, emulator)


@pytest.fixture(scope="session")
def _healthimaging_accounts() -> Iterator[str]:
    """Return an account id for each fixture. Others may use the same emulator, so the first id is random."""
    first = secrets.randbelow(10**11)
    return (f"9{number % 10**11:011}" for number in itertools.count(first))


def _provide_account(
    request: pytest.FixtureRequest, _healthimaging_endpoint: _Endpoint, _healthimaging_accounts: Iterator[str]
) -> Iterator[RemoteAccount]:
    """Return an account of the session's server, and set the environment so that plain SDK clients reach it.

    A client that was made before would reach AWS, so its calls raise ``RuntimeError``.
    """
    from .control.client import RemoteAccount

    _require_boto3()
    import boto3

    from .transports.botocore_patch import forbid_aws, skip_backoff

    config, options = request.config, _read_options(request.node)
    seed, initial = _choose_seed(request, options), config.getini("healthimaging_seed")
    is_elsewhere = bool(config.getoption("--healthimaging-endpoint"))
    if options.settings and is_elsewhere:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: settings= cannot change the emulator at another endpoint")
    _forbid_aws(config)
    with ExitStack() as stack:
        url, emulator = _healthimaging_endpoint
        if options.settings:  # which others must not share
            url, emulator = stack.enter_context(_serve(_make_emulator(config, options, initial)))
        token = os.environ.get("HEALTHIMAGING_EMULATOR_CONTROL_TOKEN")
        account = RemoteAccount(url, next(_healthimaging_accounts), control_token=token)
        account.open(request.node.nodeid or "this session")
        # In this process, a network that the test has blocked does not matter.
        watched = account if emulator is None else emulator.account(account.id)
        stack.callback(watched.forget)
        if seed != ([] if is_elsewhere else initial):
            account.put(_load(config, seed))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        _set_environment(patch, account)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of the previous test
        stack.enter_context(forbid_aws(_explain_early_client, defaults=_client_options(account)))
        if options.backoff is False:
            stack.enter_context(skip_backoff())
        stack.enter_context(_watch(request, watched.faults, lambda: [watched]))
        account.faults.add(*options.faults)
        yield account


def _explain_early_client() -> str:
    return "its client was made before the test set its environment; make it inside the test"


def _client_options(account: RemoteAccount) -> dict[str, Any]:
    """Return the options that a client needs whose test has cleared the environment."""
    from .transports.environment import make_endpoint

    keys = {"aws_access_key_id": account.id, "aws_secret_access_key": "emulator"}
    return {"endpoint_url": make_endpoint(account.url)} | keys


def _set_environment(patch: pytest.MonkeyPatch, account: RemoteAccount) -> None:
    """Set the environment so that SDKs in this process reach an account."""
    from botocore.session import Session

    from .transports.environment import build_child_environment, make_endpoint

    variables = build_child_environment(account.url, account.id)
    if "disable_host_prefix_injection" not in Session.SESSION_VARIABLES:  # of boto3 before 1.37.5
        variables["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] = make_endpoint(account.url)
    for name in os.environ.keys() - variables:
        patch.delenv(name)
    for name, value in variables.items():
        if os.environ.get(name) != value:
            patch.setenv(name, value)


healthimaging_server = pytest.fixture(_provide_account, name="healthimaging_server")
healthimaging_server_class = pytest.fixture(_provide_account, scope="class", name="healthimaging_server_class")
healthimaging_server_module = pytest.fixture(_provide_account, scope="module", name="healthimaging_server_module")
healthimaging_server_package = pytest.fixture(_provide_account, scope="package", name="healthimaging_server_package")
healthimaging_server_session = pytest.fixture(_provide_account, scope="session", name="healthimaging_server_session")

_FIXTURES = {
    *("healthimaging", "healthimaging_server"),
    *(
        f"healthimaging{kind}_{scope}"
        for kind in ("", "_server")
        for scope in ("class", "module", "package", "session")
    ),
}


# Reports: faults that never fired, and the calls of a test that failed.


class _Watch(NamedTuple):
    """The accounts that a fixture may change, the faults and the forks that there were before, and its scope."""

    accounts: Callable[[], Iterable[AccountInterface]]
    seeded: list[FaultStatus]
    forks: int
    scope: str


_WATCHES = pytest.StashKey[list[_Watch]]()


@contextmanager
def _watch(
    request: pytest.FixtureRequest,
    faults: Iterable[FaultStatus],
    accounts: Callable[[], Iterable[AccountInterface]],
) -> Iterator[None]:
    """Watch the accounts of a fixture: the hooks below look at their faults and calls.

    Faults of a fixture that outlives a test are looked at when it ends.
    """
    watch = _Watch(accounts, list(faults), _forks, request.scope)
    watches = request.config.stash.setdefault(_WATCHES, [])
    if any(each.scope == request.scope for each in watches):
        used = " and ".join(name for name in request.fixturenames if name in _FIXTURES)
        pytest.fail(f"a test has either healthimaging or healthimaging_server, not {used}", pytrace=False)
    watches.append(watch)
    try:
        yield
        unfired = list(_find_unfired(watch)) if watch.scope != "function" else []
    finally:
        watches.remove(watch)
    if unfired and not _read_options(request.node).allow_unfired:
        pytest.fail("\n".join(unfired), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although one of its faults never fired: it did not test what it says."""
    result = yield
    watches = [each for each in item.config.stash.get(_WATCHES, []) if each.scope == "function"]
    unfired = [text for watch in watches for text in _find_unfired(watch)]
    if unfired and not _read_options(item).allow_unfired:
        pytest.fail("\n".join(unfired), pytrace=False)
    return result


def _find_unfired(watch: _Watch) -> Iterator[str]:
    from msgspec.structs import replace

    from .faults.near_miss import NO_REQUEST, explain_miss

    seeded = [replace(fault, matched=0) for fault in watch.seeded]
    for account in watch.accounts():
        for fault in account.faults:
            if not fault.fired and replace(fault, matched=0) not in seeded:
                reason = explain_miss(fault, account.calls)
                hint = _explain_silence(watch) if reason == NO_REQUEST else ""
                yield f"fault {fault.id} of account {account.id} never fired: {reason}{hint}"


def _explain_silence(watch: _Watch) -> str:
    """Return where the requests may be that an account did not get."""
    others = [f"{len(each.calls)} calls came to account {each.id}" for each in watch.accounts() if each.calls]
    forked = ["the process has forked, and what a child does is seen only with healthimaging_server"]
    hints = others + (forked if watch.forks != _forks else [])
    return f", but {', and '.join(hints)}" if hints else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the calls of the client in the report of a test that fails."""
    report = yield
    if report.failed:
        for watch in item.config.stash.get(_WATCHES, []):
            for account in watch.accounts():
                report.sections.append((f"HealthImaging calls of account {account.id}", _show_calls(account)))
    return report


def _show_calls(account: AccountInterface) -> str:
    try:
        calls = [str(call) for call in account.calls]
    except (Exception, pytest.fail.Exception) as error:  # of an emulator elsewhere
        return f"unknown: {error}"
    earlier = [f"{len(calls) - MAX_CALLS_SHOWN} earlier ones"] if len(calls) > MAX_CALLS_SHOWN else []
    return "\n".join([*earlier, *calls[-MAX_CALLS_SHOWN:]]) or "none"


# Strays: requests of test accounts that were not open.


_KEPT_STRAYS = pytest.StashKey[list[str]]()


def _keep_strays(config: pytest.Config, account: RemoteAccount) -> None:
    strays = [
        f"{each.method} {each.path} as account {each.account}, that of {each.test or 'no test'}"
        for each in account.strays
    ]
    config.stash.setdefault(_KEPT_STRAYS, []).extend(strays)
    if hasattr(config, "workeroutput"):
        config.workeroutput[STRAYS] = strays


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the strays of a worker of xdist."""
    node.config.stash.setdefault(_KEPT_STRAYS, []).extend(getattr(node, "workeroutput", {}).get(STRAYS, []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    strays = config.stash.get(_KEPT_STRAYS, [])
    if strays:
        terminalreporter.section("HealthImaging requests of tests that had ended")
        terminalreporter.line("A client was kept from one test to the next, in a global, a cache or a process.")
        for each in strays:
            terminalreporter.line(each)
