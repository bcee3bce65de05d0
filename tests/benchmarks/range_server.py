"""A far server, in a process of its own: ``python range_server.py FOLDER``; prints its port.

Each request waits 50 ms, and each connection gives 50 MB/s. ``/counts`` answers with the requests, the bytes of bodies
and the most requests at once since it was last asked.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

LATENCY = 0.05
"""Seconds until an answer begins."""

RATE = 50e6
"""Bytes a second of one connection."""

_PIECE = 256 * 1024


class FarServer:
    """Serves files of a folder by ranges, and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reset()
        self.live = 0

    def reset(self) -> None:
        self.requests = self.bytes = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split(None, 2)
                if target == "/counts":
                    self.tell(writer)
                else:
                    await self.answer(writer, method, self.folder / target.lstrip("/").split("?")[0], head)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def tell(self, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"requests": self.requests, "bytes": self.bytes, "most": self.most}).encode()
        self.reset()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def answer(self, writer: asyncio.StreamWriter, method: str, path: Path, head: str) -> None:
        self.requests += 1
        self.live += 1
        self.most = max(self.most, self.live)
        try:
            await asyncio.sleep(LATENCY)
            size = path.stat().st_size
            asked = re.search(r"(?i)^range: bytes=(\d+)-(\d*)", head, re.MULTILINE)
            first = int(asked[1]) if asked else 0
            last = min(int(asked[2]), size - 1) if asked and asked[2] else size - 1
            status = "206 Partial Content" if asked else "200 OK"
            lines = [f"HTTP/1.1 {status}", f"Content-Length: {last - first + 1}", "Accept-Ranges: bytes"]
            lines += [f"Content-Range: bytes {first}-{last}/{size}"] if asked else []
            writer.write("\r\n".join([*lines, f'ETag: "{size}"', "", ""]).encode())
            if method != "HEAD":
                await self.send(writer, path, first, last + 1)
        finally:
            self.live -= 1

    async def send(self, writer: asyncio.StreamWriter, path: Path, at: int, end: int) -> None:
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        with path.open("rb") as file:
            file.seek(at)
            while sent < end - at:
                piece = file.read(min(_PIECE, end - at - sent))
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                self.bytes += len(piece)
                early = sent / RATE - (loop.time() - begun)
                if early > 0.001:
                    await asyncio.sleep(early)


async def main() -> None:
    far = FarServer(Path(sys.argv[1]))
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
