"""Documents: they are equal by their content, and carry the ids of the image set that they belong to."""

from __future__ import annotations

from healthimaging_emulator import Emulator
from healthimaging_emulator.healthimaging.metadata import Metadata
from tests.demo import DATASTORE, SAMPLE

from .documents import document


def test_documents_are_equal_by_their_content() -> None:
    first, same = (Metadata(document(), DATASTORE, SAMPLE) for _ in range(2))
    assert (first == same, hash(first) == hash(same)) == (True, True)
    for other in (Metadata(document(PatientID="P-2"), DATASTORE, SAMPLE), Metadata(document(), DATASTORE, "a" * 32), 1):
        assert first != other


def test_a_document_of_a_test_carries_the_ids_of_its_image_set() -> None:
    image_set = Emulator.from_seed({}).add_image_set(DATASTORE, SAMPLE, metadata=document())
    image_set.append(image_set_state="ACTIVE", metadata=document(PatientID="P-2"))
    for version in ("1", "2"):
        content = image_set.metadata(version)
        assert (content["DatastoreID"], content["ImageSetID"]) == (DATASTORE, SAMPLE)


def test_a_data_store_that_a_test_adds_by_an_image_set_is_created_now() -> None:
    emulator = Emulator.from_seed({})
    emulator.clock.freeze(1700000000)
    emulator.add_image_set(DATASTORE, SAMPLE)
    properties = emulator.client().get_datastore(datastoreId=DATASTORE)["datastoreProperties"]
    assert {properties[name].timestamp() for name in ("createdAt", "updatedAt")} == {1700000000}
