"""AWS's model of the service, as botocore has it, and requests written from it by hand."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import botocore.session

from healthimaging_emulator.messages import Request
from tests.demo import DATASTORE

MODEL = botocore.session.get_session().get_service_model("medical-imaging")
UID = "1.2.840.99999.1"

EXAMPLES: dict[str, Any] = {
    "DatastoreId": DATASTORE,
    "ImageSetId": "0" * 32,
    "ImageFrameId": "f" * 32,
    "JobId": "1" * 32,
    "ImageSetExternalVersionId": "1",
    "ClientToken": "token-1",
    "DatastoreName": "name",
    "JobName": "name",
    "NextToken": "token",
    "Arn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}",
    "RoleArn": "arn:aws:iam::000000000000:role/import",
    "AwsAccountId": "000000000000",
    "S3Uri": "s3://bucket-1/in/",
    "KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:alias/a",
    "LambdaArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
    "MetadataFilePath": "a.json",
    "TagKey": "key",
    "TagValue": "value",
    "DICOMStudyInstanceUID": UID,
    "DICOMSeriesInstanceUID": UID,
}
"""A valid value of each string that has a pattern; any other string is valid as it is."""


def is_union(shape: Any) -> bool:
    return bool(getattr(shape, "is_tagged_union", False))


def matches(shape: Any, value: str) -> bool:
    if shape.name == "MetadataFilePath":  # whose own pattern takes exponential time
        return re.fullmatch("[!-~]([ -~]*[!-~])?", value) is not None
    pattern = shape.metadata["pattern"].replace(r"\p{ASCII}", r"[\x00-\x7F]")
    return re.fullmatch(pattern, value, re.ASCII) is not None


def serialize(operation: str, arguments: dict[str, Any]) -> Request:
    """Write a request by hand: SDKs would refuse many of these."""
    model = MODEL.operation_model(operation)
    path, query, body = model.http["requestUri"], [], {}
    payload = model.input_shape.serialization.get("payload")
    for name, value in arguments.items():
        location = model.input_shape.members[name].serialization
        match location.get("location"):
            case "uri":
                path = path.replace(f"{{{location['name']}}}", quote(value, safe=""))
            case "querystring":
                query += [(location["name"], each) for each in (value if isinstance(value, list) else [value])]
            case _:
                body[name] = value
    content: Any = body.get(payload) if payload else body
    has_content = content is not None and (content or payload)
    text = json.dumps(content, default=lambda each: base64.b64encode(each).decode()).encode() if has_content else b""
    pairs = [(name, str(value).lower() if isinstance(value, bool) else value) for name, value in query]
    return Request(model.http["method"], path, urlencode(pairs), {}, text, len(text))
