"""Make the calls of a job with boto3, and print the pages or the error of each.

In a job, ``{"bytes": "text"}`` stands for bytes; bytes of an answer are printed in base64.
"""

import base64
import json
import sys
from datetime import datetime

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def decode(members):
    return members["bytes"].encode() if set(members) == {"bytes"} else members


def encode(value):
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value.read()).decode()


def call(client, operation, arguments, paginate):
    try:
        pages = (
            client.get_paginator(operation).paginate(**arguments)
            if paginate
            else [getattr(client, operation)(**arguments)]
        )
        return [{name: value for name, value in page.items() if name != "ResponseMetadata"} for page in pages]
    except ClientError as error:
        modelled = type(error) is not ClientError
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return error.response["Error"] | {"status": status, "modelled": modelled}


def main(job):
    if job.get("seed"):  # in process
        from healthimaging_emulator import Emulator

        client = Emulator.from_seed(job["seed"]).client()
    else:
        client = boto3.client("medical-imaging", config=Config(**job.get("config", {})), **job.get("client", {}))
    shapes = ("ImageSetProperties", "GetImageSetResponse")
    members = {name: list(client.meta.service_model.shape_for(name).members) for name in shapes}
    results = [call(client, each["operation"], each["arguments"], each.get("paginate")) for each in job["calls"]]
    print(json.dumps({"members": members, "results": results}, default=encode))


main(json.loads(sys.argv[1], object_hook=decode))
