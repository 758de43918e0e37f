"""What the running code is inside of: sessions, tenants, transactions, budgets and managers, bound in one chain.

A binding is an immutable link in one context variable. Code sees the innermost link of a kind that its context
holds, that has not ended, and that belongs to the owner that runs: the thread, the greenlet or the task. A link
lasts as long as the entry of the block that made it, which the link holds weakly: a block that is aborted at any
instruction takes its binding with it.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from dynamo_bao.errors import BatchContextWarning, ConcurrencyError
from dynamo_bao.runtime.call_site import calling_line
from dynamo_bao.runtime.process import current_task, is_event_loop_running, is_in_notebook
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context

P = ParamSpec("P")
R = TypeVar("R")

SESSION, TENANT, TRANSACTION, BUDGET, MANAGER = KINDS = (
    "session",
    "tenant",
    "transaction",
    "budget",
    "manager",
)


class Link:
    """One binding. Links compare by identity, and never change but for their end.

    Attributes:
        kind: one of `KINDS`.
        what: what is bound.
        owner: whose code sees it; None for everybody whose context holds it.
        parent: the link around it.
        entry: gives the entry of the block that made it; None once the binding has ended.
        session, tenant, transaction, budget, manager: the innermost link of that kind, this one included.
    """

    __slots__ = ("entry", "kind", "owner", "parent", "what", *KINDS)

    session: Link | None
    tenant: Link | None
    transaction: Link | None
    budget: Link | None
    manager: Link | None

    def __init__(
        self,
        kind: str,
        what: Any,
        owner: ExecutionContext | None,
        parent: Link | None,
        entry: Callable[[], Any],
    ) -> None:
        self.kind, self.what, self.owner, self.parent, self.entry = kind, what, owner, parent, entry
        if parent is None:
            self.session = self.tenant = self.transaction = self.budget = self.manager = None
        else:
            self.session, self.tenant, self.transaction = parent.session, parent.tenant, parent.transaction
            self.budget, self.manager = parent.budget, parent.manager
        setattr(self, kind, self)

    def is_seen_by(self, owner: ExecutionContext) -> bool:
        """Whether code of `owner`, whose context holds this link, is inside of what it binds."""
        return (self.owner is None or self.owner.is_now(owner)) and self.entry() is not None

    @property
    def is_block(self) -> bool:
        """Whether a block made it, which is still to be left; a tenant that was only set has no block."""
        return self.entry is not _without_end

    def __repr__(self) -> str:
        return f"<Link of the {self.kind} {self.what!r}{'' if self.entry() else ', ended'}>"


def _ended() -> None:
    return None


def _without_end() -> bool:
    return True


# --- the chain ---------------------------------------------------------------------------------------

chain: ContextVar[Link | None] = ContextVar("dynamo_bao bindings", default=None)
"""The innermost link, as it was set last; `top_link` gives it in notebooks too."""


def top_link() -> Link | None:
    """The innermost link that the running code's context holds, ended or not, and whoever owns it."""
    top = chain.get()
    if "IPython" in sys.modules and _lasting(top) is None:
        return _link_of_earlier_cell()
    return top


def set_top_link(link: Link | None) -> None:
    """Makes `link` the innermost one of the running code's context."""
    chain.set(link)
    if "IPython" in sys.modules and is_in_notebook():
        current_execution_context().cell = link, current_task() if is_event_loop_running() else None


def _link_of_earlier_cell() -> Link | None:
    """What the last cell of a notebook left bound: its context has ended with its task."""
    if not is_in_notebook():
        return None
    link, task = current_execution_context().cell
    left: Link | None = link if task is None or task.done() else None
    return left


def innermost(kind: str, owner: ExecutionContext | None = None) -> Link | None:
    """The innermost link of a kind that the running code sees.

    Args:
        owner: the owner of the running code, where the caller knows it.
    """
    top = top_link() if "IPython" in sys.modules else chain.get()
    link: Link | None = None if top is None else getattr(top, kind)
    if link is None:
        return None
    owner = owner or current_execution_context()
    while link is not None and not link.is_seen_by(owner):
        link = None if link.parent is None else getattr(link.parent, kind)
    return link


def seen(kind: str) -> list[Any]:
    """All that is bound of a kind around the running code, outermost first."""
    link = innermost(kind)
    if link is None:
        return []
    owner, found = current_execution_context(), []
    while link is not None:
        if link.is_seen_by(owner):
            found.append(link.what)
        link = None if link.parent is None else getattr(link.parent, kind)
    return found[::-1]


def _lasting(link: Link | None) -> Link | None:
    """The first link from `link` outwards that has not ended."""
    while link is not None and link.entry() is None:
        link = link.parent
    return link


# --- blocks ------------------------------------------------------------------------------------------


class Entry:
    """One time that a block was entered. Only the block holds it; when it is gone, its links have ended.

    Attributes:
        what: what is bound.
        links: the links it made, outermost first.
        is_over: whether it was left, or ended otherwise.
        release: called with the entry once that has ended, to give back what it used; may be called again.
        dropped: called where the entry is gone without having ended; it must not refer to the entry.
    """

    __slots__ = ("__weakref__", "dropped", "is_over", "links", "release", "what")

    def __init__(self) -> None:
        self.what: Any = None
        self.links: list[Link] = []
        self.is_over = False
        self.release: Callable[[Entry], object] | None = None
        self.dropped: Callable[[Any], object] | None = None

    def bind(self, kind: str, what: Any) -> Link:
        """Makes a link, and has the running code see it."""
        parent = chain.get()
        if parent is None or parent.entry() is None:
            parent = _lasting(parent or top_link())
        link = Link(kind, what, _acting_inside(parent), parent, weakref.ref(self, self.dropped))
        self.links.append(link)
        set_top_link(link)
        return link

    def end(self) -> None:
        """Ends the links, wherever they stand; may be called from anywhere, and again."""
        self.is_over = True
        if self.release is not None:
            self.release(self)
        for link in self.links:  # code that still holds one sees what is around it
            link.entry = _ended
            kind = link.kind
            setattr(link, kind, None if link.parent is None else getattr(link.parent, kind))


def acting_owner() -> ExecutionContext:
    """Whose the bindings are that the running code makes: those of code in steps are its own at every step."""
    return _acting_inside(_lasting(top_link()))


def _acting_inside(parent: Link | None) -> ExecutionContext:
    owner = current_execution_context()
    its = None if parent is None else parent.owner
    return its if its is not None and its.runs_as is owner else owner


class Block(Generic[R]):
    """A context manager that binds something; may be entered again, also inside itself."""

    __slots__ = ("__weakref__", "_entries")

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def is_entered(self) -> bool:
        """Whether it was entered and is still to be left."""
        return bool(self._entries)

    def _begin(self, entry: Entry) -> R:
        """Binds what the block is for, and returns what it yields."""
        raise NotImplementedError

    def _finish(self, entry: Entry, error: BaseException | None) -> None:
        """Does what comes at the end of the block, once nothing of it is bound any more.

        Args:
            error: what the block is left with, beside which nothing else is raised.
        """

    def __enter__(self) -> R:
        depth = len(self._entries)
        try:
            entry = Entry()
            entry.dropped = _if_only_dropped(type(self).__name__)
            self._entries.append(entry)
            return self._begin(entry)
        except BaseException:
            for entry in self._entries[depth:]:
                entry.end()
            del self._entries[depth:]
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            entry = self._entries[-1]
            try:
                fault = leave(entry)
            except BaseException as interruption:
                leave(entry)
                self._finish(entry, interruption)
                raise
        finally:
            self._entries.pop()
        self._finish(entry, error or fault)
        if fault is not None and error is None:
            raise fault

    def _if_dropped(self, end: Callable[[BaseException], object]) -> Callable[[Any], object]:
        """What to do where the block is gone without having been left.

        Args:
            end: ends what was bound, and says what that comes to; it must not refer to the block.
        """
        return partial(_dropped, type(self).__name__, end)


def _dropped(block: str, end: Callable[[BaseException], object], _: Any) -> None:
    end(ConcurrencyError("its block was dropped without being left"))
    if not sys.is_finalizing():
        warnings.warn_explicit(
            f"{block} was entered, and dropped without being left; what it bound has ended. Use a with statement, or "
            f"keep the object that was entered until it is left.",
            BatchContextWarning,
            *calling_line(),
        )


def _nothing(_: BaseException) -> None:
    """Ends what needs no end of its own."""


@cache
def _if_only_dropped(block: str) -> Callable[[Any], object]:
    """What to do where a block of this name, of which nothing needs an end of its own, is gone without being left."""
    return partial(_dropped, block, _nothing)


def leave(entry: Entry) -> Exception | None:
    """Ends an entry, and every block that was opened inside it; the running code is then inside of what was around.

    Returns:
        What to raise, unless the block is left with an exception: a `ConcurrencyError` where its own owner left it out
        of order; a warning that the program's filters make an error.
    """
    links = entry.links
    if entry.is_over or not links:
        entry.end()
        return None
    owner = links[0].owner
    inside = () if chain.get() is links[-1] else _links_inside(links[-1])
    if inside is not None:
        set_top_link(_lasting(links[0].parent))
    left_open = _end_inside(inside, links) if inside else ()
    entry.end()
    if inside is None or not (owner is None or owner.is_now(current_execution_context())):
        return _warning_of_place()
    if left_open and any(link.owner is owner for link in left_open):
        return ConcurrencyError(
            "Batch contexts must be left in the reverse order they were entered, where they were entered. Everything "
            "that was opened inside this block, and not left, has ended with it."
        )
    return None


def _links_inside(link: Link) -> Sequence[Link] | None:
    """The links inside another link, innermost first. None if the context does not hold that link."""
    step = top_link()
    if step is link:
        return []
    inside: list[Link] = []
    while step is not None and step is not link:
        inside.append(step)
        step = step.parent
    return inside if step is link else None


def _end_inside(inside: Sequence[Link], left: list[Link]) -> list[Link]:
    """Ends the blocks that were opened inside what is left, and returns their links."""
    left_open = [link for link in inside if link.is_block and link.entry() is not None]
    _carry(inside, left)
    for link in left_open:
        opened: Entry | None = link.entry()
        if opened is not None:
            opened.end()
    return left_open


def _carry(inside: Sequence[Link], left: list[Link]) -> None:
    """Keeps a tenant that was set inside a block that binds no tenant: it holds until a block that does is left."""
    if any(link.kind == TENANT for link in left):
        return
    for link in inside:
        if link.kind == TENANT:
            if not link.is_block:
                set_without_end(TENANT, link.what, link.owner)
            return


def set_without_end(kind: str, what: Any, owner: ExecutionContext | None = None) -> None:
    """Binds something from here on, in place of what was bound so before; it ends with the block around it."""
    parent = _without_set(kind)
    set_top_link(Link(kind, what, owner or _acting_inside(parent), parent, _without_end))


def clear_without_end(kind: str, nothing: Any) -> None:
    """Takes back what was bound from here on; binds `nothing` in its place where a block has bound something."""
    parent = _without_set(kind)
    if parent is None or getattr(parent, kind) is None:
        set_top_link(parent)
    else:
        set_top_link(Link(kind, nothing, _acting_inside(parent), parent, _without_end))


def _without_set(kind: str) -> Link | None:
    """The innermost link that lasts, but for those of a kind that were only set, without a block."""
    link = _lasting(top_link())
    while link is not None and not link.is_block and link.kind == kind:
        link = _lasting(link.parent)
    return link


@contextmanager
def unbound() -> Iterator[None]:
    """A block that starts from nothing, whatever is bound around it; afterwards that is bound again."""
    outer = top_link()
    set_top_link(None)
    try:
        yield
    finally:
        set_top_link(outer)


class _Places:
    """The lines of code that were warned of; forgotten when the program sets other filters for warnings."""

    def __init__(self) -> None:
        self._filters: Any = None
        self._seen: set[tuple[str, int]] = set()

    def is_new(self, place: tuple[str, int]) -> bool:
        if self._filters is not warnings.filters:
            self._filters = warnings.filters
            self._seen.clear()
        is_new = place not in self._seen
        self._seen.add(place)
        return is_new


_places = _Places()


def _warning_of_place() -> BatchContextWarning | None:
    """Warns of the line that leaves a block elsewhere, once; returns the warning where filters make it an error."""
    place = calling_line()
    if not _places.is_new(place):
        return None
    try:
        warnings.warn_explicit(
            "A block was entered in one context, left in another: code between did not see it. In FastAPI use "
            "BatchContextMiddleware or dynamo_bao.fastapi's dependency.",
            BatchContextWarning,
            *place,
        )
    except BatchContextWarning as warning:
        return warning
    return None


# --- code that runs in steps -------------------------------------------------------------------------


class Steps:
    """The bindings of code that runs in steps, such as a generator's body or a streamed response.

    They are bound while a step runs, as the last step left them, in whatever thread, task or context that is; whoever
    runs a step is the owner until the next. Between the steps nothing of them is bound.

    Attributes:
        owner: whose they are.
        entry: that of the bindings at the bottom, which end when this object is dropped.
    """

    __slots__ = ("_is_running", "_top", "entry", "owner")

    def __init__(self) -> None:
        self.owner = ExecutionContext()
        self.owner.runs_as = current_execution_context()
        self.entry = Entry()
        self._top: Link | None = None
        self._is_running = False

    def capture(self, *, only_blocks: bool = False) -> None:
        """Takes over what the running code is inside of.

        Args:
            only_blocks: whether a tenant that was only set, and perhaps forgotten, stays outside.
        """
        owner = current_execution_context()
        links: list[Link] = []
        link = _lasting(top_link())
        while link is not None:
            if link.is_seen_by(owner) and (link.is_block or not only_blocks):
                links.append(link)
            link = link.parent
        for link in reversed(links):
            self.bind(link.kind, link.what)

    def bind(self, kind: str, what: Any) -> None:
        """Binds something for all steps to come, inside of what is bound for them already."""
        link = Link(kind, what, self.owner, self._top, weakref.ref(self.entry, self.entry.dropped))
        self.entry.links.append(link)
        self._top = link

    def run(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a step, run inside the bindings."""
        outer = top_link()
        try:
            try:
                self.owner.runs_as = current_execution_context()
                self._is_running = True
                set_top_link(self._top)
                return step(*args, **kwargs)
            finally:
                self._suspend(outer)
        except BaseException:
            self._suspend(outer)
            raise

    def _suspend(self, outer: Link | None) -> None:
        if self._is_running:
            self._top = top_link()
            self._is_running = False
        set_top_link(outer)

    @property
    def is_running(self) -> bool:
        """Whether a step runs now."""
        return self._is_running

    def links(self) -> list[Link]:
        """The bindings that the last step left, or those of the step that runs; innermost first."""
        found: list[Link] = []
        link = _lasting(top_link() if self._is_running else self._top)
        while link is not None:
            found.append(link)
            link = _lasting(link.parent)
        return found

    def left_open(self) -> list[Entry]:
        """The blocks that the steps opened and have not left, innermost first."""
        opened = (link.entry() for link in self.links() if link.is_block)
        return list(dict.fromkeys(one for one in opened if one is not None and one is not self.entry))

    def end(self) -> None:
        """Ends the bindings that all steps have."""
        self.entry.end()
