"""Make the calls of a job with boto3, and print what it returned or raised."""

import json
import sys
from datetime import datetime

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


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
    members = client.meta.service_model.shape_for("ImageSetProperties").members
    results = [call(client, each["operation"], each["arguments"], each.get("paginate")) for each in job["calls"]]
    print(json.dumps({"members": list(members), "results": results}, default=datetime.timestamp))


main(json.loads(sys.argv[1]))
