"""A local HTTP server that misbehaves as told, and counts what it is asked for.

    with FaultyServer({"a.h5": body}) as server:
        server.fail("a.h5", drop(0.5), times=3)     # then it serves the file as it should
        server.fail("a.h5", endless, times=None)    # or always

A fault is a function of one reply. Bodies are served with ranges, If-Range and ETag unless told otherwise.
"""

import hashlib
import re
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 64 * 1024


class FaultyServer:
    def __init__(self, bodies=None, *, ranges=True, etags=True, headers=None):
        self.bodies = dict(bodies or {})
        self.ranges = ranges
        self.etags = etags
        self.headers = dict(headers or {})
        self.requests = []
        self.sent = 0
        self.under_way = 0
        self.stopped = threading.Event()
        self._faults = {}
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.faulty = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self):
        return self._http.server_port

    def url(self, name=""):
        return f"http://127.0.0.1:{self.port}/{name}"

    def fail(self, name, fault, times=1):
        """Answer the next requests for a file with a fault; ``times=None`` all of them."""
        self._faults.setdefault(name, []).extend([fault] * times if times else [(fault,)])

    def next_fault(self, name):
        with self._lock:
            queue = self._faults.get(name) or [None]
            if isinstance(queue[0], tuple):  # for ever
                return queue[0][0]
            return queue.pop(0) if queue[0] else None

    def note(self, request):
        with self._lock:
            self.requests.append(request)

    def count(self, size):
        with self._lock:
            self.sent += size

    def busy(self, more):
        with self._lock:
            self.under_way += more

    @property
    def statuses(self):
        return Counter(request.status for request in self.requests)


@dataclass
class Request:
    name: str
    headers: dict
    status: int = 0


@dataclass
class Reply:
    """One answer under way: faults compose it from these steps."""

    handler: "_Handler"
    request: Request
    body: bytes
    start: int = 0
    end: int | None = None
    ranged: bool = False
    beyond: bool = False
    extra: dict = field(default_factory=dict)

    @property
    def server(self):
        return self.handler.server.faulty

    def head(self, status=200, length=None, **headers):
        self.request.status = status
        handler = self.handler
        handler.send_response(status)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        for key, value in (self.server.headers | self.extra | headers).items():
            handler.send_header(key.replace("_", "-"), value)
        if "Connection" not in headers:
            handler.send_header("Connection", "close")
        handler.end_headers()

    def send(self, data, pace=None):
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            self.handler.wfile.write(block)
            self.server.count(len(block))

    def chunk(self, data):
        self.handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.server.count(len(data))

    def rest(self):
        return self.body[self.start : self.end]

    def whole_head(self):
        """Send the head that a good server would."""
        if self.beyond:
            self.head(416, 0, Content_Range=f"bytes */{len(self.body)}")
            self.start = len(self.body)
        elif self.start or self.ranged:
            last = self.start + len(self.rest()) - 1
            content_range = f"bytes {self.start}-{last}/{len(self.body)}"
            self.head(206, len(self.rest()), Content_Range=content_range)
        else:
            self.head(200, len(self.body))

    def hang_up(self):
        """Cut the connection the hard way, so that nobody takes it for an end."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.handler.wfile.flush()
        self.handler.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what this is for


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(head_only=True)

    def do_GET(self, head_only=False):
        server = self.server.faulty
        name = self.path.partition("?")[0].lstrip("/")
        request = Request(name, {key.lower(): value for key, value in self.headers.items()})
        server.note(request)
        reply = Reply(self, request, server.bodies.get(name, b""))
        fault = None if head_only else server.next_fault(name)
        if fault is None and name not in server.bodies:
            fault = not_found
        self.prepare(reply)
        if request.headers.get("if-match") not in {None, reply.extra.get("ETag")}:
            fault = fault or status(412)
        if head_only:
            reply.start = 0
            (fault or Reply.whole_head)(reply)
            self.close_connection = True
            return
        server.busy(1)
        with suppress(OSError):
            (fault or good)(reply)
        server.busy(-1)
        self.close_connection = True

    def prepare(self, reply):
        server = self.server.faulty
        if server.etags:
            etag = f'"{hashlib.sha1(reply.body).hexdigest()}"'
            reply.extra["ETag"] = etag
        if server.ranges:
            reply.extra["Accept-Ranges"] = "bytes"
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", reply.request.headers.get("range", ""))
            same = reply.request.headers.get("if-range") in {None, reply.extra.get("ETag")}
            if wanted and "if-range" not in reply.request.headers and int(wanted[1]) >= len(reply.body):
                reply.beyond = True
            elif wanted and same and int(wanted[1]) < len(reply.body):
                reply.start = int(wanted[1])
                reply.end = int(wanted[2]) + 1 if wanted[2] else None
                reply.ranged = True


def good(reply):
    reply.whole_head()
    reply.send(reply.rest())


def drop(at=0.5):
    """Cut the connection at this part of the bytes that are still to come."""

    def fault(reply):
        reply.whole_head()
        reply.send(reply.rest()[: int(len(reply.rest()) * at)])
        reply.handler.wfile.flush()
        time.sleep(0.05)  # a reset overtakes what was sent
        reply.hang_up()

    return fault


def cut_without_length(reply):
    """End early, with nothing that tells how much there should have been."""
    reply.head(200)
    reply.send(reply.body[: len(reply.body) // 2])


def without_length(reply):
    reply.head(200)
    reply.send(reply.body)


def short(reply):
    """Serve fewer bytes, consistently: the length says so too."""
    body = reply.body[: len(reply.body) - 1000]
    reply.head(200, len(body))
    reply.send(body)


def status(code, retry_after=None):
    def fault(reply):
        headers = {"Retry_After": retry_after} if retry_after is not None else {}
        body = b"" if code == 204 else b"sorry"
        reply.head(code, len(body), **headers)
        reply.send(body)

    return fault


def not_found(reply):
    reply.head(404, 9)
    reply.send(b"not found")


def captive_portal(reply):
    page = b"<html><body>Please log in</body></html>" * 20
    reply.extra.pop("ETag", None)
    reply.head(200, len(page), Content_Type="text/html; charset=utf-8")
    reply.send(page)


def stall(reply):
    """Send half, then nothing, and keep the connection open."""
    reply.whole_head()
    reply.send(reply.rest()[: len(reply.rest()) // 2])
    reply.handler.wfile.flush()
    reply.server.stopped.wait(30)


def silent(reply):
    """Accept the request and never answer."""
    reply.request.status = 0
    reply.server.stopped.wait(30)


def trickle(bytes_per_second=4):
    def fault(reply):
        reply.whole_head()
        for byte in reply.rest():
            reply.send(bytes([byte]))
            reply.handler.wfile.flush()
            if reply.server.stopped.wait(1 / bytes_per_second):
                return

    return fault


def wrong_byte(reply):
    body = bytearray(reply.body)
    body[len(body) // 2] ^= 1
    reply.body = bytes(body)
    good(reply)


def changed_then_dropped(old):
    """Serve the old content, under its own tag, and drop half way: the next answer has the new one."""

    def fault(reply):
        reply.extra["ETag"] = '"old"'
        reply.body = old
        drop(0.5)(reply)

    return fault


def ignore_if_range(reply):
    """Answer a range of whatever is there now, although the client's tag is another."""
    wanted = re.fullmatch(r"bytes=(\d+)-", reply.request.headers.get("range", ""))
    reply.start = int(wanted[1]) if wanted else 0
    good(reply)


def endless(reply):
    reply.head(200)
    while not reply.server.stopped.is_set():
        reply.send(b"\0" * BLOCK)


def chunked(reply):
    reply.head(200, Transfer_Encoding="chunked")
    half = len(reply.body) // 2
    for data in (reply.body[:half], reply.body[half:]):
        reply.chunk(data)
    reply.handler.wfile.write(b"0\r\n\r\n")


def chunked_cut(reply):
    reply.head(200, Transfer_Encoding="chunked")
    reply.chunk(reply.body[: len(reply.body) // 2])


def redirect(to, code=302):
    def fault(reply):
        reply.head(code, 0, Location=to)

    return fault


def encoded_then_dropped(reply):
    """Compress, under a strong tag, and drop half way: at a place that the plain bytes do not have."""
    import gzip

    packed = gzip.compress(reply.body, 1)
    reply.head(200, len(packed), Content_Encoding="gzip")
    reply.send(packed[: len(packed) // 2])
    reply.hang_up()


def encoded(reply):
    """Compress although the client asked for the plain bytes."""
    import gzip

    packed = gzip.compress(reply.body)
    reply.head(200, len(packed), Content_Encoding="gzip")
    reply.send(packed)
