"""The control API, driven from its own description by schemathesis."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from healthimaging_emulator import Emulator
from tests.conftest import DEMO

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)

EXAMPLES = settings.default.max_examples if settings.default else 200

schema = schemathesis.openapi.from_wsgi("/_emulator/openapi.json", Emulator.from_seed(DEMO).app)


@schema.parametrize()
@settings(max_examples=EXAMPLES // 8)
def test_every_endpoint_answers_as_it_is_described(case: Any) -> None:
    case.call_and_validate(checks=list(CHECKS))
