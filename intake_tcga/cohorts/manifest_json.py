"""The bytes of a manifest, from anywhere, as plain JSON values: bounded, unambiguous and fit to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import Any

LARGEST_BODY = 16 * 2**20
"""Bytes that a manifest may have; the published ones have some ten thousand."""

_DEEPEST = 32
_MOST_VALUES = 1_000_000
_LONGEST_NUMBER = 25  # digits; Python's int() takes quadratic time on more, and nothing here counts that far


def read_json_object(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """Decode a JSON object, and say what is wrong with it.

    Parameters
    ----------
    body
        Whatever a server sent.

    Returns
    -------
    values, problems
        The object (empty where there is none), and one sentence for each problem, with its place. The values
        are safe to print, to encode and to write again only when there is no problem.

    Examples
    --------
    >>> read_json_object(b'{"version": "1.0", "datasets": [{"file": "a", "file": "b"}]}')[1]
    ['datasets[0].file: is given more than once']
    >>> read_json_object(b"<!DOCTYPE html><title>Sign in</title>")[1]
    ["it is not JSON but looks like a web page, of a login or a proxy; it starts with '<!DOCTYPE html>...'"]
    """
    if len(body) > LARGEST_BODY:
        return {}, [f"it has more than {LARGEST_BODY:,} bytes, which no manifest needs"]
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        # There cannot be more values than these; making millions of objects would take gigabytes.
        return {}, [f"it holds more than {_MOST_VALUES:,} values, which no manifest needs"]
    try:
        document = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_Object,
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_no_constant,
        )
    except RecursionError:
        return {}, [f"it nests deeper than {_DEEPEST} levels"]
    except ValueError as error:  # of the JSON, of its encoding, or of a number in it
        return {}, [_not_json(body, error)]
    if not isinstance(document, _Object):
        return {}, [f"it is {shown(document)}, not a JSON object; {_start(body)}"]
    return document, _problems(document)


def shown(value: object) -> str:
    """Return a short text for any JSON value, fit for a message.

    Examples
    --------
    >>> shown("../x"), shown(7), shown(None), shown([1, 2])
    ("'../x'", '7', 'null', 'a list')
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}…"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return str(value)
    return "a list" if isinstance(value, list) else "an object"


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its names came more than once."""

    repeated: Set[str] = frozenset()

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(pairs) > len(self):
            seen: set[str] = set()
            repeated: set[str] = set()
            for name, _ in pairs:
                (repeated if name in seen else seen).add(name)
            self.repeated = repeated


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _decimal(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {text[:_LONGEST_NUMBER]}, which is beyond every float")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"the value {name}, which JSON does not have")


def _problems(document: _Object) -> list[str]:
    """Walk all values, without recursion, for what JSON's grammar lets through and nobody can use."""
    problems: list[str] = []
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > _DEEPEST:
            return [*problems, f"{place[:60]}…: nests deeper than {_DEEPEST} levels"]
        if isinstance(value, _Object):
            problems += [f"{_under(place, name)}: is given more than once" for name in sorted(value.repeated)]
            for name, member in value.items():
                waiting.append((_under(place, name), member, depth + 1))
                if _has_surrogate(name):
                    problems.append(f"{_under(place, name)}: is a name that is not valid Unicode")
        elif isinstance(value, list):
            waiting.extend((f"{place}[{index}]", member, depth + 1) for index, member in enumerate(value))
        elif isinstance(value, str) and _has_surrogate(value):
            problems.append(f"{place}: is {shown(value)}, which is not valid Unicode")
    return problems


def _under(place: str, name: str) -> str:
    plain = name if name.isidentifier() and len(name) <= 60 else shown(name)
    return f"{place}.{plain}" if place else plain


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and re.search("[\ud800-\udfff]", text) is not None


def _not_json(body: bytes, error: ValueError) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith(b"\x1f\x8b"):
        return (
            f"it is compressed with gzip; serve it unpacked, or with Content-Encoding: gzip ({_start(body)})"
        )
    if re.match(
        rb"\s*<(!doctype|html|head|body|script|!--)", body.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE
    ):
        return f"it is not JSON but looks like a web page, of a login or a proxy; {_start(body)}"
    if body.startswith(b"<"):
        return f"it is not JSON but XML, perhaps a storage service's error; {_start(body)}"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text; {_start(body)}"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno}, column {error.colno}: {error.msg}); {_start(body)}"
    return f"it is not usable JSON: it has {error}; {_start(body)}"


def _start(body: bytes) -> str:
    text = body[:60].decode("utf-8", "backslashreplace")
    return f"it starts with {text!r}" + ("…" if len(body) > 60 else "")
