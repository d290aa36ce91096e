"""Reach an emulator in this process with aiobotocore or aioboto3, and print what the client and the journal saw.

The first argument is the library, the second the HTTP session: aiohttp or httpx.
"""

import asyncio
import gzip
import json
import socket
import sys

from healthimaging_emulator import Emulator, Fault

IDS = {"datastoreId": "12345678901234567890123456789012", "imageSetId": "ea92b0d8838c72a3f25d00d13616f87e"}
MANY = IDS | {"imageSetId": "00000000000000000000000000000137"}
WITH_METADATA = {"datastoreId": "98765432109876543210987654321098", "imageSetId": "chestct0000000000000000000000000"}


def make_client(library, http_session, **options):
    """Return the context manager of a client, made without a region and without credentials."""
    from aiobotocore.config import AioConfig

    if http_session == "httpx":
        from aiobotocore.httpxsession import HttpxSession

        options["http_session_cls"] = HttpxSession
    config = AioConfig(read_timeout=5, **options)
    if library == "aioboto3":
        import aioboto3

        return aioboto3.Session().client("medical-imaging", config=config)
    from aiobotocore.session import get_session

    return get_session().create_client("medical-imaging", config=config)


async def name_error(awaitable):
    """Return the name of the error that a call raises, or its answer."""
    try:
        return await awaitable
    except Exception as error:
        return type(error).__name__


async def use(emulator, client):
    seen = {}
    paginator = client.get_paginator("list_image_set_versions")
    seen["sizes"] = [len(page["imageSetPropertiesList"]) async for page in paginator.paginate(**MANY)]
    answer = await client.get_image_set_metadata(**WITH_METADATA)
    async with answer["imageSetMetadataBlob"] as stream:
        content = await stream.read()
    is_packed = content.startswith(b"\x1f\x8b")  # httpx has unpacked it, in the older aiobotocore
    seen["patient"] = json.loads(gzip.decompress(content) if is_packed else content)["Patient"]["DICOM"]["PatientID"]
    seen["error"] = await name_error(client.get_image_set(datastoreId=IDS["datastoreId"], imageSetId="0" * 32))
    emulator.account().journal.clear()
    for fault in (
        Fault.error("ThrottlingException", times=2),
        Fault.connection("reset", times=1),
        Fault.connection("cut", times=1),
        Fault.connection("stall", seconds=9, times=1),
        Fault.latency(6, times=1),  # on a frozen clock, so nobody waits
    ):
        emulator.faults.add(fault)
        await client.get_image_set(**IDS)
    seen["attempts"] = [[attempt.code or attempt.status for attempt in call.attempts] for call in emulator.calls]
    seen["pauses"] = all(attempt.pause for call in emulator.calls for attempt in call.attempts[1:])
    emulator.faults.add(Fault.connection("cut", times=1))
    answer = await client.get_image_set_metadata(**WITH_METADATA)
    seen["cut"] = await name_error(answer["imageSetMetadataBlob"].read())
    emulator.clock.run()
    emulator.faults.add(Fault.latency(0.05, times=2))
    both = await asyncio.gather(client.get_image_set(**IDS), client.get_image_set(**IDS))
    seen["together"] = [each["versionId"] for each in both]
    return seen


async def main(library, http_session):
    emulator = Emulator.from_seed()
    emulator.clock.freeze()
    connect, socket.socket.connect = socket.socket.connect, None  # nothing may open one
    with emulator.patch(backoff=False):
        async with make_client(library, http_session) as client:
            seen = await use(emulator, client)
    socket.socket.connect = connect
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
