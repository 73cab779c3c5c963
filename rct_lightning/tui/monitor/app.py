"""The Textual application: one screen for a run, with its tabs and keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from rct_lightning.errors import UserError
from rct_lightning.runs import RunDir, find_run, runs_beside
from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor.panels import TABS, Options, header, tab_bar
from rct_lightning.tui.monitor.verdict import LEAST_QUIET, QUIET_AT_FIRST, QUIET_STEPS
from rct_lightning.tui.monitor.view import Surroundings, View, Watch

BETWEEN_LOOKS = 0.5
"""Seconds."""
HELP = f"""\
1-7, left, right   tabs
up, down, PgUp, PgDn   scroll
l   logarithmic heights
s   curves smoothed, or every value's extremes
n, p   next and previous run of the same folder
q   quit    ?   this page, and back

Curves: a line is training, o an evaluation; of a second run x. A ! marks a step without a finite number.

running    its process is there and was heard of
stalled    its process is there, and silent: for {QUIET_STEPS} of its steps and at least {LEAST_QUIET:.0f} s
           ({QUIET_AT_FIRST / 60:.0f} min before the first steps), or suspended by a signal
crashed    its process is gone without an end, or it said that it failed
stopped    ended by a signal, by its time, or by a health rule
finished   its adapter is written
unknown    on another machine, or nothing was noted
"""


class Help(ModalScreen[None]):
    """Help on keys and terms."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,escape,q", "dismiss", "Back"),
    ]
    CSS = """
    Help { align: center middle; }
    #help { width: 100%; max-width: 90; height: auto; max-height: 100%; border: round $primary; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """Yield one scrolling text."""
        with VerticalScroll(id="help"):
            yield Static(HELP, markup=False)


class Monitor(App[None]):
    """Shows a run, and refreshes every half second.

    Args:
        run: The run to show.
        other: A run to compare it with.
        surroundings: Clock and process lookup.
        every: Seconds between two refreshes; None refreshes only on a key.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "rct monitor"
    CSS = """
    #header, #tabs { height: auto; }
    #tabs { background: $surface; }
    VerticalScroll { scrollbar-size-vertical: 1; height: 1fr; }
    #panel { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),  # the monitor only watches: there is nothing to lose
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("right", "turn(1)", "Next tab", show=False, priority=True),  # a container would scroll instead
        Binding("left", "turn(-1)", "Tab before", show=False, priority=True),
        Binding("l", "log", "Log"),
        Binding("s", "smooth", "Smooth"),
        Binding("n", "other_run(1)", "Next"),
        Binding("p", "other_run(-1)", "Previous"),
        *(Binding(str(number), f"tab('{name}')", name, show=False) for number, name in enumerate(TABS, 1)),
    ]

    def __init__(
        self,
        run: RunDir,
        other: RunDir | None = None,
        *,
        surroundings: Surroundings | None = None,
        every: float | None = BETWEEN_LOOKS,
    ) -> None:
        super().__init__()
        self.surroundings, self.every = surroundings or Surroundings(), every
        self.watches = [Watch(each, self.surroundings) for each in (run, other) if each is not None]
        self.views: list[View] = []
        self.options, self.tab = Options(), "Curves" if other is None else "Compare"
        self._drawn: object = None  # what the panel was last drawn from

    @property
    def tabs(self) -> list[str]:
        """The available tabs: Compare needs a second run."""
        return [name for name in TABS if name != "Compare" or len(self.watches) > 1]

    def compose(self) -> ComposeResult:
        """Yield header, tabs, panel and keys."""
        yield Static(id="header", markup=False)
        yield Static(id="tabs", markup=False)
        with VerticalScroll():
            yield Static(id="panel", markup=False)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Read the run before the first paint."""
        self.look()
        if self.every is not None:
            self.set_interval(self.every, self.look)

    def on_resize(self, event: Resize) -> None:
        """Redraw everything for the new width."""
        self.call_after_refresh(self.show)

    def on_unmount(self) -> None:
        """Stop reading."""
        for watch in self.watches:
            watch.close()

    def look(self) -> None:
        """Read what is new, and show it."""
        try:
            self.views = [watch.look() for watch in self.watches]
        except OSError as error:
            self.exit(return_code=2, message=f"Error: {printable(str(error))}")
            return
        self.show()

    def show(self) -> None:
        """Draw the current views."""
        if not self.views:
            return
        width = self.size.width
        self.query_one("#header", Static).update(header(self.views, width, 3 if self.size.height < 20 else 6))
        self.query_one("#tabs", Static).update(tab_bar(self.tabs, self.tab, width))
        place = self.query_one(VerticalScroll)
        seen = [(id(v.state), v.state.events, v.samples, v.kept, v.findings) for v in self.views]
        spoken = [view.verdict for view in self.views] if self.tab == "Alerts" else None
        asked = (self.tab, self.options, place.size, seen, spoken)
        if asked != self._drawn:  # the clock alone changes no curve
            self._drawn = asked
            panel = TABS[self.tab](self.views, max(place.size.width - 1, 1), max(place.size.height, 1), self.options)
            self.query_one("#panel", Static).update(panel)

    def action_tab(self, name: str) -> None:
        """Show a tab from its top."""
        if name in self.tabs:
            self.tab = name
            self.query_one(VerticalScroll).scroll_home(animate=False)
            self.show()

    def action_turn(self, by: int) -> None:
        """Show the next tab, or the previous one."""
        self.action_tab(self.tabs[(self.tabs.index(self.tab) + by) % len(self.tabs)])

    def action_log(self) -> None:
        """Toggle logarithmic heights."""
        self.options = Options(not self.options.log, self.options.smooth)
        self.show()

    def action_smooth(self) -> None:
        """Toggle smoothed curves."""
        self.options = Options(self.options.log, not self.options.smooth)
        self.show()

    def action_other_run(self, by: int) -> None:
        """Switch to the previous or next run in the same folder."""
        run = self.watches[0].run
        found, here = runs_beside(run), run.root.resolve()
        places = [each.root.resolve() for each in found]
        at = places.index(here) + by if here in places else -1  # it may have been removed meanwhile
        if not 0 <= at < len(found):
            self.notify("There is no run behind this one." if by > 0 else "There is no run before this one.")
            return
        try:
            chosen = find_run(str(found[at].root))
        except UserError as error:
            self.notify(printable(str(error)), severity="error", markup=False)
            return
        self.watches[0].close()
        self.watches[0] = Watch(chosen, self.surroundings)
        self.look()

    def action_help(self) -> None:
        """Show the help."""
        self.push_screen(Help())
