"""A server that behaves as the GDC does, slow as a far one, in a process of its own: ``python slide_server.py PLAN``.

PLAN is JSON: a list of slides, each its path, file name, size of the finest level, and how many of it there are.
Prints its address and the slides as JSON; answers each line on its standard input with the requests and the bytes of
bodies since the last one, and ends with it.
"""

import json
import math
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gdc_server import GdcServer, gdc_slide, level_size
from slide_scans import Picture

LATENCY = 0.08  # seconds before each answer
RATE = 20e6  # bytes a second of each connection


class FarServer(GdcServer):
    """Holds each connection back by itself."""

    _of_connection = threading.local()

    def wait_for_line(self, size: int) -> None:
        line, now = self._of_connection, time.monotonic()
        line.free_at = max(getattr(line, "free_at", 0), now) + size / RATE
        time.sleep(line.free_at - now)


def main() -> None:
    files = []
    for of in json.loads(sys.argv[1]):
        picture = Picture(*of["size"])
        picture.at_size(
            level_size(*of["size"], math.ceil(math.log2(max(of["size"]))) - 5)
        )  # drawn before the clock
        first = gdc_slide(len(files) + 1, body=Path(of["path"]), picture=picture)
        same = {"body": first.body, "md5": first.digest, "picture": first.picture}
        files += [first, *(gdc_slide(len(files) + 1 + more, **same) for more in range(1, of["copies"]))]
    with FarServer(files, latency=LATENCY, quality=75) as server:
        slides = [[file.file_id, file.file_name, file.length, file.digest] for file in files]
        print(json.dumps({"endpoint": server.endpoint, "slides": slides}), flush=True)
        for _ in sys.stdin:
            print(json.dumps({"requests": len(server.requests), "bytes": server.sent}), flush=True)
            server.forget()


if __name__ == "__main__":
    main()
