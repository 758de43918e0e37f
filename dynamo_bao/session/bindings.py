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
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

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
        session, tenant: the innermost link of that kind around it, because every operation looks for these two.
    """

    __slots__ = ("entry", "kind", "owner", "parent", "session", "tenant", "what")

    def __init__(
        self,
        kind: str,
        what: Any,
        owner: ExecutionContext | None,
        parent: Link | None,
        entry: Callable[[], Any],
    ) -> None:
        self.kind = kind
        self.what = what
        self.owner = owner
        self.parent = parent
        self.entry = entry
        self.session: Link | None
        self.tenant: Link | None
        if parent is None:
            self.session = self.tenant = None
        else:
            self.session = parent if parent.kind is SESSION else parent.session
            self.tenant = parent if parent.kind is TENANT else parent.tenant

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
    if "IPython" in sys.modules:
        _note_cell(link)


def _note_cell(link: Link | None) -> None:
    """Remembers in a notebook what the running cell has set as the innermost link."""
    if is_in_notebook():
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
    link = top_link() if "IPython" in sys.modules else chain.get()
    while link is not None:
        if link.kind == kind:
            owner = owner or current_execution_context()
            if link.is_seen_by(owner):
                return link
        link = link.parent
    return None


def seen(kind: str) -> list[Any]:
    """All that is bound of a kind around the running code, outermost first."""
    link, owner = top_link() if "IPython" in sys.modules else chain.get(), None
    bound: list[Any] = []
    while link is not None:
        if link.kind == kind:
            owner = owner or current_execution_context()
            if link.is_seen_by(owner):
                bound.append(link.what)
        link = link.parent
    return bound[::-1]


def _lasting(link: Link | None) -> Link | None:
    """The first link from `link` outwards that has not ended."""
    while link is not None and link.entry() is None:
        link = link.parent
    return link


# --- blocks ------------------------------------------------------------------------------------------


class Entry:
    """What makes links, and what they last as long as. Only the code that entered something holds it.

    Attributes:
        what: what is bound.
        links: the links it made, outermost first.
        is_over: whether it has ended.
    """

    __slots__ = ("__weakref__", "is_over", "links", "what")

    def __init__(self, what: Any = None) -> None:
        self.what = what
        self.links: list[Link] = []
        self.is_over = False

    def _release(self) -> None:
        """Gives back what was used, at the end; may be called again."""

    def _if_dropped(self) -> Callable[[Any], object] | None:
        """What to do where the entry is gone without having ended; it must not refer to the entry."""
        return None

    def bind(self, kind: str, what: Any) -> Link:
        """Makes a link, and has the running code see it."""
        may_be_cell = "IPython" in sys.modules
        parent = top_link() if may_be_cell else chain.get()
        while parent is not None and parent.entry() is None:
            parent = parent.parent
        owner = current_execution_context()
        if parent is not None and parent.owner is not owner:
            owner = _acting_inside(parent)
        link = Link(kind, what, owner, parent, weakref.ref(self, self._if_dropped()))
        self.links.append(link)
        chain.set(link)
        if may_be_cell:
            _note_cell(link)
        return link

    def end(self) -> None:
        """Ends the links, wherever they stand; may be called from anywhere, and again."""
        self.is_over = True
        self._release()
        for link in self.links:
            link.entry = _ended
        self.links = []


def acting_owner() -> ExecutionContext:
    """Whose the bindings are that the running code makes: those of code in steps are its own at every step."""
    return _acting_inside(_lasting(top_link()))


def _acting_inside(parent: Link | None) -> ExecutionContext:
    owner = current_execution_context()
    its = None if parent is None else parent.owner
    return its if its is not None and its.runs_as is owner else owner


class Block(Entry, Generic[R]):
    """A context manager that binds something; may be entered again, also inside itself.

    Args:
        subject: what the block is for.
    """

    __slots__ = ("_again", "_subject")

    _dropped: ClassVar[Callable[[Any], object]]
    """What to do where a block that needs no end of its own is gone without having been left."""

    def __init_subclass__(cls) -> None:
        cls._dropped = partial(end_dropped, cls.__name__, _nothing)

    def __init__(self, subject: Any = None) -> None:
        self._subject = subject
        self._again: list[Block[R]] | None = None
        self.what = None
        self.links = []
        self.is_over = True

    def _begin(self) -> R:
        """Binds what the block is for, and returns what it yields."""
        raise NotImplementedError

    def _finish(self, error: BaseException | None) -> None:
        """Does what comes at the end of the block, once nothing of it is bound any more.

        Args:
            error: what the block is left with, beside which nothing else is raised.
        """

    def _if_dropped(self) -> Callable[[Any], object]:
        return type(self)._dropped

    def __enter__(self) -> R:
        if not self.is_over:
            return self._enter_again()
        try:
            self.is_over = False
            return self._begin()
        except BaseException:
            self.end()
            raise

    def _enter_again(self) -> R:
        """Enters another block for the same, inside this one."""
        block = type(self)(self._subject)
        yielded = block.__enter__()
        self._again = [*(self._again or ()), block]
        return yielded

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._again:
            self._again.pop().__exit__(kind, error, trace)
            return
        try:
            fault = leave(self)
        except BaseException as interruption:
            leave(self)
            self._finish(interruption)
            raise
        self._finish(error or fault)
        if fault is not None and error is None:
            raise fault


def end_dropped(block: str, end: Callable[[BaseException], object], _: Any) -> None:
    """Ends what a block bound that is gone without having been left, and warns.

    Args:
        block: the name of its class.
        end: ends what was bound, and says what that comes to; it must not refer to the block.
    """
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
        outer = links[0].parent
        while outer is not None and outer.entry() is None:
            outer = outer.parent
        chain.set(outer)
        if "IPython" in sys.modules:
            _note_cell(outer)
    left_open = _end_inside(inside, links) if inside else ()
    entry.end()
    running = current_execution_context()
    if inside is None or not (owner is running or owner is None or owner.is_now(running)):
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
    link = parent
    while link is not None and link.kind != kind:
        link = link.parent
    if link is None:
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

    Args:
        entry: what the bindings at the bottom last as long as; only this object holds it.

    Attributes:
        owner: whose they are.
    """

    __slots__ = ("_entry", "_is_running", "_top", "owner")

    def __init__(self, entry: Entry | None = None) -> None:
        self.owner = ExecutionContext()
        self.owner.runs_as = current_execution_context()
        self._entry = Entry() if entry is None else entry
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
        link = Link(kind, what, self.owner, self._top, weakref.ref(self._entry, self._entry._if_dropped()))
        self._entry.links.append(link)
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
        return list(dict.fromkeys(one for one in opened if one is not None and one is not self._entry))

    def end(self) -> None:
        """Ends the bindings that all steps have."""
        self._entry.end()
