"""What a manifest's fields must be, and the sentence for each that is not."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from intake_tcga.cohorts.manifest_json import shown
from intake_tcga.remote import name_problem

LARGEST_FILE = 2**40
"""Bytes that a data file may have (1 TiB); the largest published one has 0.55 GB."""

_LONGEST_URL = 10_000
_LARGEST_COUNT = 10**12
MOST_ITEMS = 10_000
"""Items that any list in a manifest may have."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("has a control character, which a terminal would obey")
    if len(text) > 1000:
        raise ValueError(f"has {len(text):,} characters; 1,000 at most are read")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _plain_name(text: str) -> str:
    # Of a longer text, the beginning is too long already, and a million characters are slow to unquote.
    if problem := name_problem(text[:1000]):
        raise ValueError(f"{problem}; it must be a plain file name")
    return text


def _plain_file_name(text: str) -> str:
    if _plain_name(text).casefold() == "manifest.json":
        raise ValueError("is kept, in a cache's folder, for the manifest itself")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError("is not a sha256 digest, which has 64 hexadecimal digits")
    return text.lower()


def _short_url(text: str) -> str:
    if len(text) > _LONGEST_URL:
        raise ValueError(f"has {len(text):,} characters; {_LONGEST_URL:,} at most are read")
    return text


def _size(number: int) -> int:
    if not 0 < number <= LARGEST_FILE:
        raise ValueError(f"is not a file's size, from 1 to {LARGEST_FILE:,} bytes")
    return number


def _count(number: int) -> int:
    if not 0 <= number <= _LARGEST_COUNT:
        raise ValueError(f"is not a count, from 0 to {_LARGEST_COUNT:,}")
    return number


Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Text, AfterValidator(_not_blank)]
Names = Annotated[list[Name], Field(max_length=MOST_ITEMS)]
FolderName = Annotated[str, AfterValidator(_plain_name)]
Count = Annotated[int, AfterValidator(_count)]


class _Rules(BaseModel):
    # Strict: a number is never taken for a text, nor 1.0 for 1. Undeclared fields are kept elsewhere.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", protected_namespaces=())


class Header(_Rules):
    """The manifest itself."""

    version: FolderName
    created: Text | None = None
    syng_bts_version: Text | None = None
    # The published miRNA manifest has neither of these two; absent means what it was when it was written.
    modality: FolderName = "mirna"
    schema_version: Text = "1.0"
    datasets: Annotated[list[Any], Field(max_length=MOST_ITEMS)]


class Entry(_Rules):
    """What a cohort has in every schema."""

    dataset_name: Name
    cancer_type: Name
    clinical_variable: Text
    group_labels: Annotated[list[Text], Field(max_length=MOST_ITEMS)]
    file: Annotated[str, AfterValidator(_plain_file_name)]
    file_size_bytes: Annotated[int, AfterValidator(_size)]
    sha256: Annotated[str, AfterValidator(_sha256)]
    url: Annotated[str, AfterValidator(_short_url)] | None = None

    only_described: ClassVar[frozenset[str]] = frozenset()
    """Fields that have rules, and no place of their own in a Cohort."""


class Entry1(Entry):
    """A miRNA cohort: schema 1.0."""

    n_samples: Annotated[Count, Field(alias="n_filtered_samples")]
    n_features: Annotated[Count, Field(alias="n_filtered_features")]
    n_raw_samples: Count
    n_raw_features: Count
    # Not in any published manifest: every file of schema 1.0 so far has just these.
    normalizations: Names = ["raw_norm", "TC", "DESeq"]
    models: Names = ["CVAE1_5", "CVAE1_10", "CVAE1_20"]
    off_augs: Names = []


class Entry2(Entry):
    """A bulk RNA-seq cohort: schema 2.0."""

    n_samples: Count
    n_features: Count
    n_raw_samples: ClassVar[None] = None  # files of this schema have no raw counts
    n_raw_features: ClassVar[None] = None
    normalizations: Names
    off_augs: Names
    models: Names
    # Checked where present; nothing depends on them, so a Cohort keeps them with its metadata.
    source_label: Text | None = None
    n_train: Count | None = None
    n_test: Count | None = None
    model_family: Text | None = None
    synthetic_has_groups: bool | None = None
    new_size: Count | None = None

    only_described: ClassVar[frozenset[str]] = frozenset(
        {"source_label", "n_train", "n_test", "model_family", "synthetic_has_groups", "new_size"}
    )


SCHEMAS: dict[str, type[Entry1 | Entry2]] = {"1.0": Entry1, "2.0": Entry2}
"""``schema_version`` → what an entry must hold."""

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
}


def problems_of(error: ValidationError, place: str = "") -> list[str]:
    """Say in plain sentences what pydantic found, each with its place in the manifest."""
    return [
        f"{_place(place, item['loc'])}{_sentence(item['type'], item)}"
        for item in error.errors(include_url=False)
    ]


def _place(start: str, location: tuple[int | str, ...]) -> str:
    place = start
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return f"{place}: " if place else ""


def _sentence(kind: str, item: Any) -> str:
    value = shown(item["input"])
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return f"{value} {item['ctx']['error']}"
    if kind == "too_long":
        return f"has more than {item['ctx']['max_length']:,} items"
    if expected := _EXPECTED.get(kind):
        return f"is {value}; it must be {expected}"
    return f"is {value}: {item['msg']}"
