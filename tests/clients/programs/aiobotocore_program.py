"""Make the calls of a job with aiobotocore, and print the pages or the error of each; see ``boto3_program.py``."""

import asyncio
import base64
import json
import sys
from datetime import datetime

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError


def decode(members):
    return members["bytes"].encode() if set(members) == {"bytes"} else members


def encode(value):
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


async def read(page):
    """Return a page with its streams read."""
    kept = {name: value for name, value in page.items() if name != "ResponseMetadata"}
    return {name: await value.read() if hasattr(value, "read") else value for name, value in kept.items()}


async def call(client, operation, arguments, paginate):
    try:
        if paginate:
            return [await read(page) async for page in client.get_paginator(operation).paginate(**arguments)]
        return [await read(await getattr(client, operation)(**arguments))]
    except ClientError as error:
        modelled = type(error) is not ClientError
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return error.response["Error"] | {"status": status, "modelled": modelled}


async def main(job):
    options = job.get("client", {})
    async with get_session().create_client(
        "medical-imaging", config=AioConfig(**job.get("config", {})), **options
    ) as client:
        shapes = ("ImageSetProperties", "GetImageSetResponse")
        members = {name: list(client.meta.service_model.shape_for(name).members) for name in shapes}
        results = [
            await call(client, each["operation"], each["arguments"], each.get("paginate")) for each in job["calls"]
        ]
    print(json.dumps({"members": members, "results": results}, default=encode))


asyncio.run(main(json.loads(sys.argv[1], object_hook=decode)))
