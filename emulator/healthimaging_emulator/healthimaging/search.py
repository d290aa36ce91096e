"""Search criteria: the rules that AWS's model does not state, and the query that the index of a data store answers."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from ..aws.errors import ValidationException
from ..aws.members import Member, shape_of
from .dicom_tags import is_study_time, read_study_time, strip_padding
from .search_index import Order, Query, Range, SortKey, to_milliseconds
from .shapes.search import DICOMStudyDateAndTime, SearchByAttributeValue, SearchCriteria, SearchFilter, Sort

_TIMES: dict[str, SortKey] = {
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "DICOMStudyDateAndTime": "study_time",
}
"""Attributes that can be sorted and have a range, and their names in the index."""


def read_criteria(criteria: SearchCriteria | None) -> Query:
    """Return the query for search criteria; without any it finds all image sets. Raises ``ValidationException``."""
    if criteria is None:
        return Query()
    equal, ranges = [], []
    for each in criteria.filters or ():
        if each.operator == "EQUAL":
            equal.append(_read_equal(each))
        else:
            ranges.append(_read_range(each))
    by_name = sorted(equal, key=itemgetter(0))
    return Query(tuple(by_name), tuple(ranges), _read_sort(criteria.sort))


def _read_sort(sort: Sort | None) -> Order:
    return Order() if sort is None else Order(_TIMES[sort.sort_field], sort.sort_order == "DESC")


def _read_equal(condition: SearchFilter) -> tuple[str, Any]:
    if len(condition.values) != 1:
        raise ValidationException("A filter with the operator EQUAL must have one value.")
    member, value = _read_value(condition.values[0])
    return _TIMES.get(member.name, member.attribute), value


def _read_range(condition: SearchFilter) -> Range:
    (member, low), (other, high) = map(_read_value, condition.values[:1] + condition.values[-1:])
    if len(condition.values) != 2 or member is not other:
        raise ValidationException("A filter with the operator BETWEEN must have two values of one attribute.")
    if member.name not in _TIMES:
        expected = ", ".join(_TIMES)
        raise ValidationException(f"{member.name} cannot have the operator BETWEEN: expected one of {expected}.")
    if low > high:
        raise ValidationException("A filter with the operator BETWEEN must have the lower value first.")
    return Range(_TIMES[member.name], low, high)


def _read_value(value: SearchByAttributeValue) -> tuple[Member, Any]:
    """Return the one member that a search value has, and its value as the index has it."""
    given = ((member, getattr(value, member.attribute)) for member in shape_of(SearchByAttributeValue).members)
    member, found = next((member, found) for member, found in given if found is not None)
    if isinstance(found, DICOMStudyDateAndTime):
        return member, _read_study_time(found)
    if isinstance(found, str):
        return member, strip_padding(found) or None
    return member, found if isinstance(found, bool) else to_milliseconds(found)


def _read_study_time(given: DICOMStudyDateAndTime) -> int | None:
    """Return a study's date and time as the index has it."""
    date, time = strip_padding(given.study_date), strip_padding(given.study_time or "")
    if not is_study_time(date, time):
        raise ValidationException("DICOMStudyDate must be written YYYYMMDD, and DICOMStudyTime HHMMSS.")
    return read_study_time(date, time)
