import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.cohorts.manifest_json import LARGEST_BODY, read_json_object, shown


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"not json at all", "line 1, column 1.*starts with 'not json at all'"),
        (b"\xff\xfe{\x00", "not UTF-8"),
        (b"  <html><body>Please sign in", "looks like a web page.*Please sign in"),
        (b"\xef\xbb\xbf<!DOCTYPE HTML>", "looks like a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML.*AccessDenied"),
        (gzip.compress(b"{}", mtime=0), "compressed with gzip"),
        (b"[]", "it is a list, not a JSON object"),
        (b"null", "it is null, not a JSON object"),
        (b'"text"', "it is 'text', not a JSON object"),
        (b'{"a": NaN}', "the value NaN"),
        (b'{"a": -Infinity}', "the value -Infinity"),
        (b'{"a": 1e999}', "beyond every float"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (b'{"a": 1, "b": {"x": 1, "x": 2}}', "^b.x: is given more than once$"),
        (rb'{"a": ["\ud800"]}', r"^a\[0\]: is .*not valid Unicode"),
        (rb'{"\udc00": 1}', "a name that is not valid Unicode"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nests deeper"),
        (b"[" * 1_000_000, "nests deeper"),
        (b'{"a":' * 1_000_000, "nests deeper"),
        (b" " * (LARGEST_BODY + 1), "more than 16,777,216 bytes"),
        (b'{"a": [' + b"1," * 1_000_000 + b"1]}", "more than 1,000,000 values"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusable_bodies_say_why(body, problem):
    _, problems = read_json_object(body)
    assert len(problems) == 1
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(problems[0])
    assert len(problems[0]) < 300
    problems[0].encode()


def test_a_byte_order_mark_is_no_harm():
    assert read_json_object(b'\xef\xbb\xbf{"a": 1}') == ({"a": 1}, [])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_any_json_object_is_read_as_the_standard_library_does(values):
    body = json.dumps(values).encode()
    assert read_json_object(body) == (json.loads(body), [])


@given(JSON)
def test_whatever_is_shown_is_short_and_one_line(value):
    assert len(shown(value)) < 700
    assert "\n" not in shown(value)
    shown(value).encode()
