"""What to do about a wanted file, decided from what is where: pure functions, tested without disk or network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

from intake_tcga.cache.stamps import Signature, Stamp, url_key
from intake_tcga.digest import Digest
from intake_tcga.remote import RemoteFile

Verify = Literal["stamp", "always"]


class State(Enum):
    """What is known of the file at one place."""

    ABSENT = "nothing is there"
    TRUSTED = "verified for what is wanted, unchanged since"
    UNKNOWN = "must be hashed to know"
    WRONG = "not what is wanted"
    FOREIGN = "verified for something else, unchanged since"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A state, the digest that a hash would have to give, and what is wrong, if anything is."""

    state: State
    expected: Digest | None = None
    problem: str = ""
    signature: Signature | None = None
    """Of the file that was judged."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a copy of a file may be."""

    path: Path
    writable: bool
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Use:
    """The file at this path is the wanted one."""

    path: Path


@dataclass(frozen=True, slots=True)
class Hash:
    """Hash the file at this path, and decide again."""

    path: Path
    expected: Digest


@dataclass(frozen=True, slots=True)
class Download:
    """Download to this path."""

    target: Path
    wrong: Signature | None
    """Signature of a wrong file that is there and must not be seen any longer."""

    replace: bool
    """Whatever is there may be replaced once the new file is verified."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No copy can be used, and none may be fetched."""

    problems: tuple[str, ...]
    """What is wrong with the copies that are there."""


Step = Use | Hash | Download | Refuse


def judge(
    signature: Signature | None, stamps: Sequence[Stamp], file: RemoteFile, verify: Verify = "stamp"
) -> Judgement:
    """Say what is known of a file on disk, from its signature and the stamps of its path.

    Parameters
    ----------
    signature : Signature or None
        Of what is there now; None if nothing is.
    stamps : sequence of Stamp
        All that is remembered of the path.
    file : RemoteFile
        What is wanted.
    verify : {"stamp", "always"}
        Whether a stamp that holds is enough.
    """
    if signature is None:
        return Judgement(State.ABSENT)
    state, expected, problem = _judge(signature, stamps, file, verify)
    return Judgement(state, expected, problem, signature)


def _judge(
    signature: Signature, stamps: Sequence[Stamp], file: RemoteFile, verify: Verify
) -> tuple[State, Digest | None, str]:
    held = [stamp for stamp in stamps if stamp.signature == signature]
    own, others = _own(held, file), _others(held, file)
    if file.size is not None and signature.size != file.size:
        if others:
            return State.FOREIGN, None, ""
        return State.WRONG, None, f"it has {signature.size:,} bytes where {file.size:,} are expected"
    if own:
        state = State.TRUSTED if verify == "stamp" else State.UNKNOWN
        return state, Digest.parse(own[0].digest), ""
    if others:
        return State.FOREIGN, None, ""
    if file.digest is not None:
        return State.UNKNOWN, file.digest, ""
    # Without a digest the one of the first download is the measure.
    if earlier := _own(stamps, file):
        return State.UNKNOWN, Digest.parse(earlier[0].digest), ""
    return State.WRONG, None, "no digest is known that would tell whether it is right"


def plan(places: Sequence[Place], *, reachable: bool, force: bool = False) -> Step:
    """Choose the next step from the states of all places, in the order in which they are to be used.

    Parameters
    ----------
    places : sequence of Place
        Read-only roots first; the last ones are writable, with the first choice for a download first.
    reachable : bool
        Whether a download is allowed.
    force : bool
        Download even where a good copy is.
    """
    for place in places if not force else ():
        if place.judgement.state is State.TRUSTED:
            return Use(place.path)
        if place.judgement.state is State.UNKNOWN and place.judgement.expected is not None:
            return Hash(place.path, place.judgement.expected)
    if not reachable:
        return Refuse(
            tuple(f"{place.path}: {place.judgement.problem}" for place in places if place.judgement.problem)
        )
    writable = [place for place in places if place.writable]
    # A valid file of another bundle, which happens to share version and name, stays: ours goes beside it.
    target = next((place for place in writable if place.judgement.state is not State.FOREIGN), writable[-1])
    wrong = target.judgement.state is State.WRONG
    return Download(
        target.path,
        wrong=target.judgement.signature if wrong and not force else None,
        replace=force or wrong,
    )


def _own(stamps: Sequence[Stamp], file: RemoteFile) -> list[Stamp]:
    """Return the stamps that say that a file is the wanted one."""
    if file.digest is None:
        return [stamp for stamp in stamps if stamp.url_key == url_key(file.url)]
    return [stamp for stamp in stamps if stamp.digest == str(file.digest)]


def _others(stamps: Sequence[Stamp], file: RemoteFile) -> list[Stamp]:
    """Return the stamps that say that a file is another one."""
    if file.digest is None:
        return [stamp for stamp in stamps if stamp.url_key != url_key(file.url)]
    # A stamp of another algorithm says nothing; only a hash can tell.
    algorithm = f"{file.digest.algorithm}:"
    return [s for s in stamps if s.digest.startswith(algorithm) and s.digest != str(file.digest)]
