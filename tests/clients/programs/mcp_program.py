"""Start the AWS Labs HealthImaging MCP server, as an assistant does; print its tools, and its answers to some calls."""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def call(session, tool, arguments):
    result = await session.call_tool(tool, arguments)
    text = result.content[0].text
    return {"error": text} if result.is_error else json.loads(text)


async def main(calls):
    command = Path(sys.executable).parent / "awslabs.healthimaging-mcp-server"
    parameters = StdioServerParameters(command=str(command), env=dict(os.environ))
    async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        results = [await call(session, **each) for each in calls]
    print(json.dumps({"tools": tools, "results": results}))


asyncio.run(main(json.loads(sys.argv[1])["calls"]))
