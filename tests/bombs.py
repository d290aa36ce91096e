"""Inputs that are small and grow large, in a process of its own: ``python -m tests.bombs NAME ...``.

Each function returns the words of the refusal, or of what came of it. The program prints a line for each, with the most
memory that the process has had until then.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import resource
import sys
import zlib
from pathlib import Path
from typing import Any

from botocore.response import StreamingBody
from botocore.stub import Stubber

from healthimaging_emulator import Emulator
from healthimaging_emulator.errors import EmulatorError
from healthimaging_emulator.messages import Response
from tests.demo import DATASTORE, SAMPLE, path
from tests.fuzz.conftest import ask

JSON = [("content-type", "application/json")]
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
UPDATING = path().replace("listImageSetVersions", "updateImageSetMetadata") + "?latestVersion=1"
SEED = {"datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": SAMPLE, "generate": {"versions": 1}}]}]}
MEGABYTE = 1024 * 1024


def request(method: str, target: str, body: bytes = b"", headers: Any = ()) -> str:
    """Send a request to an emulator with default settings, and return the message of its answer."""
    answer: Response = ask(Emulator.from_seed(SEED), method, target, [*JSON, *headers], body)
    document = json.loads(answer.body) if answer.body else {}
    return f"{answer.status} {document.get('message') or document.get('error', {}).get('message')}"


def load(document: bytes, name: str) -> str:
    """Load a seed through the control API, and return the message of its answer."""
    content_type = [("content-type", f"application/{name}")]
    answer = ask(Emulator.from_seed(SEED), "PUT", "/_emulator/seed", [*content_type, ("host", "localhost")], document)
    return f"{answer.status} {json.loads(answer.body)['error']['message'] if answer.body else ''}"


def read_file(document: bytes, suffix: str) -> str:
    """Load a seed from a file, and return the message of the error."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(suffix=suffix) as file:
        file.write(document)
        file.flush()
        try:
            Emulator.from_seed(file.name)
        except EmulatorError as error:
            return str(error).replace(file.name, "FILE")
    return "loaded"


# gzip.


def gzip_request() -> str:  # a compressed body is not inflated: the service takes no Content-Encoding
    bomb = gzip.compress(bytes(64 * MEGABYTE), 1) * 3  # members, one behind the other
    return request("POST", UPDATING, bomb, [("content-encoding", "gzip")])


def gzip_seed() -> str:
    return read_file(gzip.compress(bytes(64 * MEGABYTE), 1) * 3, ".json")


def gzip_capture() -> str:  # ``seed capture`` reads metadata of any server
    from healthimaging_emulator.seeds.capture import Reader

    client = Emulator.from_seed(SEED).client()
    bomb = gzip.compress(bytes(64 * MEGABYTE), 1) * 10
    versions = [{"imageSetId": SAMPLE, "versionId": "1", "imageSetState": "ACTIVE"}]
    with Stubber(client) as stub:
        stub.add_response("list_image_set_versions", {"imageSetPropertiesList": versions})
        blob = StreamingBody(io.BytesIO(bomb), len(bomb))
        stub.add_response("get_image_set_metadata", {"imageSetMetadataBlob": blob})
        try:
            Reader(client, DATASTORE, has_metadata=True).read(SAMPLE)
        except ValueError as error:
            return str(error)
    return "read"


# JSON.


def json_depth() -> str:
    return request("POST", UPDATING, b'{"DICOMUpdates":' + b"[" * 500_000)


def json_depth_of_a_seed() -> str:
    return load(b'{"datastores":' + b"[" * 10 * MEGABYTE, "json")


def json_digits() -> str:  # python would take minutes for an integer of a million digits
    return request("POST", "/datastore", b'{"clientToken": ' + b"9" * 1_000_000 + b"}")


def json_digits_of_a_seed() -> str:  # a number of 10,000,000 digits
    return load(b'{"faults": [{"times": ' + b"9" * 10_000_000 + b"}]}", "json")


def json_keys() -> str:  # about 90,000 members that nobody knows, in the largest body
    keys = ",".join(f'"{number:06}":0' for number in range(90_000))
    return request("POST", "/datastore", f'{{"clientToken": "a", {keys}}}'.encode())


def json_keys_of_a_document() -> str:  # 1,000,000 attributes of a patient
    attributes = ",".join(f'"{number:08X}":"1"' for number in range(1_000_000))
    head = '{"datastores":[{"datastoreId":"%s","imageSets":[{"imageSetId":"%s","metadata":{"Patient":{"DICOM":{'
    tail = '}}},"versions":[{"versionId":"1","imageSetState":"ACTIVE"}]}]}]}'
    return load((head % (DATASTORE, SAMPLE) + attributes + tail).encode(), "json")


# YAML.


def yaml_aliases() -> str:  # ten levels of lists, each of which names the one before ten times
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    return read_file("\n".join(lines).encode(), ".yaml")


def yaml_merges() -> str:  # merge keys that double
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}]}}" for level in range(1, 40)]
    return read_file("\n".join(lines).encode(), ".yaml")


def yaml_depth() -> str:
    return read_file(b"[" * 1_000_000, ".yaml")


# DICOM.


def dicom(change: Any, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """Make a file of nobody with a few pixels."""
    from pydicom import Dataset, FileMetaDataset, dcmwrite
    from pydicom.uid import UID, CTImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, UID("1.2.3.4")
    meta.TransferSyntaxUID = UID(syntax)
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, UID("1.2.3.4")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = UID("1.2"), UID("1.2.3"), "P-1"
    change(dataset)
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def read_dicom(content: bytes) -> str:
    from healthimaging_emulator.healthimaging.imports.instance import NotImportable, read_instance

    try:
        read_instance(content)
    except NotImportable as error:
        return error.message
    return "read"


def dicom_deflated() -> str:  # a data set of 3 MB that becomes 640 MB
    content = dicom(lambda _: None, "1.2.840.10008.1.2.1.99")
    head = content[: 144 + int.from_bytes(content[140:144], "little")]
    deflater, piece = zlib.compressobj(1, wbits=-zlib.MAX_WBITS), bytes(64 * MEGABYTE)
    bomb = b"".join(deflater.compress(piece) for _ in range(10)) + deflater.flush()
    return read_dicom(head + bomb)


def dicom_pixels() -> str:  # a few bytes that say that they are a terabyte of frames

    def change(dataset: Any) -> None:
        dataset.Rows = dataset.Columns = 65_535
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 15, 1, 0
        dataset.PhotometricInterpretation, dataset.NumberOfFrames, dataset.PixelData = "MONOCHROME2", "1000", bytes(100)

    return read_dicom(dicom(change))


def dicom_length() -> str:  # an element that says that it has 4 GB
    element = b"\x20\x00\x00\x40OB\x00\x00\xf0\xff\xff\xff"
    return read_dicom(dicom(lambda _: None) + element)


def dicom_nesting() -> str:  # sequences in sequences, 100,000 levels deep
    opened = b"\x40\x00\x43\xa0SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return read_dicom(dicom(lambda _: None) + opened * 100_000)


# Sizes that the service allows, and more.


def metadata_of_50_megabytes() -> str:  # the largest document that AWS takes is loaded, sent, and updated
    lines = {f"{number:08X}": f"{number:0100}" for number in range(450_000)}
    content = {"Patient": {"DICOM": {"PatientName": "TEST^LARGE"}}, "Study": {"DICOM": lines}}
    image_set = {"imageSetId": SAMPLE, "metadata": content, "versions": [{"versionId": "1", "imageSetState": "ACTIVE"}]}
    emulator = Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]})
    ids: Any = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    client = emulator.client()
    updates = {"updatableAttributes": b'{"Patient": {"DICOM": {"PatientName": "TEST^NEW"}}}'}
    client.update_image_set_metadata(
        **ids, latestVersionId="1", updateImageSetMetadataUpdates={"DICOMUpdates": updates}
    )
    emulator.account().finish_transitions()
    size = len(gzip.decompress(client.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()))
    return f"updated, {size // MEGABYTE} MB"


def tags() -> str:  # as many tags as the largest body holds
    given = ",".join(f'"{letters(number)}":""' for number in range(90_000))
    return request("POST", f"/tags/{ARN}", f'{{"tags": {{{given}}}}}'.encode())


def tags_of_a_seed() -> str:  # 1,000,000 tags of a data store
    given = {letters(number): "" for number in range(1_000_000)}
    return load(json.dumps({"datastores": [{"datastoreId": DATASTORE, "tags": given}]}).encode(), "json")


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def measure_peak() -> int:
    """Return the most memory that this program has had, in bytes. On Linux, rusage counts its parent's too."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.findall("VmHWM: *\t *([0-9]+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    for name in sys.argv[1:]:
        answer = globals()[name]()
        print(json.dumps({"answer": answer, "megabytes": measure_peak() // MEGABYTE}))


if __name__ == "__main__":
    main()
