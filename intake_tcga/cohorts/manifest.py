"""A manifest: the cohorts of one bundle, checked whole, and how a name finds one of them."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from intake_tcga.cohorts.bundles import CANCER_NAMES
from intake_tcga.cohorts.locations import beside, how_to_open, is_data_file, resolve, same_origin
from intake_tcga.cohorts.manifest_json import read_json_object, shown
from intake_tcga.cohorts.manifest_schema import MOST_ITEMS, SCHEMAS, Entry1, Entry2, Header, problems_of
from intake_tcga.digest import Digest
from intake_tcga.errors import AmbiguousNameError, ManifestError, NameNotFoundError
from intake_tcga.remote import RemoteFile, redact

_MOST_PROBLEMS_SHOWN = 100
_MOST_HINTS = 5
_LONGEST_PATH = 300  # to be repeated in a message


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort, as its manifest describes it: everything that is known without opening its file."""

    name: str
    """Full name, unique in its manifest (``dataset_name``)."""

    cancer_type: str
    """TCGA's code of the cancer, e.g. ``BRCA``."""

    clinical_variable: str
    """What the groups are groups of; empty where the cohort has no such variable."""

    group_labels: tuple[str, ...]
    """The groups' names."""

    modality: str
    """What was measured: ``mirna`` or ``rnaseq``."""

    schema_version: str
    """Layout of the data file."""

    version: str
    """The manifest's version; the data file's folder in a cache."""

    file: str
    """Plain name of the data file."""

    size: int
    """Its bytes."""

    sha256: str
    """Its digest, 64 lower-case hexadecimal digits."""

    url: str = field(repr=False)
    """Where it is; may carry credentials."""

    n_samples: int
    """Real samples, after filtering."""

    n_features: int
    """Features (miRNAs, genes), after filtering."""

    n_raw_samples: int | None
    """Samples before filtering; None where the file has no raw counts."""

    n_raw_features: int | None
    """Features before filtering; None where the file has no raw counts."""

    normalizations: tuple[str, ...]
    """Normalizations in the file."""

    models: tuple[str, ...]
    """Generative models whose samples are in the file."""

    off_augs: tuple[str, ...]
    """Offline augmentations in the file; empty in schema 1.0, which has none."""

    metadata: dict[str, Any] = field(default_factory=dict, hash=False, repr=False)
    """Every other field of the entry, as it was (for RNA-seq: ``n_train``, ``n_test``, ``model_family``, …)."""

    @property
    def code(self) -> str:
        """Short name: the full name's part before the first ``_``."""
        return self.name.partition("_")[0] or self.name

    @property
    def states_labels(self) -> bool:
        """Whether the manifest itself says which normalizations, models and augmentations the file has.

        Manifests of schema 1.0 do not: theirs are those that files of that schema have had so far.
        """
        return self.schema_version != "1.0"

    @property
    def cancer_name(self) -> str:
        """Full name of the cancer, or its code where that is not one of TCGA's."""
        return CANCER_NAMES.get(self.cancer_type) or CANCER_NAMES.get(self.code) or self.cancer_type


@dataclass(frozen=True, slots=True)
class Manifest:
    """The cohorts of one bundle, at one version. Every name and number in it has been checked."""

    url: str = field(repr=False)
    """Where it was read; may carry credentials, so show :attr:`shown_url` only."""

    version: str
    """Its version: files of different versions live in different folders."""

    modality: str
    """What was measured: ``mirna`` or ``rnaseq``."""

    schema_version: str
    """Layout of its data files: ``1.0`` or ``2.0``."""

    cohorts: tuple[Cohort, ...] = field(repr=False)
    """In the manifest's order."""

    created: str | None = None
    """When it was made, as it says."""

    syng_bts_version: str | None = None
    """The SyNG-BTS release that made it, as it says."""

    metadata: dict[str, Any] = field(default_factory=dict, hash=False, repr=False)
    """Every other field, as it was."""

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return redact(self.url)

    def keys(self) -> list[str]:
        """Return one name for each cohort, in order: the code where it is unique, else the full name."""
        codes = Counter(cohort.code for cohort in self.cohorts)
        return [cohort.code if codes[cohort.code] == 1 else cohort.name for cohort in self.cohorts]

    def find(self, name: str) -> Cohort:
        """Return the cohort that a full name, or else a unique short name, stands for.

        Parameters
        ----------
        name
            ``dataset_name``, or its part before the first ``_``.

        Raises
        ------
        AmbiguousNameError
            Several cohorts have that short name; the message lists their full names.
        NameNotFoundError
            None has it; the message lists all that exist and the nearest.
        """
        for cohort in self.cohorts:
            if cohort.name == name:
                return cohort
        candidates = [cohort for cohort in self.cohorts if cohort.code == name]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(cohort.name for cohort in candidates)
            raise AmbiguousNameError(
                f"{name!r} is the short name of {len(candidates)} cohorts; use one of {names}."
            )
        raise NameNotFoundError(self._nothing_answers(name))

    def remote_file(self, cohort: Cohort) -> RemoteFile:
        """Return what is to be fetched for a cohort, and where its copy belongs in a cache."""
        return RemoteFile(
            url=cohort.url,
            name=cohort.file,
            collection=("tcga", cohort.modality),
            version=cohort.version,
            size=cohort.size,
            digest=Digest("sha256", cohort.sha256),
            foreign=not same_origin(self.url, cohort.url),
        )

    def _nothing_answers(self, name: str) -> str:
        if not self.cohorts:
            return f"There is no cohort {shown(name)}: the manifest {self.shown_url} lists none at all."
        keys = self.keys()
        spellings: dict[str, list[str]] = {}
        for key, cohort in zip(keys, self.cohorts, strict=True):
            for spelling in (cohort.cancer_name, cohort.name, cohort.code):
                spellings.setdefault(spelling.casefold(), []).append(key)
        wanted = str(name)[:200].casefold()
        near = [wanted] if wanted in spellings else difflib.get_close_matches(wanted, spellings, n=3)
        nearest = list(dict.fromkeys(key for spelling in near for key in spellings[spelling]))[:_MOST_HINTS]
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        if names_a_file(name):
            name, hint = redact(str(name)), f" {how_to_open(name)}"
        return f"There is no {self.modality} cohort {shown(name)}.{hint} There are: {', '.join(keys)}."


def names_a_file(name: object) -> bool:
    """Tell whether what should be a cohort's name is the path of a file, as far as one can see."""
    return is_data_file(name) or (isinstance(name, str) and len(name) < _LONGEST_PATH and "/" in name)


def parse_manifest(
    body: bytes, url: str, *, modality: str | None = None, allow_other_hosts: bool = False
) -> Manifest:
    """Read a manifest, checked whole before anything of it is used.

    Parameters
    ----------
    body
        Its bytes: JSON in UTF-8, 16 MiB at most.
    url
        Where they came from. The data files lie in the same folder, or where an entry's own ``url`` says.
    modality
        What it must be a manifest of (``mirna``, ``rnaseq``); None takes any.
    allow_other_hosts
        Let an entry's own ``url`` name another scheme or host than the manifest's.

    Returns
    -------
    Manifest
        Frozen; fields that are not known here are kept under ``metadata``.

    Raises
    ------
    ManifestError
        It cannot be used; the message lists every problem, each with its place.
    """
    document, problems = read_json_object(body)
    if problems:
        raise ManifestError(_refusal(url, problems))
    header, header_problems = _check_header(document, modality)
    entries, entry_problems = _check_entries(document, url, allow_other_hosts)
    if header is None or header_problems or entry_problems:
        raise ManifestError(_refusal(url, header_problems + entry_problems))
    return Manifest(
        url=url,
        version=header.version,
        modality=header.modality,
        schema_version=header.schema_version,
        cohorts=tuple(_cohort(entry, header) for entry in entries),
        created=header.created,
        syng_bts_version=header.syng_bts_version,
        metadata=_unknown(document, Header),
    )


class _Checked(NamedTuple):
    """An entry with nothing left to doubt."""

    entry: Entry1 | Entry2
    url: str
    metadata: dict[str, Any]


def _check_header(document: dict[str, Any], modality: str | None) -> tuple[Header | None, list[str]]:
    try:
        header = Header.model_validate(document)
    except ValidationError as error:
        return None, problems_of(error)
    problems = []
    if header.schema_version not in SCHEMAS:
        problems.append(
            f"schema_version: is {shown(header.schema_version)}; this release reads {' and '.join(SCHEMAS)}, "
            "a newer intake-tcga may read more"
        )
    if modality is not None and header.modality != modality:
        problems.append(f"modality: is {shown(header.modality)}, but {modality!r} was asked for")
    return header, problems


def _check_entries(
    document: dict[str, Any], manifest_url: str, allow_other_hosts: bool
) -> tuple[list[_Checked], list[str]]:
    raws, version = document.get("datasets"), document.get("schema_version", "1.0")
    schema = SCHEMAS.get(version) if isinstance(version, str) else None
    if schema is None or not isinstance(raws, list) or len(raws) > MOST_ITEMS:
        return [], []  # the header's problem, already told
    checked, problems = [], _repeated(raws)
    for index, raw in enumerate(raws):
        place = f"datasets[{index}]"
        try:
            entry = schema.model_validate(raw)
            url = _url_of(entry, manifest_url, allow_other_hosts)
        except ValidationError as error:
            problems += problems_of(error, place)
        except ValueError as error:
            problems.append(f"{place}.url: {error}")
        else:
            checked.append(_Checked(entry, url, _unknown(raw, schema, but=schema.only_described)))
    return checked, problems


def _url_of(entry: Entry1 | Entry2, manifest_url: str, allow_other_hosts: bool) -> str:
    if entry.url is None:
        return beside(manifest_url, entry.file)
    url = resolve(manifest_url, entry.url)
    if not allow_other_hosts and not same_origin(manifest_url, url):
        raise ValueError(
            f"{shown(redact(url))} leaves the manifest's own scheme and host; "
            "allow_other_hosts=True lets it, if you trust both"
        )
    return url


def _repeated(raws: list[Any]) -> list[str]:
    """Find names that two entries share; files as on systems that ignore case and Unicode composition."""
    problems = []
    for name, same in (
        ("dataset_name", lambda text: text),
        ("file", lambda text: unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())),
    ):
        first: dict[str, int] = {}
        for index, raw in enumerate(raws):
            text = raw.get(name) if isinstance(raw, dict) else None
            if isinstance(text, str) and (earlier := first.setdefault(same(text), index)) != index:
                problems.append(
                    f"datasets[{index}].{name}: {shown(text)} is also that of datasets[{earlier}]"
                )
    return problems


def _unknown(
    raw: dict[str, Any], known: type[BaseModel], but: frozenset[str] = frozenset()
) -> dict[str, Any]:
    names = {field.alias or name for name, field in known.model_fields.items()} - but
    return {name: value for name, value in raw.items() if name not in names}


def _cohort(checked: _Checked, header: Header) -> Cohort:
    entry = checked.entry
    return Cohort(
        name=entry.dataset_name,
        cancer_type=entry.cancer_type,
        clinical_variable=entry.clinical_variable,
        group_labels=tuple(entry.group_labels),
        modality=header.modality,
        schema_version=header.schema_version,
        version=header.version,
        file=entry.file,
        size=entry.file_size_bytes,
        sha256=entry.sha256,
        url=checked.url,
        n_samples=entry.n_samples,
        n_features=entry.n_features,
        n_raw_samples=entry.n_raw_samples,
        n_raw_features=entry.n_raw_features,
        normalizations=tuple(entry.normalizations),
        models=tuple(entry.models),
        off_augs=tuple(entry.off_augs),
        metadata=checked.metadata,
    )


def _refusal(url: str, problems: list[str]) -> str:
    lines = problems[:_MOST_PROBLEMS_SHOWN]
    if len(problems) > len(lines):
        lines.append(f"… and {len(problems) - len(lines):,} more")
    return (
        f"The manifest {redact(url)} cannot be used as asked; give other options, or have it corrected where it is "
        "published:\n" + "\n".join(f"  - {line}" for line in lines)
    )
