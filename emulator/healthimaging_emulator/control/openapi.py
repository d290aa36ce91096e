"""Describe the control API in OpenAPI 3.1, from the table and the types that it is served from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args

import msgspec

from ..transports.targets import GENERATION_HEADER


class Endpoint(NamedTuple):
    """A row of an API. The handler's docstring describes it; a result of None is an answer without content."""

    method: str
    path: str
    handler: Callable[..., Any]
    body: Any = None
    result: Any = None
    query: Mapping[str, str] = {}
    is_body_required: bool = True


def describe_endpoints(endpoints: Sequence[Endpoint], prefix: str, error: type) -> dict[str, Any]:
    """Describe endpoints, each of which may answer with an ``error``."""
    used = {str(type): type for endpoint in endpoints for type in (endpoint.body, *_contents(endpoint), error) if type}
    schemas, components = msgspec.json.schema_components(used.values(), ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(used, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        described = _describe(endpoint, lambda type: _json(schema_of[str(type)]), error)
        paths.setdefault(prefix + endpoint.path, {})[endpoint.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "healthimaging-emulator control API", "version": version("healthimaging-emulator")},
        "paths": paths,
        "components": {"schemas": components},
    }


def _contents(endpoint: Endpoint) -> tuple[Any, ...]:
    """Return the types that an endpoint may answer with, None for no content."""
    is_union = isinstance(endpoint.result, UnionType)
    types = get_args(endpoint.result) if is_union else (endpoint.result,)
    return tuple(None if type is NoneType else type for type in types)


def _describe(endpoint: Endpoint, content: Callable[[Any], dict[str, Any]], error: type) -> dict[str, Any]:
    parameters = [_parameter(name, "path") for name in re.findall(r"\{(\w+)\}", endpoint.path)]
    parameters += [_parameter(name, "header") for name in ("x-emulator-account", "x-emulator-token")]
    parameters += [_parameter(name, "query", type) for name, type in endpoint.query.items()]
    answers: dict[str, Any] = {"default": {"description": "An error"} | content(error)}
    for type in _contents(endpoint):
        answers |= (
            {"200": {"description": "Done"} | (PICTURE if type is bytes else content(type))}
            if type
            else {"204": {"description": "Done, or scheduled"}}
        )
    for answer in answers.values():
        answer["headers"] = {GENERATION_HEADER: {"required": True, "schema": {"type": "string"}}}
    return {
        "operationId": endpoint.handler.__name__,
        "summary": (endpoint.handler.__doc__ or "").splitlines()[0],
        "parameters": parameters,
        "responses": answers,
    } | ({"requestBody": {"required": endpoint.is_body_required} | content(endpoint.body)} if endpoint.body else {})


def _parameter(name: str, where: str, type: str = "string") -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": type}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


PICTURE: dict[str, Any] = {"content": {"image/png": {}}}
