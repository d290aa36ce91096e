"""Make the calls of a job with aiobotocore, and print what it returned or raised."""

import asyncio
import json
import sys
from datetime import datetime

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError


async def call(client, operation, arguments, paginate):
    try:
        if paginate:
            pages = [page async for page in client.get_paginator(operation).paginate(**arguments)]
        else:
            pages = [await getattr(client, operation)(**arguments)]
        return [{name: value for name, value in page.items() if name != "ResponseMetadata"} for page in pages]
    except ClientError as error:
        modelled = type(error) is not ClientError
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return error.response["Error"] | {"status": status, "modelled": modelled}


async def main(job):
    options = job.get("client", {})
    async with get_session().create_client(
        "medical-imaging", config=AioConfig(**job.get("config", {})), **options
    ) as client:
        members = client.meta.service_model.shape_for("ImageSetProperties").members
        results = [
            await call(client, each["operation"], each["arguments"], each.get("paginate")) for each in job["calls"]
        ]
    print(json.dumps({"members": list(members), "results": results}, default=datetime.timestamp))


asyncio.run(main(json.loads(sys.argv[1])))
