"""A hello server that knows nothing of us. Usage: hello_server.py PORT (0 takes a free one)"""
import asyncio, sys
from websockets.asyncio.server import serve

async def hello(socket):
    async for name in socket:
        await socket.send(f"Hello {name}!")

async def main():
    async with serve(hello, "127.0.0.1", int(sys.argv[1])) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
