"""All writes of two accounts in any order, with faults and clocks, compared with a model after every step.

The same steps run in this process and over HTTP, each time through boto3.
"""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from healthimaging_emulator import Emulator, Fault, RemoteAccount
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, UNKNOWN
from tests.healthimaging.documents import INSTANCE, OTHER_INSTANCE, SERIES, STUDY, document
from tests.raw import HANG_SECONDS

from .account_model import NOT_FOUND, SECONDS, Account, Content, Datastore, ImageSet, Row

ACCOUNTS = ["111111111111", "222222222222"]
FIRST, SECOND = "a" * 32, "b" * 32
START = 1700000000.0
INPUT = "s3://input/scan/"
ONCE = Config(retries={"total_max_attempts": 1})

SEEDED: dict[str, Content] = {
    FIRST: Content(STUDY, "TEST^ONE", ((SERIES, frozenset({INSTANCE})),)),
    SECOND: Content(STUDY, "TEST^ONE", ((SERIES, frozenset({OTHER_INSTANCE})),)),
}
IMPORTED = Content("1.2.7", "TEST^IMPORTED", (("1.2.7.1", frozenset({"1.2.7.1.1"})),))


def write(content: Content) -> dict[str, Any]:
    """Return the metadata document of a content."""
    written = document(PatientName=content.patient)
    written["Study"]["DICOM"]["StudyInstanceUID"] = content.study
    written["Study"]["Series"] = {
        uid: {
            "DICOM": {"SeriesInstanceUID": uid, "Modality": "CT"},
            "Instances": {each: {"DICOM": {"SOPInstanceUID": each}, "ImageFrames": []} for each in instances},
        }
        for uid, instances in content.series
    }
    return written


def read(document: dict[str, Any]) -> Content:
    """Return the content of a metadata document."""
    study = document["Study"]
    series = tuple((uid, frozenset(each["Instances"])) for uid, each in study["Series"].items())
    return Content(study["DICOM"]["StudyInstanceUID"], document["Patient"]["DICOM"]["PatientName"], series)


SEED = {
    "datastores": [
        {
            "datastoreId": DATASTORE,
            "imageSets": [
                {
                    "imageSetId": id,
                    "metadata": write(content),
                    "versions": [
                        {"versionId": "1", "imageSetState": "ACTIVE", "createdAt": 1.5, "isPrimary": id == FIRST}
                    ],
                }
                for id, content in SEEDED.items()
            ],
        }
    ],
    "imports": [{"inputS3Uri": INPUT, "imageSets": [{"metadata": write(IMPORTED)}]}],
}


def make_model() -> Account:
    image_sets = {
        id: ImageSet(DATASTORE, [Row("ACTIVE", None, None, content)], is_primary=id == FIRST)
        for id, content in SEEDED.items()
    }
    return Account(START, {DATASTORE: Datastore("ACTIVE")}, image_sets)


accounts, numbers = st.sampled_from(ACCOUNTS), st.integers(0, 30)
tokens, tag_maps = (
    st.sampled_from(["t-1", "t-2", "t-3"]),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")),
)


class InProcess(RuleBasedStateMachine):
    """Writes to an emulator and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.emulator = Emulator.from_seed(SEED, transition_reads=None, transition_seconds=SECONDS)
        self.views = {account: self.view(account) for account in ACCOUNTS}
        self.clients = {account: self.client(account) for account in ACCOUNTS}
        self.models = {account: make_model() for account in ACCOUNTS}
        for view in self.views.values():
            view.clock.freeze(START)

    def teardown(self) -> None:
        with self.closing:
            for account in ACCOUNTS:
                self.advance(account, 2 * SECONDS)
                self.compare(account)
                self.compare_documents(account)

    def view(self, account: str) -> Any:
        return self.emulator.account(account)

    def client(self, account: str) -> Any:
        return self.emulator.client(aws_access_key_id=account, config=ONCE)

    # Short ways to name and to call.

    def pick(self, account: str, number: int) -> tuple[str, str]:
        """Pick an image set, seldom one that is not there, and return its data store too."""
        image_sets = self.models[account].image_sets
        id = [*image_sets, UNKNOWN][number % (len(image_sets) + (number > 20))]
        return (image_sets[id].datastore if id in image_sets else DATASTORE), id

    def pick_datastore(self, account: str, number: int) -> str:
        datastores = [*self.models[account].datastores]
        return [*datastores, UNKNOWN][number % (len(datastores) + (number > 20))]

    def latest(self, account: str, id: str, number: int) -> str:
        """Return the number of the latest version, or seldom of another one."""
        found = self.models[account].image_sets.get(id)
        return str((len(found.rows) if found else 1) + (number > 27))

    def call(self, account: str, operation: str, **arguments: Any) -> tuple[str | None, dict[str, Any]]:
        try:
            return None, getattr(self.clients[account], operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"], {}

    def new_ids(self, account: str, datastore: str) -> list[str]:
        """Return the image sets of a data store that the model does not know."""
        there = (each.image_set_id for each in self.views[account].datastore(datastore).image_sets)
        return [id for id in there if id not in self.models[account].image_sets]

    # Time and faults.

    @rule(account=accounts, seconds=st.sampled_from([0.5, 1.0, SECONDS, 2 * SECONDS]))
    def advance(self, account: str, seconds: float) -> None:
        self.views[account].clock.advance(seconds)
        self.models[account].advance(seconds)

    @rule()
    def end_everything(self) -> None:
        for account in ACCOUNTS:
            self.advance(account, 2 * SECONDS)

    @rule(account=accounts)
    def begin_again(self, account: str) -> None:
        self.views[account].reset()
        self.views[account].clock.freeze(START)
        self.models[account] = make_model()

    @rule(account=accounts, number=numbers, code=st.sampled_from(["ThrottlingException", "InternalServerException"]))
    def refuse(self, account: str, number: int, code: str) -> None:
        """Let a fault refuse a write: nothing changes."""
        self.views[account].faults.add(Fault.error(code, times=1, id="refuse"))
        datastore, id = self.pick(account, number)
        assert self.call(account, "delete_image_set", datastoreId=datastore, imageSetId=id)[0] == code
        self.views[account].faults.remove("refuse")

    # Writes.

    @rule(account=accounts, token=tokens, tags=tag_maps, is_lost=st.booleans())
    def create_datastore(self, account: str, token: str, tags: dict[str, str], is_lost: bool) -> None:
        """Create a data store; if the answer is lost, the same client token gets it again."""
        model = self.models[account]
        is_known, refusal = model.recall("CreateDatastore", token, tags)
        if is_lost and not refusal:
            self.views[account].faults.add(Fault.error("Lost", status=503, when="after", times=1))
            assert self.call(account, "create_datastore", clientToken=token, tags=tags)[0] == "Lost"
        code, answer = self.call(account, "create_datastore", clientToken=token, tags=tags)
        assert code == refusal
        if answer and is_known:
            assert answer["datastoreId"] == model.tokens["CreateDatastore", token][1]
        elif answer:
            assert answer["datastoreStatus"] == "CREATING"
            model.create_datastore(answer["datastoreId"], token, tags, tags)

    @rule(account=accounts, number=numbers)
    def delete_datastore(self, account: str, number: int) -> None:
        id = self.pick_datastore(account, number)
        code, _ = self.call(account, "delete_datastore", datastoreId=id)
        assert code == self.models[account].delete_datastore(id)

    @rule(account=accounts, number=numbers, name=st.sampled_from(["TEST^ONE", "TEST^TWO"]))
    def update(self, account: str, number: int, name: str) -> None:
        datastore, id = self.pick(account, number)
        latest = self.latest(account, id, number)
        updates = {"updatableAttributes": json.dumps({"Patient": {"DICOM": {"PatientName": name}}}).encode()}
        code, _ = self.change(account, datastore, id, latest, {"DICOMUpdates": updates})
        found = self.models[account].image_sets.get(id)
        content = replace(found.latest.content, patient=name) if found else None
        assert code == self.models[account].update(datastore, id, latest, content)

    @rule(account=accounts, number=numbers, is_fault=st.booleans())
    def fail_to_update(self, account: str, number: int, is_fault: bool) -> None:
        """Let an update fail, by what it removes or by a fault."""
        datastore, id = self.pick(account, number)
        latest = self.latest(account, id, number)
        if is_fault:
            workflow = Fault.workflow("failed", id="fail", operation="UpdateImageSetMetadata")
            self.views[account].faults.add(workflow)
        attributes = {"PatientSex": None} if is_fault else {"PatientName": "TEST^NOBODY"}
        removed = {"removableAttributes": json.dumps({"Patient": {"DICOM": attributes}}).encode()}
        code, _ = self.change(account, datastore, id, latest, {"DICOMUpdates": removed})
        assert code == self.models[account].update(datastore, id, latest, None)
        if is_fault:
            self.views[account].faults.remove("fail")

    @rule(account=accounts, number=numbers, earlier=st.integers(0, 5))
    def revert(self, account: str, number: int, earlier: int) -> None:
        datastore, id = self.pick(account, number)
        latest = self.latest(account, id, number)
        found = self.models[account].image_sets.get(id)
        rows = found.rows if found else []
        revert_to = 1 + earlier % (len(rows) + 1)
        code, _ = self.change(account, datastore, id, latest, {"revertToVersionId": str(revert_to)})
        model = self.models[account]
        is_missing = revert_to > len(rows) and not model.refuse_read(datastore, id)
        content = rows[revert_to - 1].content if revert_to <= len(rows) else None
        assert code == (NOT_FOUND if is_missing else model.update(datastore, id, latest, content))

    def change(self, account: str, datastore: str, id: str, latest: str, updates: Any) -> tuple[str | None, Any]:
        return self.call(
            account,
            "update_image_set_metadata",
            datastoreId=datastore,
            imageSetId=id,
            latestVersionId=latest,
            updateImageSetMetadataUpdates=updates,
        )

    @rule(account=accounts, number=numbers)
    def delete(self, account: str, number: int) -> None:
        datastore, id = self.pick(account, number)
        code, _ = self.call(account, "delete_image_set", datastoreId=datastore, imageSetId=id)
        assert code == self.models[account].delete(datastore, id)

    @rule(account=accounts, number=numbers, into=st.one_of(st.none(), numbers), force=st.booleans())
    def copy(self, account: str, number: int, into: int | None, force: bool) -> None:
        datastore, id = self.pick(account, number)
        source, target = (id, self.latest(account, id, number)), None
        information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": source[1]}}
        if into is not None:
            _, other = self.pick(account, into)
            target = other, self.latest(account, other, into)
            information["destinationImageSet"] = {"imageSetId": other, "latestVersionId": target[1]}
        code, answer = self.call(
            account,
            "copy_image_set",
            datastoreId=datastore,
            sourceImageSetId=id,
            copyImageSetInformation=information,
            force=force,
        )
        model = self.models[account]
        assert code == model.copy(datastore, source, target, force=force)
        if answer and target is None:
            (made,) = self.new_ids(account, datastore)
            assert answer["destinationImageSetProperties"]["imageSetId"] == made
            model.add_copy(datastore, id, made)

    @rule(account=accounts, number=numbers, token=tokens)
    def start_import(self, account: str, number: int, token: str) -> None:
        model, datastore = self.models[account], self.pick_datastore(account, number)
        code, answer = self.call(
            account,
            "start_dicom_import_job",
            datastoreId=datastore,
            clientToken=token,
            dataAccessRoleArn="arn:aws:iam::000000000000:role/import",
            inputS3Uri=INPUT,
            outputS3Uri="s3://output/",
        )
        is_known, refusal = model.recall("StartDICOMImportJob", token, datastore)
        assert code == (model.refuse_datastore(datastore) or refusal)
        if code or is_known:
            return
        wait_for_imports()
        model.start_job(datastore, answer["jobId"], token, datastore)
        if found := model.find_primary(datastore, IMPORTED):
            model.join(found, IMPORTED)
        else:
            (made,) = self.new_ids(account, datastore)
            row = Row("ACTIVE", "CREATED", model.now, IMPORTED)
            model.image_sets[made] = ImageSet(datastore, [row], is_primary=True)

    @rule(account=accounts, number=numbers, is_datastore=st.booleans(), tags=tag_maps, untags=st.booleans())
    def tag(self, account: str, number: int, is_datastore: bool, tags: dict[str, str], untags: bool) -> None:
        datastore, id = self.pick(account, number)
        arn = f"arn:aws:medical-imaging:us-east-1:{account}:datastore/{datastore}" + (
            "" if is_datastore else f"/imageset/{id}"
        )
        expected = self.models[account].tags_of(datastore, None if is_datastore else id)
        operation = ("untag_resource", {"tagKeys": [*tags, "z"]}) if untags else ("tag_resource", {"tags": tags})
        code, _ = self.call(account, operation[0], resourceArn=arn, **operation[1])
        assert code == (NOT_FOUND if expected is None else None)
        if expected is not None:
            for key, value in tags.items():
                expected.pop(key, None) if untags else expected.update({key: value})
            assert self.call(account, "list_tags_for_resource", resourceArn=arn)[1]["tags"] == expected

    # Reads.

    @invariant()
    def every_account_is_as_its_model(self) -> None:
        for account in ACCOUNTS:
            self.compare(account)

    def compare(self, account: str) -> None:
        model, client = self.models[account], self.clients[account]
        stores = client.list_datastores()["datastoreSummaries"]
        assert {each["datastoreId"]: each["datastoreStatus"] for each in stores} == {
            id: each.status for id, each in model.datastores.items()
        }
        for id, datastore in model.datastores.items():
            if datastore.status != "ACTIVE":
                continue
            jobs = client.list_dicom_import_jobs(datastoreId=id)["jobSummaries"]
            there = {f"{id}/{each['jobId']}": each["jobStatus"] for each in jobs}
            assert there == {job: status for job, status in model.jobs.items() if job.startswith(f"{id}/")}
            summaries = client.search_image_sets(datastoreId=id)["imageSetsMetadataSummaries"]
            assert {
                each["imageSetId"]: (str(each["version"]), each["DICOMTags"]["DICOMPatientName"]) for each in summaries
            } == {
                image_set_id: each.found
                for image_set_id, each in model.image_sets.items()
                if each.datastore == id and each.latest.state != "DELETED"
            }
        for id, image_set in model.image_sets.items():
            if model.datastores[image_set.datastore].status == "ACTIVE":
                listed = client.list_image_set_versions(datastoreId=image_set.datastore, imageSetId=id)
                rows = [row_of(each) for each in reversed(listed["imageSetPropertiesList"])]
                assert rows == [
                    (row.state, row.status, row.updated_at if index else None)
                    for index, row in enumerate(image_set.rows)
                ]

    def compare_documents(self, account: str) -> None:
        """Compare every version of every image set that can be read."""
        for id, image_set in self.models[account].image_sets.items():
            refusal = self.models[account].refuse_metadata(image_set.datastore, id)
            for number, row in enumerate(image_set.rows, start=1):
                code, answer = self.call(
                    account,
                    "get_image_set_metadata",
                    datastoreId=image_set.datastore,
                    imageSetId=id,
                    versionId=str(number),
                )
                assert code == refusal
                if answer:
                    stored = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
                    assert read(stored) == row.content


def row_of(properties: dict[str, Any]) -> tuple[str, str | None, float | None]:
    updated = properties.get("updatedAt")
    return properties["imageSetState"], properties.get("ImageSetWorkflowStatus"), updated and updated.timestamp()


def wait_for_imports() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("import "):
            thread.join(HANG_SECONDS)


class OverHttp(InProcess):
    """The same, on a server."""

    def view(self, account: str) -> Any:
        if not hasattr(self, "server"):
            self.server = self.closing.enter_context(self.emulator.serve())
        return RemoteAccount(self.server.url, account)

    def client(self, account: str) -> Any:
        url = make_endpoint(self.server.url)
        client = boto3.client("medical-imaging", "us-east-1", None, None, None, url, account, "secret", config=ONCE)
        self.closing.callback(client.close)
        return client


EXAMPLES = settings.default.max_examples if settings.default else 50
TestInProcess = pytest.mark.newest_boto3(InProcess.TestCase)
TestInProcess.settings = settings(max_examples=EXAMPLES // 2, stateful_step_count=30)
TestOverHttp = pytest.mark.newest_boto3(OverHttp.TestCase)
TestOverHttp.settings = settings(max_examples=max(1, EXAMPLES // 16), stateful_step_count=30)
