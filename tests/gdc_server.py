"""A local server that behaves as the GDC does: files API, data, manifests, tiles, tokens, and its bad days.

    with GdcServer([gdc_slide(1), gdc_slide(2, project="TCGA-BRCA")]) as gdc:
        gdc.endpoint                              # http://127.0.0.1:…
        gdc.fail("files", status(500))            # once; faults are those of faulty_server
        gdc.requests, gdc.sent, gdc.busiest       # what was asked, bytes of bodies, most requests at a time

What it does as the real one does: answers in another order each time unless sorted, ten hits unless told, ``HEAD`` on
data → 400, hex ``Content-MD5``, tile metadata as strings, overlapping tiles.
"""

import hashlib
import io
import json
import math
import mmap
import random
import re
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from faulty_server import BLOCK, FaultyServer, Reply, Request, _Handler, good

RELEASE = "Data Release 43.0 - May 07, 2025"
TOKEN = "token-of-a-test-abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class GdcFile:
    """One file of the server: what it says of it, its bytes, and the picture that its tiles show."""

    file_name: str
    file_id: str
    body: bytes | Path = b""
    project: str = "TCGA-LUAD"
    case: str = "TCGA-05-4244"
    primary_site: str = "Bronchus and lung"
    disease_type: str = "Adenomas and Adenocarcinomas"
    sample_type: str = "Primary Tumor"
    strategy: str = "Diagnostic Slide"
    access: str = "open"
    state: str = "released"
    picture: Any = None  # uint8 array (y, x, 3), or what makes one of any size; None: no tiles
    md5: str | None = None  # None: of the body
    size: int | None = None  # None: of the body
    extra: dict = field(default_factory=dict)

    @cached_property
    def content(self):
        if isinstance(self.body, Path):  # mapped, not read: slides have a gigabyte
            with self.body.open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return self.body

    @cached_property
    def digest(self):
        return self.md5 or hashlib.md5(self.content).hexdigest()

    @property
    def length(self):
        return len(self.content) if self.size is None else self.size

    def hit(self):
        """Return the document that the index has of the file."""
        return {
            "id": self.file_id,
            "file_id": self.file_id,
            "file_name": self.file_name,
            "file_size": self.length,
            "md5sum": self.digest,
            "state": self.state,
            "access": self.access,
            "data_format": "SVS",
            "data_type": "Slide Image",
            "data_category": "Biospecimen",
            "experimental_strategy": self.strategy,
            "cases": [
                {
                    "case_id": str(uuid.uuid5(uuid.NAMESPACE_OID, self.case)),
                    "submitter_id": self.case,
                    "primary_site": self.primary_site,
                    "disease_type": self.disease_type,
                    "project": {
                        "project_id": self.project,
                        "program": {"name": self.project.partition("-")[0]},
                    },
                    "samples": [{"sample_type": self.sample_type}],
                }
            ],
            **self.extra,
        }

    def manifest_line(self):
        return "\t".join([self.file_id, self.file_name, self.digest, str(self.length), self.state])


def gdc_slide(number, *, body=None, kind="diagnostic", renewed=0, **fields):
    """Make a slide whose ids and names follow from its number; ``renewed`` changes the id alone."""
    case = fields.setdefault("case", f"TCGA-{number % 97:02d}-{number:04d}")
    normal = fields.get("sample_type") == "Solid Tissue Normal"
    vial = ("11" if normal else "01") + ("Z" if kind == "diagnostic" else "A")
    slide = "00-DX1" if kind == "diagnostic" else "01-TS1"
    scan = str(uuid.uuid5(uuid.NAMESPACE_URL, f"scan {number}")).upper()
    fields.setdefault("strategy", "Diagnostic Slide" if kind == "diagnostic" else "Tissue Slide")
    return GdcFile(
        file_name=fields.pop("file_name", f"{case}-{vial}-{slide}.{scan}.svs"),
        file_id=fields.pop("file_id", str(uuid.uuid5(uuid.NAMESPACE_URL, f"file {number} {renewed}"))),
        body=f"slide {number}".encode() if body is None else body,
        **fields,
    )


@dataclass
class GdcRequest(Request):
    method: str = "GET"
    query: dict = field(default_factory=dict)
    document: Any = None
    sent: int = 0
    """Bytes of body."""


class GdcServer(FaultyServer):
    """See the module; every attribute can be changed while it runs."""

    def __init__(
        self,
        files=(),
        *,
        release=RELEASE,
        token=TOKEN,
        latency=0.0,
        rate=None,
        tile_size=512,
        overlap=1,
        tile_format="jpeg",
        tile_mode="RGB",
        quality=95,
        seed=0,
    ):
        super().__init__()
        self._http.RequestHandlerClass = _GdcHandler
        self.files = list(files)
        self.release = release
        self.token = token
        self.latency = latency  # seconds before each answer
        self.rate = rate  # bytes a second of all bodies together
        self.tile_size = tile_size
        self.overlap = overlap
        self.tile_format = tile_format  # jpeg or png
        self.tile_mode = tile_mode  # RGB or RGBA (png alone)
        self.quality = quality
        self.largest_page = None  # hits in a page at most, whatever is asked for
        self.warnings = {}
        self.no_tiles = (404, {"message": "No tile image found"})
        self.busiest = 0
        self.unstable = random.Random(seed)
        self._free_at = 0.0
        self._pace = threading.Lock()

    @property
    def endpoint(self):
        return self.url().rstrip("/")

    def file(self, file_id):
        return next((file for file in self.files if file.file_id == file_id), None)

    def asked(self, start=""):
        """Return the requests whose path starts so."""
        return [request for request in self.requests if request.name.startswith(start)]

    def forget(self):
        """Start counting anew."""
        self.requests, self.sent, self.busiest = [], 0, 0

    def next_fault(self, name):
        """Look for a fault of this very path, then for one of all that begin so: ``data``, ``tile``."""
        return super().next_fault(name) or super().next_fault(name.partition("/")[0])

    def busy(self, more):
        super().busy(more)
        self.busiest = max(self.busiest, self.under_way)

    def wait_for_line(self, size):
        """Hold back as a line of ``rate`` bytes a second, shared by all, would."""
        if self.rate:
            with self._pace:
                now = time.monotonic()
                self._free_at = max(self._free_at, now) + size / self.rate
                wait = self._free_at - now
            self.stopped.wait(wait)


@dataclass
class GdcReply(Reply):
    code: int = 200
    faulty: bool = False

    def head(self, status=200, length=None, **headers):
        # A fault may end with the connection alone; a good answer leaves it open, as the real server does.
        keep = not self.faulty and length is not None
        super().head(status, length, Connection="keep-alive" if keep else "close", **headers)
        if not keep:
            self.handler.close_connection = True

    def send(self, data, pace=None):
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            self.server.wait_for_line(len(block))
            self.handler.wfile.write(block)
            self.server.count(len(block))
            self.request.sent += len(block)

    def whole_head(self):
        if self.ranged or self.code == 200:
            super().whole_head()
        else:
            self.head(self.code, len(self.body))


class _GdcHandler(_Handler):
    wbufsize = 2**20  # head and body in one packet
    disable_nagle_algorithm = True

    def do_HEAD(self):
        self.answer("HEAD")

    def do_GET(self, head_only=False):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def answer(self, method):
        server = self.server.faulty
        parts = urlsplit(self.path)
        path = re.sub(r"^(v0|legacy|auth/api/v0)/", "", unquote(parts.path).strip("/"))
        request = GdcRequest(path, {key.lower(): value for key, value in self.headers.items()}, method=method)
        request.query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.note(request)
        server.busy(1)
        with suppress(OSError):
            server.stopped.wait(server.latency)
            reply = GdcReply(self, request, b"")
            _respond(server, request, body, reply)
            fault = server.next_fault(path)
            reply.faulty = fault is not None
            if method == "HEAD":
                self.close_connection = True
                reply.head(reply.code, len(reply.body))
            else:
                (fault or good)(reply)
        server.busy(-1)  # before the end goes out: the client may ask again at once
        with suppress(OSError):
            self.wfile.flush()


# -- what it answers -------------------------------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def _respond(server, request, body, reply):
    """Fill a reply with what a good server says."""
    try:
        _check_token(server, request)
        if body:
            try:
                request.document = json.loads(body)
            except ValueError:
                raise _Refused(400, "The request body is not JSON.") from None
        first, _, rest = request.name.partition("/")
        if request.method == "HEAD" and first == "data":
            raise _Refused(400, "HEAD is not allowed here.")
        route = _ROUTES.get(first)
        if route is None:
            raise _Refused(404, f"There is no {request.name}.")
        route(server, request, reply, rest)
    except _Refused as refused:
        _json(reply, {"message": str(refused)}, refused.code)


def _check_token(server, request):
    given = request.headers.get("x-auth-token")
    if given is not None and given != server.token:
        raise _Refused(403, "Your token is invalid or expired. Please get a new token from GDC Data Portal.")


def _json(reply, document, code=200):
    reply.code = code
    reply.body = json.dumps(document).encode()
    reply.extra["Content-Type"] = "application/json"


def _tsv(reply, files):
    lines = ["\t".join(["id", "filename", "md5", "size", "state"]), *(file.manifest_line() for file in files)]
    reply.body = ("\n".join(lines) + "\n").encode()
    reply.extra["Content-Type"] = "text/tab-separated-values"
    reply.extra["Content-Disposition"] = "attachment; filename=gdc_manifest.20250507_120000.txt"


def _status(server, request, reply, rest):
    _json(
        reply,
        {
            "commit": "0" * 40,
            "data_release": server.release,
            "status": "OK",
            "tag": "7.7",
            "version": 1,
        },
    )


def _files(server, request, reply, rest):
    if rest:
        file = server.file(rest)
        if file is None:
            raise _Refused(404, f"{rest} not found")
        return _json(reply, {"data": file.hit(), "warnings": {}})
    asked = {**request.query, **(request.document or {})}
    filters = asked.get("filters")
    if isinstance(filters, str):
        filters = json.loads(filters)
    found = [file for file in list(server.files) if not filters or _passes(file.hit(), filters)]
    size, start = int(asked.get("size", 10)), int(asked.get("from", 0))
    if server.largest_page:
        size = min(size, server.largest_page)
    if sort := asked.get("sort"):
        for part in reversed(sort.split(",")):
            name, _, direction = part.partition(":")
            found.sort(
                key=lambda file, name=name: str(_values(file.hit(), name)), reverse=direction == "desc"
            )
    else:
        server.unstable.shuffle(found)
    if asked.get("return_type") == "manifest":
        return _tsv(reply, found)
    names = [name for name in asked.get("fields", "file_id,file_name").split(",") if name]
    page = found[start : start + size]
    _json(
        reply,
        {
            "data": {
                "hits": [{"id": file.file_id, **_picked(file.hit(), names)} for file in page],
                "pagination": {
                    "count": len(page),
                    "total": len(found),
                    "size": size,
                    "from": start,
                    "sort": asked.get("sort", ""),
                    "page": start // max(size, 1) + 1,
                    "pages": math.ceil(len(found) / max(size, 1)),
                },
            },
            "warnings": server.warnings,
        },
    )


def _passes(hit, filters):
    try:
        operation, content = filters["op"].lower(), filters["content"]
        if operation in {"and", "or"}:
            results = [_passes(hit, part) for part in content]
            return all(results) if operation == "and" else any(results)
        values = _values(hit, content["field"])
        wanted = content.get("value")
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if operation in {"in", "="}:
            return any(value in wanted for value in values)
        if operation in {"exclude", "!="}:
            return not any(value in wanted for value in values)
        compare = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[operation]
        return any(getattr(value, compare)(wanted[0]) is True for value in values)
    except (KeyError, TypeError, AttributeError) as error:
        raise _Refused(400, f"request body: invalid filter ({error!r})") from None


def _values(node, name):
    """Return all values of a dotted field; lists on the way are walked."""
    nodes = [node]
    for part in name.removeprefix("files.").split("."):
        inner = [one[part] for one in nodes if isinstance(one, dict) and part in one]
        nodes = [item for one in inner for item in (one if isinstance(one, list) else [one])]
    return nodes


def _picked(node, names):
    """Return the named fields of a document, nested as they were."""
    if isinstance(node, list):
        return [_picked(item, names) for item in node]
    picked = {}
    for first in dict.fromkeys(name.partition(".")[0] for name in names):
        if isinstance(node, dict) and first in node:
            inner = [name.partition(".")[2] for name in names if name.startswith(first + ".")]
            picked[first] = _picked(node[first], inner) if inner else node[first]
    return picked


def _manifest(server, request, reply, rest):
    ids = rest.split(",") if rest else (request.document or {}).get("ids", [])
    files = [server.file(file_id) for file_id in ids]
    if None in files or not ids:
        raise _Refused(404, "No files were found for the ids.")
    _tsv(reply, files)


def _data(server, request, reply, rest):
    file = server.file(rest)
    if file is None:
        raise _Refused(404, "The file requested does not exist.")
    if file.access == "controlled" and request.headers.get("x-auth-token") != server.token:
        raise _Refused(403, "You don't have access to the data: Please specify a X-Auth-Token")
    reply.body = file.content
    reply.extra |= {
        "Content-Type": "application/octet-stream",
        "Content-MD5": file.digest,
        "Content-Disposition": f"attachment; filename={file.file_name}",
    }
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if wanted:
        if int(wanted[1]) >= len(reply.body):
            raise _Refused(416, "Requested Range Not Satisfiable")
        reply.start = int(wanted[1])
        reply.end = min(int(wanted[2]) + 1, len(reply.body)) if wanted[2] else None
        reply.ranged = True


# -- tiles -----------------------------------------------------------------------------------------------------------


def _tile(server, request, reply, rest):
    metadata = rest.startswith("metadata/")
    file = server.file(rest.removeprefix("metadata/"))
    if file is None or file.picture is None:
        code, document = server.no_tiles
        return _json(reply, document, code)
    height, width = file.picture.shape[:2]
    if metadata:
        return _json(
            reply,
            {
                "Format": server.tile_format,
                "Height": str(height),
                "Width": str(width),
                "Overlap": str(server.overlap),
                "TileSize": str(server.tile_size),
                "uuid": file.file_id,
            },
        )
    try:
        level, x, y = (int(request.query[name]) for name in ("level", "x", "y"))
        box = tile_box(width, height, level, x, y, server.tile_size, server.overlap)
    except (KeyError, ValueError):
        raise _Refused(400, "Invalid level, x or y.") from None
    if box is None:
        raise _Refused(400, "Invalid address")
    image = _level(_Picture(file.picture), level).crop(box).convert(server.tile_mode)
    packed = io.BytesIO()
    options = {"quality": server.quality} if server.tile_format == "jpeg" else {}
    image.save(packed, server.tile_format, **options)
    reply.body = packed.getvalue()
    reply.extra["Content-Type"] = f"image/{server.tile_format}"


def level_size(width, height, level):
    """Return the pixels of a Deep Zoom level, by its definition."""
    top = math.ceil(math.log2(max(width, height))) if max(width, height) > 1 else 0
    if not 0 <= level <= top:
        raise ValueError(level)
    return math.ceil(width / 2 ** (top - level)), math.ceil(height / 2 ** (top - level))


def tile_box(width, height, level, x, y, size, overlap):
    """Return the pixels of its level that a tile shows, or None beyond the edge."""
    w, h = level_size(width, height, level)
    if not (0 <= x * size < w and 0 <= y * size < h):
        return None
    return (
        x * size - (overlap if x else 0),
        y * size - (overlap if y else 0),
        min((x + 1) * size + overlap, w),
        min((y + 1) * size + overlap, h),
    )


class _Picture:
    """An array that can be a key: by identity, which it keeps alive."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __eq__(self, other):
        return self.pixels is other.pixels

    def __hash__(self):
        return id(self.pixels)


@lru_cache(maxsize=32)
def _level(picture, level):
    from PIL import Image

    height, width = picture.pixels.shape[:2]
    size = level_size(width, height, level)
    if hasattr(picture.pixels, "at_size"):  # too large for an array
        return picture.pixels.at_size(size)
    whole = Image.fromarray(picture.pixels)
    return whole if size == whole.size else whole.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


_ROUTES = {"status": _status, "files": _files, "manifest": _manifest, "data": _data, "tile": _tile}


# -- faults of its own; the others are in faulty_server --------------------------------------------------------------


def answers(body, code=200, **headers):
    """Answer with these bytes, or this document."""

    def fault(reply):
        packed = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply.extra.setdefault("Content-Type", "application/json")
        reply.extra |= {key.replace("_", "-"): value for key, value in headers.items()}
        reply.head(code, len(packed))
        reply.send(packed)

    return fault


def changes(change):
    """Answer with what a function makes of the good answer's document."""

    def fault(reply):
        answers(change(json.loads(reply.body)))(reply)

    return fault


def refuses(message="You don't have access to the data"):
    """Answer 403 as the GDC does, also for open files in the days after a release."""
    return answers({"message": message}, 403)


def cut_short(at=0.5):
    """Send a part, with a length that says it is the whole: tiles that end too early."""

    def fault(reply):
        body = reply.rest()[: int(len(reply.rest()) * at)]
        reply.head(reply.code, len(body))
        reply.send(body)

    return fault
