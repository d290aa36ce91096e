"""The path of a request, from top to bottom, in one function without any transport.

``handle`` never sleeps. It is a generator that yields pauses and returns the response; each transport carries out the
pauses in its own way. Every exception becomes a response in one place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .accounts import Account, Accounts
from .aws.authorization import Authorization, Caller, parse_authorization
from .aws.errors import AccessDeniedException, InternalServerException, ServiceError
from .aws.operation import Operation
from .aws.pagination import Listing, Tokens
from .aws.rest_json import check_request, make_omitting_type, parse_input, serialize_error, serialize_output
from .aws.validation import validate
from .clock import Moment
from .errors import LimitExceededError, NotOpenError, requires_extra
from .faults.connection import NoAnswer
from .faults.effect import Target
from .faults.engine import NO_INJECTION, Injection, RequestView
from .healthimaging.context import Context, Workflow, run_operation
from .healthimaging.messages import SERVICE
from .healthimaging.operations import OPERATIONS, ROUTER
from .healthimaging.transitions import Pace
from .journal import MAX_ANSWER, SUCCESS, Attempt
from .messages import Exchange, Request, Response, Wait
from .monotonic import monotonic
from .settings import Settings

if TYPE_CHECKING:
    from .aws.sigv4 import Verifier

MAX_HEADER = 4096
"""Limit for the header that names the faults that fired, in characters."""

MAX_WORK_SECONDS = 5.0
"""Seconds of real time for which a request waits for the work of a job that it would see end."""

NO_RESPONSE = Response(500, {})
"""Placeholder for a request whose connection breaks: no client gets it."""

log = logging.getLogger("healthimaging_emulator")

Steps = Generator[Wait, None, Response]


class Pipeline:
    """Answers requests for the accounts of an emulator."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._tokens = Tokens(settings.token_key, settings.token_lifetime)
        self._verifier = _make_verifier(settings)
        self._workflow = Workflow(Pace(settings.transition_reads, settings.transition_seconds))
        if settings.omit_unset:
            for operation in OPERATIONS:
                make_omitting_type(operation.output)  # now, before there are threads; it is cached

    def handle_in_process(self, request: Request, exchange: Exchange) -> Steps:
        """Answer a request of this process, where all keys are one account until a test names another."""
        return self.handle(request, exchange, find_account=self._accounts.find_in_process)

    def handle(
        self, request: Request, exchange: Exchange, *, find_account: Callable[[str], Account] | None = None
    ) -> Steps:
        """Answer a request. The service throttles and authorizes before it validates, so faults come first too."""
        authorization = parse_authorization(request.headers.get("authorization", ""))
        refusal = self._verify(request, authorization)
        caller = authorization.caller if refusal is None else Caller()
        if find_account is None and (doubtful := authorization.doubtful_key):
            self._accounts.warn_of_key(doubtful)
        try:
            account = (find_account or self._accounts.find_served)(caller.account)
        except NotOpenError as error:
            self._accounts.note_stray(caller.account, request.method, request.path)
            return serialize_error(AccessDeniedException(error.message))
        except LimitExceededError as error:
            return serialize_error(AccessDeniedException(f"The emulator's limit is exceeded: {error.detail}."))
        caller = Caller(account.id, caller.region)
        moment, pause = account.clock.read(), exchange.skipped_pause
        call, attempt = account.journal.begin(request.method, request.path, request.headers, moment, pause)
        exchange.account, exchange.call = account.id, call
        injection, effect_acted, has_succeeded = NO_INJECTION, False, False
        try:
            operation, labels = ROUTER.route(request.method, request.path)
            check_request(operation, request, self._settings.max_body)
            if refusal:
                raise refusal
            input = parse_input(operation, labels, request)
            identifiers = operation.identify(input)
            listing = self._listing(account, operation, input, moment)
            page = listing.page if operation.is_paginated else None
            call.identify(operation.name, identifiers, input, page)

            injection = account.faults.pick(
                RequestView(operation.name, identifiers, page, attempt.number), moment.elapsed
            )
            effect, is_after = injection.effect, injection.is_after
            target = Target(operation, input, identifiers, caller, listing, exchange)
            attempt.faults = injection.ids
            yield from _delay(account, injection, attempt, after=False)
            if not is_after:
                effect_acted = True
                yield from _act(account, injection, target)
                effect_acted = False

            moment = account.clock.read() if attempt.delay else moment  # the clock went on meanwhile
            validate(input)
            output = effect.answer(target)
            if output is None:
                output = yield from self._run(account, target, injection, attempt, moment)
            changed = effect.change_output(output, target)
            effect_acted = changed is not None
            response = serialize_output(
                operation, output if changed is None else changed, omit_unset=self._settings.omit_unset
            )
            response = effect.change_response(response, target)
            has_succeeded = True
            yield from _delay(account, injection, attempt, after=True)
            if is_after:
                attempt.outcome = SUCCESS
                yield from _act(account, injection, target)  # which raises, unless it has only cut the answer
                attempt.outcome = None
        except NoAnswer:
            response = NO_RESPONSE
        except Exception as error:
            response = answer_error(error, request)
        if injection.active:
            attempt.unused = account.faults.uncount_unused(
                injection, effect_acted=effect_acted, has_succeeded=has_succeeded
            )
            attempt.faults = [id for id in attempt.faults if id not in attempt.unused]
        if attempt.faults:
            names = ",".join(attempt.faults)[:MAX_HEADER]
            response = replace(response, headers={**response.headers, "x-emulator-fault": names})
        if exchange.is_answered:
            code = response.headers.get("x-amzn-ErrorType")
            account.journal.end(call, attempt, response.status, code, excerpt_body(response))
        else:
            account.journal.end(call, attempt, None, None)
        return response

    def _run(
        self, account: Account, target: Target, injection: Injection, attempt: Attempt, moment: Moment
    ) -> Generator[Wait, None, Any]:
        """Carry out the operation, and note the transitions that it saw; wait for work that one of them waits for."""
        operation = target.operation
        workflow = injection.effect.workflow(self._workflow, injection.seed)
        context = Context(target.caller, account.store, moment, target.listing, workflow, account.imports)
        output, refusal = None, None
        try:
            output = run_operation(operation, target.input, context)
        except ServiceError as error:
            refusal = error
        end = monotonic() + MAX_WORK_SECONDS
        for transition in context.met:
            if transition.is_due and transition.work is not None:
                with transition.work.waiting() as ended:
                    yield Wait(max(0.0, end - monotonic()), ended)
                context.ended += [transition] if transition.is_over else []
        attempt.met = [str(transition) for transition in context.met]
        attempt.ended = [str(transition) for transition in context.ended]
        if refusal is not None:
            raise refusal
        return output

    def _verify(self, request: Request, authorization: Authorization) -> ServiceError | None:
        """Return the error for a request without a valid signature, or None."""
        try:
            if self._verifier:
                self._verifier.verify(request, authorization)
        except ServiceError as error:
            return error
        return None

    def _listing(self, account: Account, operation: Operation[Any, Any], input: Any, moment: Moment) -> Listing:
        scope = f"{account.id}/{operation.describe_list(input)}" if operation.is_paginated else ""
        token = getattr(input, "next_token", None)
        return Listing(self._tokens, scope, token, now=moment.elapsed, page_size=self._settings.page_size)


def _act(account: Account, injection: Injection, target: Target) -> Generator[Wait, None, None]:
    for seconds in injection.effect.act(target):
        yield from account.faults.wait(injection.active[-1], seconds)


def _delay(account: Account, injection: Injection, attempt: Attempt, *, after: bool) -> Generator[Wait, None, None]:
    for active, seconds in injection.latencies_of(after=after):
        attempt.delay = round(attempt.delay + seconds, 6)
        yield from account.faults.wait(active, seconds)


def answer_error(error: Exception, request: Request) -> Response:
    """Return the response to any error. Unexpected exceptions are logged and answered as InternalServerException."""
    if not isinstance(error, ServiceError):
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        error = InternalServerException()
    return serialize_error(error)


def excerpt_body(response: Response) -> str | None:
    """Return the first characters of a body for the journal, or None if it is not text."""
    try:
        return response.body[:MAX_ANSWER].decode()
    except UnicodeDecodeError as error:  # perhaps only because the cut is inside a character
        return response.body[: error.start].decode() if error.start > MAX_ANSWER - 4 else None


def _make_verifier(settings: Settings) -> Verifier | None:
    if not settings.credentials:
        return None
    with requires_extra("sigv4"):
        from .aws.sigv4 import Verifier

    return Verifier(settings.credentials, SERVICE, settings.region, settings.max_body)
