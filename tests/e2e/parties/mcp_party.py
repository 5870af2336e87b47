"""An MCP server of one tool, and an MCP client that finds its way to a token by itself.

mcp_party.py serve            prints `port N`
mcp_party.py call URL         the client credentials of `robot`; prints what the tool answers
"""

import asyncio
import socket
import sys


def serve():
    import uvicorn
    from mcp.server import MCPServer

    server = MCPServer("adder")

    @server.tool()
    def add(a: int, b: int) -> int:
        """The sum of two numbers."""
        return a + b

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"port {listener.getsockname()[1]}", flush=True)
    app = server.streamable_http_app()
    config = uvicorn.Config(app, log_level="warning")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


class Storage:
    """Where the client keeps what it has."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def call(url):
    import httpx2
    from mcp import ClientSession
    from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
    from mcp.client.streamable_http import streamable_http_client

    secret = "robot-secret-robot-secret-robot-secret"
    auth = ClientCredentialsOAuthProvider(url, Storage(), "robot", secret)

    async def show(response):
        request = response.request
        print(f"{request.method} {request.url.path} {response.status_code}", flush=True)

    hooks = {"response": [show]}
    async with httpx2.AsyncClient(auth=auth, event_hooks=hooks, timeout=20) as http:
        async with streamable_http_client(url, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                result = await session.call_tool("add", {"a": 20, "b": 22})
                print(f"answer {result.content[0].text}", flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    asyncio.run(call(sys.argv[2]))
