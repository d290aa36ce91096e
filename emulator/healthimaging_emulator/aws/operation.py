"""An operation as AWS's model declares it, and the function that carries it out."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from operator import attrgetter
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from .errors import ServiceError, UnknownOperationException
from .members import Member, Structure, shape_of

In = TypeVar("In", bound=Struct)
Out = TypeVar("Out", bound=Struct)


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(Generic[In, Out]):
    """One operation, as data.

    Members of ``input`` and ``output`` say where they travel (``members.label``, ``query``, ``header``, ``payload``).
    ``handler`` gets the input and the context of the request.
    SDKs put ``host_prefix`` before the host; the emulator serves any host. ``is_asynchronous`` says that the operation
    continues after its answer, so that a workflow fault can change its end.

    ``identifiers`` name the resource that a request is about. They map each name to the attributes of the input that
    may hold it; by default they are the labels. Faults match by them, the journal keeps them, and messages print them.
    """

    name: str
    method: str
    path: str
    input: type[In]
    output: type[Out]
    errors: tuple[type[ServiceError], ...]
    handler: Callable[[In, Any], Out]
    host_prefix: str = ""
    status: int = 200
    is_asynchronous: bool = False
    identifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = {m.name: (m.attribute,) for m in self.input_shape.members if m.location == "label"}
        object.__setattr__(self, "identifiers", self.identifiers or labels)
        shape_of(self.output)

    @functools.cached_property
    def input_shape(self) -> Structure:
        """The members of the input."""
        return shape_of(self.input)

    @functools.cached_property
    def output_shape(self) -> Structure:
        """The members of the output."""
        return shape_of(self.output)

    @functools.cached_property
    def is_paginated(self) -> bool:
        """Whether the operation answers page by page."""
        return any(member.name == "nextToken" for member in self.output_shape.members)

    @functools.cached_property
    def payload(self) -> Member | None:
        """The member of the input that is the whole body, if there is one."""
        return next((m for m in self.input_shape.members if m.location == "payload"), None)

    @functools.cached_property
    def has_body(self) -> bool:
        """Whether requests have a body."""
        return any(member.location in ("body", "payload") for member in self.input_shape.members)

    @functools.cached_property
    def output_payload(self) -> Member | None:
        """The member of the output that is the whole body, if there is one; it is bytes."""
        return next((m for m in self.output_shape.members if m.location == "payload"), None)

    @functools.cached_property
    def _identifier_getters(self) -> list[tuple[str, list[Callable[[Any], Any]]]]:
        return [(name, [attrgetter(each) for each in attributes]) for name, attributes in self.identifiers.items()]

    @functools.cached_property
    def labels(self) -> re.Pattern[str]:
        """Matches a path that is still percent-encoded, so that ``%2F`` stays inside its label."""
        greedy = {member.name for member in self.input_shape.members if member.is_greedy}

        def group(found: re.Match[str]) -> str:
            return f"(?P<{found[1]}>{'.*' if found[1] in greedy else '[^/]*'})"

        return re.compile(re.sub(r"\{(\w+)\}", group, self.path) + "/?")

    def describe_list(self, input: In) -> str:
        """Return a text that is the same for all pages of one list: the members of an input but for the page."""
        members = (m.attribute for m in self.input_shape.members if m.name not in ("nextToken", "maxResults"))
        return "/".join([self.name, *(_describe_value(getattr(input, attribute)) for attribute in members)])

    def identify(self, input: In) -> dict[str, list[str]]:
        """Return the values of the identifiers that an input has."""
        found = {}
        for name, getters in self._identifier_getters:
            values = [_get_or_none(getter, input) for getter in getters]
            if present := [value for value in values if isinstance(value, str)]:
                found[name] = present
        return found


def _describe_value(value: Any) -> str:
    return value if isinstance(value, str) else sha256(repr(value).encode(errors="backslashreplace")).hexdigest()


def _get_or_none(getter: Callable[[Any], Any], input: Struct) -> Any:
    try:
        return getter(input)
    except AttributeError:  # an optional structure on the way is not there
        return None


class Router:
    """Finds the operation of a request by its method and its raw path."""

    def __init__(self, operations: Iterable[Operation[Any, Any]]) -> None:
        self._by_method: dict[str, list[Operation[Any, Any]]] = {}
        # GET /datastore/ is GetDatastore with an empty id, and not ListDatastores with a slash behind it.
        for operation in sorted(operations, key=lambda each: "{" not in each.path):
            self._by_method.setdefault(operation.method, []).append(operation)

    def route(self, method: str, path: str) -> tuple[Operation[Any, Any], dict[str, str]]:
        """Return the operation and its labels, decoded. Raises ``UnknownOperationException``."""
        for operation in self._by_method.get(method, ()):
            if found := operation.labels.fullmatch(path):
                return operation, {label: unquote(value) for label, value in found.groupdict().items()}
        raise UnknownOperationException(f"Unable to determine the operation of {method} {path}.")
