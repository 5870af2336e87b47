"""Web sockets of the PyPI package `websockets`: an app that echoes, and a client.

serve             prints its port, and echoes
talk URL [TOKEN]  sends texts, bytes, a large message and a ping, and says `fine`
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def run():
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


async def talk(url, token=None):
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    trust = None
    if url.startswith("wss:"):
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    port = int(url.split("/")[2].rsplit(":", 1)[1])
    async with connect(
        url, additional_headers=fields, ssl=trust, host="127.0.0.1", port=port, max_size=None
    ) as socket:
        for message in ["hello", b"\x00\xff" * 1000, "x" * 1_000_000, ""]:
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
    assert socket.close_code == 1000, socket.close_code
    print("fine")


if sys.argv[1] == "serve":
    asyncio.run(run())
else:
    asyncio.run(talk(*sys.argv[2:]))
