from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from healthimaging_emulator.healthimaging.dicom import Attribute, find_attribute, fits, is_private, is_vr, level_of
from tests.healthimaging.dicom_dictionary import generate_lines

RESOURCES = files("healthimaging_emulator.healthimaging")


def test_the_dictionary_equals_pydicoms_line_by_line() -> None:
    lines = RESOURCES.joinpath("dicom_dictionary.txt").read_text("ascii").splitlines()

    assert lines == generate_lines()


def test_each_line_of_the_dictionary_is_an_attribute() -> None:
    for line in generate_lines():
        keyword, tag, vrs, vm = line.split(" ")
        assert find_attribute(keyword) == Attribute(keyword, tag, tuple(vrs.split("/")), vm)


def test_an_attribute_has_a_tag_vrs_and_a_multiplicity() -> None:
    assert find_attribute("SmallestImagePixelValue") == Attribute(
        "SmallestImagePixelValue", "00280106", ("US", "SS"), "1"
    )


def test_a_repeating_attribute_has_placeholders_in_its_tag() -> None:
    assert find_attribute("OverlayRows") == Attribute("OverlayRows", "60xx0010", ("US",), "1")


@pytest.mark.parametrize("keyword", ["", "Patientname", "00100010", "Item"])
def test_an_unknown_keyword_is_no_attribute(keyword: str) -> None:
    assert find_attribute(keyword) is None


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("PatientName", False), ("OtherPatientNames", True), ("PixelSpacing", True), ("ImageType", True)],
)
def test_an_attribute_may_be_multi_valued_unless_its_vm_is_1(keyword: str, expected: bool) -> None:
    attribute = find_attribute(keyword)

    assert attribute is not None
    assert attribute.may_be_multi_valued is expected


@pytest.mark.parametrize(("keyword", "expected"), [("OtherPatientIDsSequence", True), ("OtherPatientNames", False)])
def test_a_sequence_is_told_by_its_vr(keyword: str, expected: bool) -> None:
    attribute = find_attribute(keyword)

    assert attribute is not None
    assert attribute.is_sequence is expected


@pytest.mark.parametrize(("value", "expected"), [(-1, True), (65_535, True), (-32_769, False), (65_536, False)])
def test_an_attribute_accepts_a_value_of_any_of_its_vrs(value: int, expected: bool) -> None:
    attribute = find_attribute("SmallestImagePixelValue")

    assert attribute is not None
    assert attribute.accepts(value) is expected


@pytest.mark.parametrize(
    ("keyword", "level"),
    [
        ("PatientName", "Patient"),
        ("ClinicalTrialProtocolEthicsCommitteeApprovalNumber", "Patient"),
        ("StudyInstanceUID", "Study"),
        ("ConsentForClinicalTrialUseSequence", "Study"),
        ("Modality", "Series"),
        ("PositionReferenceIndicator", "Series"),
        ("SOPInstanceUID", "Instance"),
        ("NoAttribute", "Instance"),
        ("00191001", "Instance"),
    ],
)
def test_an_attribute_belongs_to_the_instance_unless_the_list_says_otherwise(keyword: str, level: str) -> None:
    assert level_of(keyword) == level


def test_the_levels_name_each_attribute_once_and_as_the_standard_does() -> None:
    rows = [line.split(" ") for line in RESOURCES.joinpath("dicom_levels.txt").read_text("ascii").splitlines()]
    keywords = [keyword for _, keyword in rows]

    assert {level for level, _ in rows} == {"Patient", "Study", "Series"}
    assert len(set(keywords)) == len(keywords) == 140
    assert [keyword for keyword in keywords if find_attribute(keyword) is None] == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("00191001", True),
        ("001910F9", True),
        ("001F1001", True),
        ("00181001", False),
        ("001910f9", False),
        ("0019100", False),
        ("001910011", False),
        ("٠٠١٩١٠٠١", False),
        ("PatientName", False),
    ],
)
def test_a_private_element_has_an_odd_group_in_eight_upper_case_digits(key: str, expected: bool) -> None:
    assert is_private(key) is expected


def test_each_vr_of_the_dictionary_is_one() -> None:
    vrs = {vr for line in generate_lines() for vr in line.split(" ")[2].split("/")}

    assert [vr for vr in sorted(vrs) if not is_vr(vr)] == []
    assert not is_vr("XX")


FITTING: list[tuple[str, Any]] = [
    ("AE", "A" * 16),
    ("AE", " STORE-1 "),
    ("AS", "018M"),
    ("AT", "001810F9"),
    ("CS", "A_B 9 "),
    ("CS", "A" * 16),
    ("DA", "20260131"),
    ("DS", "-1.5e-3 "),
    ("DS", " .5"),
    ("DS", "1."),
    ("DS", "1234567890.12345"),
    ("DT", "2026"),
    ("DT", "20260131235960.123456+0100"),
    ("DT", "202601-0100 "),
    ("IS", " -12 "),
    ("IS", "+2147483647"),
    ("IS", "-2147483648"),
    ("IS", " -2147483648"),
    ("LO", "é" * 64),
    ("LO", "\x1b$B"),
    ("LT", "a\\b\r\n\t\f" + "c" * 10_233),
    ("PN", "TEST^ONE"),
    ("PN", "A^B^C^D^E=F=G "),
    ("PN", "A" * 64 + "=" + "B" * 64 + "=" + "C" * 64),
    ("SH", "a" * 16),
    ("ST", "a" * 1024),
    ("TM", "23"),
    ("TM", "0709"),
    ("TM", "070907.123456 "),
    ("UC", "a" * 70_000),
    ("UI", "1.2.840.0"),
    ("UI", "1.2\0"),
    ("UI", "1." * 31 + "12"),
    ("UR", "https://example.com/a?b=c#d "),
    ("UT", "line\r\nline \\"),
    ("US", 0),
    ("US", 65_535),
    ("SS", -32_768),
    ("SS", 32_767),
    ("UL", 4_294_967_295),
    ("SL", -2_147_483_648),
    ("SL", 2_147_483_647),
    ("SV", -(2**63)),
    ("SV", 2**63 - 1),
    ("UV", 2**64 - 1),
    ("FL", 1.5),
    ("FL", 1),
    ("FL", 3.4028234663852886e38),
    ("FD", 1e308),
    ("OB", "AAE="),
    ("OW", ""),
    ("UN", "AAEC"),
    ("SQ", []),
    ("SQ", [{}, {"CodeValue": "1"}]),
    ("LO", None),
    ("US", None),
    ("US", ""),
    ("SQ", ""),
    ("SQ", None),
    ("DS", ["1 ", None, "2"]),
    ("US", [1, 2]),
    ("CS", []),
]


@pytest.mark.parametrize(("vr", "value"), FITTING)
def test_a_value_fits(vr: str, value: Any) -> None:
    assert fits(vr, value)


NOT_FITTING: list[tuple[str, Any]] = [
    ("AE", "A" * 17),
    ("AE", "A\\B"),
    ("AE", "é"),
    ("AE", "  "),
    ("AS", "18M"),
    ("AS", "018m"),
    ("AS", "018M "),
    ("AT", "0018"),
    ("AT", "0018100G"),
    ("AT", "001810F9 "),
    ("CS", "a"),
    ("CS", "A-B"),
    ("CS", "A" * 17),
    ("DA", "2026-01-31"),
    ("DA", "20261301"),
    ("DA", "20260132"),
    ("DA", "202601"),
    ("DA", "20260131 "),
    ("DA", "٢٠٢٦٠١٣١"),
    ("DS", "1,5"),
    ("DS", "."),
    ("DS", "1e"),
    ("DS", "NaN"),
    ("DS", "1234567890.123456"),
    ("DS", 1.5),
    ("DT", "20261"),
    ("DT", "2026+01"),
    ("DT", "20260131235960.1234567"),
    ("DT", "20260131235960.123456+0100 "),
    ("IS", "1.0"),
    ("IS", "٢"),
    ("IS", "2147483648"),
    ("IS", "-2147483649"),
    ("IS", "0000000000001"),
    ("IS", 1),
    ("LO", "a" * 65),
    ("LO", "a\\b"),
    ("LO", "a\nb"),
    ("LO", "\x7f"),
    ("LO", "\x85"),
    ("LT", "a" * 10_241),
    ("LT", "\x00"),
    ("PN", "A" * 65),
    ("PN", "A=" + "B" * 65),
    ("PN", "A^B^C^D^E^F"),
    ("PN", "A=B=C=D"),
    ("PN", "A\\B"),
    ("PN", {"Alphabetic": "TEST^ONE"}),
    ("SH", "a" * 17),
    ("ST", "a" * 1025),
    ("ST", "\x0b"),
    ("TM", "24"),
    ("TM", "0760"),
    ("TM", "070961"),
    ("TM", "07:09"),
    ("TM", "070907."),
    ("TM", "070907.123456  "),
    ("UC", "a\\b"),
    ("UI", "1.02"),
    ("UI", "1..2"),
    ("UI", "1.2."),
    ("UI", "a"),
    ("UI", "1." * 32 + "1"),
    ("UR", " https://example.com"),
    ("UR", "a b"),
    ("UR", "é"),
    ("UT", "\x1f"),
    ("US", -1),
    ("US", 65_536),
    ("US", 1.0),
    ("US", True),
    ("US", "1"),
    ("SS", -32_769),
    ("SS", 32_768),
    ("UL", 2**32),
    ("SL", 2**31),
    ("SV", 2**63),
    ("UV", 2**64),
    ("FL", 3.5e38),
    ("FL", "1.5"),
    ("FD", float("nan")),
    ("FD", float("inf")),
    ("FD", 10**400),
    ("OB", "AAE"),
    ("OB", "A A="),
    ("OB", "AA\nA="),
    ("OW", "é"),
    ("UN", 1),
    ("SQ", {}),
    ("SQ", [[]]),
    ("SQ", ["a"]),
    ("DS", ["1", "a"]),
    ("DS", [["1"]]),
    ("LO", {}),
    ("XX", "a"),
    ("XX", 1),
]


@pytest.mark.parametrize(("vr", "value"), NOT_FITTING)
def test_a_value_does_not_fit(vr: str, value: Any) -> None:
    assert not fits(vr, value)
