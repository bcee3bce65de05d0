"""Random draws that anybody can repeat: they depend on the seed and on the names drawn from, and on nothing else.

Each name gets a rank from a hash of the seed and itself, and the lowest ranks are drawn. So neither the order in which
a service lists its entries, nor the release of a library, nor entries that come or go elsewhere change what is drawn;
and the first ten of a hundred are the ten that would have been drawn alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError


def draw(names: Sequence[str], n: int, *, seed: int, option: str = "n") -> npt.NDArray[np.intp]:
    """Draw some of the names at random, without replacement.

    Parameters
    ----------
    names : sequence of str
        What to draw from: accessions, file ids.
    n : int
        How many; at most as many as there are names.
    seed : int
        Another seed, another draw.
    option : str
        What the caller calls ``n``, for messages.

    Returns
    -------
    numpy.ndarray of int
        Positions in ``names``, in the order of the draw: a smaller draw is the beginning of a larger one.

    Raises
    ------
    OptionError
        When there are fewer names than asked for, or ``n`` or ``seed`` is not a whole number that can be used.

    Examples
    --------
    >>> names = ["GSM1", "GSM2", "GSM3", "GSM4"]
    >>> [names[i] for i in draw(names, 2, seed=1)]
    ['GSM2', 'GSM3']
    >>> [names[::-1][i] for i in draw(names[::-1], 2, seed=1)]
    ['GSM2', 'GSM3']
    """
    n, seed = _whole(option, n), _whole("seed", seed)
    if n < 0 or n > len(names):
        raise OptionError(
            f"{option}={n} cannot be drawn from {len(names)}; ask for 0 to {len(names)}."
            if names
            else f"{option}={n} cannot be drawn: there are none to draw from."
        )
    return _order(names, seed)[:n]


def draw_per(names: Sequence[str], groups: Sequence[Hashable], n: int, *, seed: int) -> npt.NDArray[np.intp]:
    """Draw the same number of names from each group; all of a group that has fewer.

    Parameters
    ----------
    names : sequence of str
        What to draw from.
    groups : sequence
        The group of each name, in the same order.
    n : int
        How many of each group.
    seed : int
        Another seed, another draw.

    Returns
    -------
    numpy.ndarray of int
        Positions in ``names``: group by group in the order of the groups' text, each in the order of its draw.

    Raises
    ------
    OptionError
        When ``n`` or ``seed`` is not a whole number that can be used.

    Examples
    --------
    >>> draw_per(["a", "b", "c", "d"], ["LUAD", "LUAD", "LUAD", "BRCA"], 2, seed=7).tolist()
    [3, 1, 0]
    """
    n, seed = _whole("n", n), _whole("seed", seed)
    if n < 0:
        raise OptionError(f"n={n} cannot be drawn; ask for 0 or more.")
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position in _order(names, seed).tolist():
        members[groups[position]].append(position)
    drawn = [position for group in sorted(members, key=str) for position in members[group][:n]]
    return np.array(drawn, dtype=np.intp)


def _order(names: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """Return all positions in the order of their ranks; equal names keep theirs."""
    salted = hashlib.blake2b(f"{seed}\0".encode(), digest_size=16)

    def rank(name: str) -> bytes:
        state = salted.copy()
        state.update(name.encode("utf-8", "surrogatepass"))
        return state.digest()

    ranks = np.array([rank(name) for name in names], dtype="V16").view([("high", ">u8"), ("low", ">u8")])
    return np.lexsort((ranks["low"], ranks["high"]))


def _whole(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise OptionError(f"{option}={value!r} is not a whole number; give one, such as {option}=1.")
    return int(value)
