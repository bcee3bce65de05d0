"""The page: what is picked on the left, what is seen of it on the right. Slow work never stops it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import xarray as xr

from intake_tcga.errors import IntakeTcgaError
from intake_tcga.explorer import look
from intake_tcga.explorer.pictures import (
    FEATURE,
    Data,
    Picture,
    alt_text,
    choices_of,
    features_of,
    fields_of,
    kind_of,
    narrowed,
    pictures_of,
    png,
)
from intake_tcga.explorer.shelves import Entry, Shelf

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_MOST_LISTED = 400  # entries in the list; more are found by their text
_LARGE = 500  # samples of a matrix that has to be narrowed
_CHOICES = ("normalization", "augmentation", "model")


class Page:
    """One visitor's page.

    Parameters
    ----------
    shelves
        What can be browsed; the first is shown first.
    """

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = _by_label(shelves)
        self._entry: Entry | None = None
        self._described: Callable[[], Entry]
        """Tells of the entry anew."""
        self._whole: Data | None = None
        """What was opened."""
        self._data: Data | None = None
        """What is shown of it: some samples, where there are many."""
        self._pictures: dict[str, Picture] = {}
        self._turns: dict[str, int] = {}
        self._setting = False
        self._make_widgets()
        self._listen()
        self.layout = self._laid_out()
        self._start()

    # -- making --------------------------------------------------------------------------------------------------

    def _make_widgets(self) -> None:
        import panel as pn

        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (0, 0, 10, 0)}
        field = {**wide, "stylesheets": [look.FIELD]}
        labels = list(self._shelves)
        self.shelf = pn.widgets.Select(
            label="Collection", options=labels, value=labels[0], visible=len(labels) > 1, **field
        )
        self.find = pn.widgets.TextInput(label="Find", placeholder="a word, e.g. breast", **field)
        self.entry = pn.widgets.Select(label="Entry", options=[], **field)
        self.listed = pn.pane.HTML("", **wide)
        self.open = pn.widgets.Button(
            label="Open", button_type="primary", visible=False, stylesheets=[look.BUTTONS], **wide
        )
        self.choices = {
            name: pn.widgets.Select(label=name.capitalize(), options=[], visible=False, **field)
            for name in _CHOICES
        }
        self.mention = pn.widgets.TextInput(
            label="Samples that mention", placeholder="an expression, e.g. lung|liver", visible=False, **field
        )
        self.drawn = pn.widgets.IntInput(
            label="Samples drawn at most", value=_LARGE, start=2, end=5000, step=100, visible=False, **field
        )
        self.picture = pn.widgets.RadioButtonGroup(
            label="Picture", options=[], stylesheets=[look.BUTTONS], visible=False, **wide
        )
        self.field = pn.widgets.Select(label="Field", options=[], visible=False, **field)
        self.feature = pn.widgets.AutocompleteInput(
            label="Feature",
            options=[],
            placeholder="part of a name",
            case_sensitive=False,
            search_strategy="includes",
            min_characters=1,
            restrict=False,  # else a text that is no feature stays in the box beside another one's picture
            **field,
        )
        still = {"sizing_mode": "stretch_width", "margin": 0}
        self.seen, self.feature_seen, self.about = (pn.pane.HTML("", **still) for _ in range(3))
        self.title, self.feature_title = (pn.pane.HTML("", **still) for _ in range(2))
        self.state = pn.pane.HTML("", **still)

    def _laid_out(self) -> Any:
        import panel as pn

        def card(*parts: Any, **options: Any) -> Any:
            return pn.Column(
                *parts, stylesheets=[look.CARD], sizing_mode="stretch_width", margin=(0, 0, 0, 0), **options
            )

        self.picks = card(
            self.shelf,
            self.find,
            self.entry,
            self.listed,
            self.open,
            self.mention,
            self.drawn,
            *self.choices.values(),
        )
        self.picture_card = card(self.title, self.picture, self.field, self.seen)
        self.feature_card = card(self.feature_title, self.feature, self.feature_seen, visible=False)
        self.about_card = card(self.about)
        self.shown = pn.Column(
            self.picture_card, self.feature_card, stylesheets=[look.PAIR], margin=(0, 0, 16, 0)
        )
        main = pn.Column(self.state, self.shown, self.about_card, sizing_mode="stretch_width", margin=0)
        return pn.Column(
            pn.pane.HTML(look.HEADER, margin=(0, 0, 14, 0), sizing_mode="stretch_width"),
            pn.Column(self.picks, main, stylesheets=[look.GRID], sizing_mode="stretch_width", margin=0),
            stylesheets=[look.PAGE],
            sizing_mode="stretch_width",
            name="page",
        )

    def _listen(self) -> None:
        for widget, then in (
            (self.shelf, self._list),
            (self.find, self._list),
            (self.entry, self._describe),
            (self.mention, self._narrow),
            (self.drawn, self._narrow),
            (self.picture, self._draw_picture),
            (self.field, self._draw_picture),
            (self.feature, self._draw_feature),
            *((choice, self._draw) for choice in self.choices.values()),
        ):
            widget.param.watch(self._unless_setting(then), "value")
        self.open.on_click(self._unless_setting(self._open))

    def _unless_setting(self, then: Callable[[], Any]) -> Callable[[Any], None]:
        """Return what a widget calls when a person changes it, and not when the page itself does."""
        import panel as pn

        def changed(_: Any) -> None:
            if not self._setting:
                pn.state.execute(then)

        return changed

    def _start(self) -> None:
        import panel as pn

        pn.state.onload(self._list)
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self._close())

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Set widgets without being told of it."""
        self._setting = True
        try:
            yield
        finally:
            self._setting = False

    # -- steps, each after the one before ------------------------------------------------------------------------

    async def _list(self) -> None:
        """List the entries of the collection that was picked."""
        shelf, text = self._shelves[self.shelf.value], str(self.find.value).strip()
        if not await self._do("list", self.picks, lambda: shelf.names(text), self._show_names):
            self._show_nothing()

    async def _show_names(self, names: list[str]) -> None:
        shown = names[:_MOST_LISTED]
        with self._quietly():
            kept = self.entry.value if self.entry.value in shown else (shown[0] if shown else None)
            self.entry.param.update(options=shown, value=kept)
        rest = len(names) - len(shown)
        self.listed.object = (
            look.sentence("Nothing has this word; try another.")
            if not names
            else look.sentence(f"{rest:,} more: find them by a word.")
            if rest
            else ""
        )
        if names:
            await self._describe()
        else:
            self._show_nothing()

    def _show_nothing(self) -> None:
        self._give_up()
        with self._quietly():
            self.entry.param.update(options=[], value=None)
        self._clear()
        self._entry = None
        self.title.object = look.heading("Nothing to see yet")
        self.about.object = ""
        self.about_card.visible = False

    async def _describe(self) -> None:
        """Show what is known of the entry that was picked; open it if that fetches nothing."""
        shelf, name = self._shelves[self.shelf.value], self.entry.value
        if name is not None:
            self._give_up()

            def described() -> Entry:
                return shelf.entry(name)

            await self._do(
                "describe", self.about_card, described, lambda entry: self._show_entry(entry, described)
            )

    def _show_about(self, entry: Entry) -> None:
        self.about_card.visible = True
        self.about.object = look.heading("About this entry", entry.name) + look.facts(entry.about)

    async def _show_entry(self, entry: Entry, described: Callable[[], Entry]) -> None:
        self._entry, self._described = entry, described
        self._show_about(entry)
        self._clear()
        self.title.object = look.heading(entry.name)
        if entry.cost:
            self.open.visible = True
            self.seen.object = look.sentence(f"Not on this machine: {entry.cost}. Open it to see its data.")
        else:
            await self._open()

    async def _open(self) -> None:
        """Open the entry; what is slow about it is seen to be going on."""
        if (entry := self._entry) is not None:
            described = self._described
            self.state.object = look.sentence(f"Opening {entry.name} …")
            await self._do("open", self.picture_card, lambda: _ready(entry, described), self._show_data)
            self.state.object = self.state.object if "alert" in self.state.object else ""

    async def _show_data(self, ready: _Ready) -> None:
        self._close()
        self._whole = self._data = ready.data
        self._show_about(ready.entry)
        self._pictures = {picture.label: picture for picture in ready.pictures}
        with self._quietly():
            self.open.visible = False
            self.mention.param.update(visible=ready.large, value="")
            self.drawn.visible = ready.large
            for name, widget in self.choices.items():
                labels = ready.choices.get(name, [])
                kept = widget.value if widget.value in labels else (labels[0] if labels else None)
                widget.param.update(options=labels, value=kept, visible=bool(labels))
            labels = list(self._pictures)
            kept = self.picture.value if self.picture.value in labels else labels[0]
            self.picture.param.update(options=labels, value=kept, visible=len(labels) > 1)
            self.field.param.update(options=ready.fields, value=ready.fields[0] if ready.fields else None)
            feature = (
                self.feature.value if self.feature.value in ready.features else next(iter(ready.features), "")
            )
            self.feature.param.update(options=ready.features, value=feature)
            self._show_feature_card(bool(ready.features))
        if ready.large:
            await self._narrow()
        else:
            await self._draw()

    async def _narrow(self) -> None:
        """Choose the samples of a large matrix that are shown."""
        if (whole := self._whole) is not None:
            samples, text = int(self.drawn.value), str(self.mention.value).strip()
            await self._do(
                "narrow", self.picture_card, lambda: narrowed(whole, samples, text), self._show_narrowed
            )

    async def _show_narrowed(self, data: Data) -> None:
        self._data = data
        await self._draw()

    async def _draw(self) -> None:
        """Draw both pictures anew."""
        await self._draw_picture()
        await self._draw_feature()

    async def _draw_picture(self) -> None:
        if self._data is not None:
            picture = self._pictures[self.picture.value]
            self.field.visible = picture.picks == "field"
            self.title.object = look.heading(self._entry.name if self._entry else "", self._size())
            await self._draw_one(picture, self.field.value or "", "picture", self.picture_card, self.seen)

    async def _draw_feature(self) -> None:
        if self._data is not None and self.feature_card.visible:
            self.feature_title.object = look.heading("One feature", f"of {len(self.feature.options):,}")
            feature = str(self.feature.value or "").strip()
            await self._draw_one(FEATURE, feature, "feature", self.feature_card, self.feature_seen)

    async def _draw_one(self, picture: Picture, pick: str, what: str, card: Any, seen: Any) -> None:
        data = self._data
        chosen = {name: widget.value for name, widget in self.choices.items() if widget.visible}
        alt = alt_text(picture, chosen, pick if picture.picks else "")

        async def show(drawn: bytes) -> None:
            seen.object = look.picture(base64.b64encode(drawn).decode(), alt)

        assert data is not None, "something was opened"
        await self._do(what, card, lambda: png(picture, data, chosen, pick), show, seen)

    # -- doing ---------------------------------------------------------------------------------------------------

    async def _do(
        self,
        what: str,
        busy: Any,
        work: Callable[[], _T],
        then: Callable[[_T], Any],
        complaints: Any = None,
    ) -> bool:
        """Do slow work in a thread, with its card shown as busy; only the last of equal requests is answered.

        Returns False where the last one failed, and a sentence says why.
        """
        turn = self._turns[what] = self._turns.get(what, 0) + 1
        complaints = self.state if complaints is None else complaints
        busy.loading = True
        try:
            result = await asyncio.to_thread(work)
        except Exception as error:  # noqa: BLE001 - a page says what is wrong, and goes on
            if turn != self._turns[what]:
                return True
            busy.loading = False
            complaints.object = look.sentence(_told(error), bad=True)
            return False
        if turn != self._turns[what]:
            if isinstance(result, _Ready):
                result.data.close()
        else:
            busy.loading = False
            if "alert" in (self.state.object or ""):
                self.state.object = ""
            await then(result)
        return True

    def _size(self) -> str:
        data = self._data
        if not isinstance(data, xr.Dataset):
            return ""
        return " × ".join(f"{data.sizes[dim]:,} {dim}s" for dim in ("sample", "feature") if dim in data.sizes)

    def _give_up(self) -> None:
        """Let what is still being opened or drawn go unanswered: something else was picked."""
        for what in ("open", "narrow", "picture", "feature"):
            self._turns[what] = self._turns.get(what, 0) + 1
        self.picture_card.loading = self.feature_card.loading = False

    def _clear(self) -> None:
        """Show nothing of what was opened before."""
        self._close()
        self.seen.object = self.feature_seen.object = ""
        self._show_feature_card(False)
        self.open.visible = self.picture.visible = self.field.visible = False
        self.mention.visible = self.drawn.visible = False
        for widget in self.choices.values():
            widget.visible = False

    def _show_feature_card(self, visible: bool) -> None:
        self.feature_card.visible = visible
        self.shown.stylesheets = [look.PAIR if visible else look.ALONE]

    def _close(self) -> None:
        """Let go of the file."""
        opened, self._whole, self._data = self._whole, None, None
        if opened is not None and self._entry is not None:
            opened.close()


def _by_label(shelves: Sequence[Shelf]) -> dict[str, Shelf]:
    """Return shelves by label; catalogs in catalogs may have one name, and none hides another."""
    found: dict[str, Shelf] = {}
    for shelf in shelves:
        label, count = shelf.label, 1
        while label in found:
            count += 1
            label = f"{shelf.label} ({count})"
        found[label] = shelf
    return found


class _Ready:
    """What was opened, with all that its widgets need."""

    def __init__(self, data: Data, entry: Entry) -> None:
        self.data = data
        self.entry = entry
        """As it is known now: its file may be in the cache."""
        self.pictures = pictures_of(data)
        self.choices = choices_of(data)
        self.fields = fields_of(data)
        self.features = features_of(data)
        self.large = kind_of(data) == "expression" and data.sizes.get("sample", 0) > _LARGE


def _ready(entry: Entry, described: Callable[[], Entry]) -> _Ready:
    data = entry.open()
    try:
        return _Ready(data, described() if entry.cost else entry)
    except BaseException:
        data.close()
        raise


def _told(error: Exception) -> str:
    """Return what a person reads of an error."""
    if isinstance(error, IntakeTcgaError):
        return str(error)
    _log.error("The page met an error that it does not know", exc_info=error)
    return f"Something unexpected went wrong ({type(error).__name__}: {error}); the server's log has the details."
