"""The questions, in an order in which each finds what the ones before have left. ``expected`` is the emulator's answer.

In an answer, ids that differ from run to run are written as ``{datastore}`` and ``{image_set}``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .account import Account, refusal

UNKNOWN = "f" * 32
PATIENT = {"Patient": {"DICOM": {"PatientSex": "M"}}}


class Question(NamedTuple):
    """A question about the service, and the answer that the emulator gives because nothing is known."""

    text: str
    expected: str
    ask: Callable[[Account], str]


QUESTIONS: list[Question] = []


def question(text: str, expected: str) -> Callable[[Callable[[Account], str]], Callable[[Account], str]]:
    """Add a question to the list."""

    def add(ask: Callable[[Account], str]) -> Callable[[Account], str]:
        QUESTIONS.append(Question(text, expected, ask))
        return ask

    return add


def answer_all(account: Account) -> Iterator[tuple[Question, str]]:
    """Yield each question with its answer; one that cannot be asked has the reason."""
    for each in QUESTIONS:
        try:
            answer = each.ask(account)
        except Exception as error:  # one that fails must not lose the others
            answer = f"could not be asked: {type(error).__name__}: {error}"
        yield each, answer.replace(account.datastore, "{datastore}").replace(first(account), "{image_set}")


def first(account: Account) -> str:
    """Return the image set that was imported first."""
    found = account.search("EQUAL", {"isPrimary": True})
    return str(found[0]["imageSetId"]) if found else "-" * 32


def versions(account: Account, image_set: str) -> str:
    answer = account.client.list_image_set_versions(datastoreId=account.datastore, imageSetId=image_set)
    listed = answer["imageSetPropertiesList"]
    return ", ".join(f"{each['versionId']} {each['ImageSetWorkflowStatus']}" for each in listed)


# Reading.


@question("Are unset members null in ListImageSetVersions?", "null")
def unset_members(account: Account) -> str:
    versions(account, first(account))
    return "null" if b'"nextToken":null' in account.body.replace(b" ", b"") else "absent"


@question(
    "What does GetDatastore answer for an unknown data store?",
    f"ResourceNotFoundException: Datastore {UNKNOWN} was not found.",
)
def unknown_datastore(account: Account) -> str:
    return refusal(lambda: account.client.get_datastore(datastoreId=UNKNOWN))


@question(
    "What does GetImageSet answer for an unknown image set?",
    f"ResourceNotFoundException: ImageSet {UNKNOWN} was not found in Datastore {{datastore}}.",
)
def unknown_image_set(account: Account) -> str:
    return refusal(lambda: account.get(UNKNOWN))


@question(
    "What does GetImageSet answer for an unknown version?",
    "ResourceNotFoundException: Version 99 of ImageSet {image_set} was not found.",
)
def unknown_version(account: Account) -> str:
    return refusal(lambda: account.get(first(account), versionId="99"))


@question(
    "What does GetImageFrame answer for an unknown frame?",
    f"ResourceNotFoundException: ImageFrame {UNKNOWN} of ImageSet {{image_set}} was not found.",
)
def unknown_frame(account: Account) -> str:
    information = {"imageFrameId": UNKNOWN}
    ids = {"datastoreId": account.datastore, "imageSetId": first(account)}
    return refusal(lambda: account.client.get_image_frame(**ids, imageFrameInformation=information))


@question(
    "Which members has a frame in the metadata?",
    "FrameSizeInBytes, ID, MaxPixelValue, MinPixelValue, PixelDataChecksumFromBaseToFullResolution",
)
def frame_members(account: Account) -> str:
    answer = account.client.get_image_set_metadata(datastoreId=account.datastore, imageSetId=first(account))
    document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    instance = document["Study"]["Series"][account.series]["Instances"][account.instances[0]]
    return ", ".join(sorted(instance["ImageFrames"][0]))


# Search.


@question("Does case count in a search?", "yes")
def case_in_search(account: Account) -> str:
    return "no" if account.search("EQUAL", {"DICOMPatientId": "live-1"}) else "yes"


@question("Is a value with DICOM's padding found?", "yes")
def padding_in_search(account: Account) -> str:
    return "yes" if account.search("EQUAL", {"DICOMPatientId": "LIVE-1"}) else "no"


@question("Are both ends of BETWEEN included?", "yes")
def ends_of_between(account: Account) -> str:
    date = {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240101"}}
    return "yes" if account.search("BETWEEN", date, date) else "no"


@question(
    "What does BETWEEN on a patient's id answer?",
    "ValidationException: DICOMPatientId cannot have the operator BETWEEN: expected one of createdAt, updatedAt, "
    "DICOMStudyDateAndTime.",
)
def between_on_text(account: Account) -> str:
    return refusal(lambda: account.search("BETWEEN", {"DICOMPatientId": "A"}, {"DICOMPatientId": "Z"}))


# Data stores and tags.


@question("Does the same clientToken with the same input give the first answer again?", "yes")
def token_again(account: Account) -> str:
    token = account.run
    answers = [
        account.client.create_datastore(datastoreName=f"{account.run}-token", clientToken=token)["datastoreId"]
        for _ in range(2)
    ]
    account.wait(lambda: account.datastore_status(answers[0]) == "ACTIVE")
    for each in set(answers):
        account.client.delete_datastore(datastoreId=each)
    return "yes" if len(set(answers)) == 1 else "no"


@question(
    "What does the same clientToken with another input answer?",
    "ConflictException: The clientToken was used for another request.",
)
def token_with_another_input(account: Account) -> str:
    create = account.client.create_datastore
    return refusal(lambda: create(datastoreName=f"{account.run}-other", clientToken=account.run))


@question(
    "What does DeleteDatastore answer if it is not empty?",
    "ConflictException: Datastore {datastore} is not empty.",
)
def delete_full_datastore(account: Account) -> str:
    return refusal(lambda: account.client.delete_datastore(datastoreId=account.datastore))


@question("What does UntagResource answer for a tag that is not there?", "no error")
def untag_nothing(account: Account) -> str:
    arn = account.client.get_datastore(datastoreId=account.datastore)["datastoreProperties"]["datastoreArn"]
    return refusal(lambda: account.client.untag_resource(resourceArn=arn, tagKeys=["never"]))


# Updates.


@question(
    "What does a write on a LOCKED image set answer, if its version is not the latest either?",
    "ConflictException: ImageSet {image_set} is LOCKED.",
)
def write_on_locked(account: Account) -> str:
    image_set = first(account)
    account.update(image_set, "1", PATIENT)
    answer = refusal(lambda: account.update(image_set, "1", PATIENT))
    account.settle(image_set)
    return answer


@question("How is the history of an updated image set?", "2 UPDATED, 1 CREATED")
def updated_history(account: Account) -> str:
    return versions(account, first(account))


@question(
    "How does an update end that removes a value which is not there?",
    "3 UPDATE_FAILED, INVALID_REQUEST:  Attribute to remove doesn't match.",
)
def remove_another_value(account: Account) -> str:
    image_set = first(account)
    account.update(image_set, "2", {"Patient": {"DICOM": {"PatientSex": "O"}}}, removable=True)
    ended = account.settle(image_set)
    return f"{ended['versionId']} {ended['imageSetWorkflowStatus']}, {ended['message']}"


@question(
    "What does a revert to an unknown version answer?",
    "ResourceNotFoundException: Version 99 of ImageSet {image_set} was not found.",
)
def revert_to_nowhere(account: Account) -> str:
    return refusal(
        lambda: account.client.update_image_set_metadata(
            datastoreId=account.datastore,
            imageSetId=first(account),
            latestVersionId="3",
            updateImageSetMetadataUpdates={"revertToVersionId": "99"},
        )
    )


# Imports.


@question("How does an import of a further instance end?", "version 4 IMPORTED, primary")
def join(account: Account) -> str:
    manifest = account.import_files("second", account.make_file(2, account.instances[1]))
    (summary,) = manifest["imageSetsSummary"]
    status = account.get(summary["imageSetId"])["imageSetWorkflowStatus"]
    return f"version {summary['imageSetVersion']} {status}, {'' if summary['isPrimary'] else 'not '}primary"


# Copies.


@question("Which number has the first version of a copy, and how does it end?", "1, COPIED, not primary")
def copy_of_all(account: Account) -> str:
    image_set = first(account)
    made = account.copy(image_set, "4")["destinationImageSetProperties"]
    account.settle(image_set)
    ended = account.settle(made["imageSetId"])
    is_primary = "primary" if ended.get("isPrimary") else "not primary"
    return f"{made['latestVersionId']}, {ended['imageSetWorkflowStatus']}, {is_primary}"


@question("Which status has the source after the copy?", "COPIED")
def source_of_copy(account: Account) -> str:
    return str(account.get(first(account))["imageSetWorkflowStatus"])


@question("How does a copy end into an image set that has its instances?", "2 COPY_FAILED")
def copy_again(account: Account) -> str:
    image_set = first(account)
    (other,) = [each["imageSetId"] for each in account.image_sets() if each["imageSetId"] != image_set]
    account.copy(image_set, "4", (other, "1"))
    account.settle(image_set)
    ended = account.settle(other)
    return f"{ended['versionId']} {ended['imageSetWorkflowStatus']}"


# Deletions.


@question("How does GetImageSet show a deleted image set?", "4 DELETED DELETED")
def deleted(account: Account) -> str:
    image_set = first(account)
    account.client.delete_image_set(datastoreId=account.datastore, imageSetId=image_set)
    account.wait(lambda: account.state(image_set) != "LOCKED")
    if account.state(image_set) == "gone":
        return "it is not found"
    ended = account.get(image_set)
    return f"{ended['versionId']} {ended['imageSetState']} {ended['imageSetWorkflowStatus']}"


@question("Can the instances of a deleted image set be imported again?", "yes")
def import_again(account: Account) -> str:
    manifest = account.import_files("again", account.make_file(1, account.instances[0]))
    failures = [line["exception"]["exceptionType"] for line in manifest["failures"]]
    return ", ".join(failures) or "yes"
