"""Ask the AWS Labs HealthImaging MCP server, as an assistant does, to list versions; print its answer."""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(arguments):
    command = Path(sys.executable).parent / "awslabs.healthimaging-mcp-server"
    parameters = StdioServerParameters(command=str(command), env=dict(os.environ))
    async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
        await session.initialize()
        result = await session.call_tool("list_image_set_versions", arguments)
    print(result.content[0].text)


asyncio.run(main(json.loads(sys.argv[1])))
