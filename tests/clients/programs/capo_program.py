"""Make the calls of a job with capo, an SDK that shares no code with AWS's; print the answer or the error of each.

In a job, ``{"bytes": "text"}`` stands for bytes; bytes of an answer are printed in base64.
A call with ``until`` is repeated until the image set has this state, and all its answers are printed.
"""

import base64
import json
import sys
from datetime import datetime

from capo_medical_imaging import MedicalImagingClient
from capo_medical_imaging.errors import ServiceError


def decode(members):
    return members["bytes"].encode() if set(members) == {"bytes"} else members


def encode(value):
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(b"".join(value)).decode()


def call(client, operation, arguments, until=None):
    try:
        answer = getattr(client, operation)(**arguments)
        if operation.startswith("iter_"):
            return list(answer)
        if hasattr(answer, "__enter__"):  # it has a stream, which is open here only
            with answer as opened:
                return json.loads(json.dumps(opened, default=encode))
        if until and answer["image_set_state"] != until:
            return [answer, *call(client, operation, arguments, until)]
        return [answer] if until else answer
    except ServiceError as error:
        return {"error": type(error).__name__, "message": error.data["message"]}


def main(job):
    with MedicalImagingClient() as client:
        results = [call(client, **each) for each in job["calls"]]
        print(json.dumps({"results": results}, default=encode))


main(json.loads(sys.argv[1], object_hook=decode))
