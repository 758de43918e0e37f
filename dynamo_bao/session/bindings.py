"""Bindings: the sessions, tenants, transactions, budgets and managers of the running code, in one chain.

A binding is an immutable link in one context variable. Code sees the innermost link of a kind that is in its context,
has not ended, and belongs to the owner that runs: the thread, the greenlet or the task. A link lasts as long as the
entry of the block that made it. It refers to the entry weakly. So a block that is aborted at any instruction ends its
binding too.
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
from dynamo_bao.runtime.late_libraries import inspect
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
    """One binding. Links compare by identity, and only their end changes them.

    Attributes:
        kind: one of `KINDS`.
        value: the bound object.
        owner: the owner whose code sees it; None for all code with the link in its context.
        parent: the next outer link.
        entry: returns the entry of the block that made it; None after the binding has ended.
        session, tenant: the innermost outer link of that kind, because every operation needs these two.
    """

    __slots__ = ("entry", "kind", "owner", "parent", "session", "tenant", "value")

    def __init__(
        self,
        kind: str,
        value: Any,
        owner: ExecutionContext | None,
        parent: Link | None,
        entry: Callable[[], Any],
    ) -> None:
        self.kind: str = kind
        self.value: Any = value
        self.owner: ExecutionContext | None = owner
        self.parent: Link | None = parent
        self.entry: Callable[[], Any] = entry
        self.session: Link | None
        self.tenant: Link | None
        if parent is None:
            self.session = self.tenant = None
        else:
            self.session = parent if parent.kind is SESSION else parent.session
            self.tenant = parent if parent.kind is TENANT else parent.tenant

    def is_seen_by(self, owner: ExecutionContext) -> bool:
        """Whether the link is in force for code of `owner`, whose context has this link."""
        link_owner = self.owner
        return (
            link_owner is None or link_owner is owner or link_owner.runs_as is owner
        ) and self.entry() is not None

    @property
    def is_block(self) -> bool:
        """Whether a block made it. A tenant that was only set has no block."""
        return self.entry is not _without_end

    def __repr__(self) -> str:
        return f"<Link of the {self.kind} {self.value!r}{'' if self.entry() else ', ended'}>"


def _no_entry() -> None:
    return None


def _without_end() -> bool:
    return True


# --- the chain ---------------------------------------------------------------------------------------

chain: ContextVar[Link | None] = ContextVar("dynamo_bao bindings", default=None)
"""The innermost link, as it was set last. In notebooks, use `top_link`."""


def top_link() -> Link | None:
    """The innermost link in the context of the running code, whether it has ended or not, and whoever owns it."""
    top = chain.get()
    if "IPython" in sys.modules and _first_lasting(top) is None:
        return _link_of_earlier_cell()
    return top


def set_top_link(link: Link | None) -> None:
    """Makes `link` the innermost one in the context of the running code."""
    chain.set(link)
    if "IPython" in sys.modules:
        _note_cell(link)


def _note_cell(link: Link | None) -> None:
    """Remembers, in a notebook, the innermost link that the running cell has set."""
    if is_in_notebook():
        current_execution_context().cell = link, current_task() if is_event_loop_running() else None


def _link_of_earlier_cell() -> Link | None:
    """The innermost link that the last cell of a notebook left, because its context has ended with its task."""
    if not is_in_notebook():
        return None
    link, task = current_execution_context().cell
    lasting_link: Link | None = link if task is None or task.done() else None
    return lasting_link


def innermost(kind: str, owner: ExecutionContext | None = None) -> Link | None:
    """The innermost link of a kind that the running code sees.

    Args:
        kind: one of `KINDS`.
        owner: the owner of the running code, if the caller has it.
    """
    link = top_link()
    while link is not None:
        if link.kind == kind:
            owner = owner or current_execution_context()
            if link.is_seen_by(owner):
                return link
        link = link.parent
    return None


def innermost_value(kind: str) -> Any:
    """The innermost bound object of a kind that the running code sees, or None."""
    link = innermost(kind)
    return None if link is None else link.value


def visible_values(top: Link, owner: ExecutionContext) -> dict[str, Any]:
    """The innermost bound object of each kind that code of `owner` sees, in one walk.

    Args:
        top: the innermost link, as `top_link` returns it.
        owner: the owner of the running code.
    """
    values: dict[str, Any] = {}
    link: Link | None = top
    while link is not None:
        link_owner = link.owner
        if (
            link_owner is owner or link_owner is None or link_owner.runs_as is owner
        ) and link.entry() is not None:  # `is_seen_by` without a call, because every save comes here
            values.setdefault(link.kind, link.value)
        link = link.parent
    return values


def bound_values(kind: str, owner: ExecutionContext | None = None) -> list[Any]:
    """All bound objects of a kind that the running code sees, outermost first.

    Args:
        kind: one of `KINDS`.
        owner: the owner of the running code, if the caller has it.
    """
    link = top_link()
    values: list[Any] = []
    while link is not None:
        if link.kind == kind:
            owner = owner or current_execution_context()
            if link.is_seen_by(owner):
                values.append(link.value)
        link = link.parent
    return values[::-1]


def seen_links(*, only_blocks: bool = False) -> list[Link]:
    """All links that the running code sees, outermost first.

    Args:
        only_blocks: whether to leave out a tenant that was only set, without a block.
    """
    owner = current_execution_context()
    links: list[Link] = []
    link = _first_lasting(top_link())
    while link is not None:
        if link.is_seen_by(owner) and (link.is_block or not only_blocks):
            links.append(link)
        link = link.parent
    return links[::-1]


def _first_lasting(link: Link | None) -> Link | None:
    """The first link from `link` outwards that has not ended, or that belongs to a request that is over.

    No code sees a link of an ended request. The link stays as a mark: code that outlives its request then gets an
    error, and does not work for no tenant.
    """
    while link is not None and link.owner is not None and link.entry() is None:
        link = link.parent
    return link


def _ended_request(link: Link | None) -> Link | None:
    """The innermost binding of a request that is over, from `link` outwards."""
    while link is not None and (link.owner is not None or link.entry() is not None):
        link = link.parent
    return link


# --- blocks ------------------------------------------------------------------------------------------


class Entry:
    """The maker of links. They last as long as it. Only the code that entered a block refers to it.

    Attributes:
        value: the bound object.
        links: its links, outermost first.
        is_over: whether it has ended.
    """

    __slots__ = ("__weakref__", "is_over", "links", "value")

    def __init__(self, value: Any = None) -> None:
        self.value: Any = value
        self.links: list[Link] = []
        self.is_over: bool = False

    def _release(self) -> None:
        """Releases its resources at the end. It may be called again."""

    def _if_dropped(self) -> Callable[[Any], object] | None:
        """The function to call if the entry is collected before its end. It must not refer to the entry."""
        return None

    def _owner_inside(self, parent: Link | None) -> ExecutionContext | None:
        """The owner of a new link inside `parent`; None for all code with the link in its context."""
        return _acting_inside(parent)

    def bind(self, kind: str, value: Any) -> Link:
        """Makes a link, and makes it the innermost one of the running code."""
        parent = _first_lasting(top_link())
        link = Link(kind, value, self._owner_inside(parent), parent, weakref.ref(self, self._if_dropped()))
        self.links.append(link)
        set_top_link(link)
        return link

    def end(self) -> None:
        """Ends the links, wherever they are. It may be called from any code, and again."""
        self.is_over = True
        self._release()
        for link in self.links:
            link.entry = _no_entry
        self.links = []


class SharedEntry(Entry):
    """An entry whose links have no owner: all code sees them whose context is the one of the entry, or a copy of it."""

    __slots__ = ()

    def _owner_inside(self, parent: Link | None) -> None:
        return None


def acting_owner() -> ExecutionContext:
    """The owner of bindings that the running code makes. Code in steps owns its bindings at every step."""
    return _acting_inside(_first_lasting(top_link()))


def _acting_inside(parent: Link | None) -> ExecutionContext:
    owner = current_execution_context()
    parent_owner = None if parent is None else parent.owner
    return parent_owner if parent_owner is not None and parent_owner.runs_as is owner else owner


class Block(Entry, Generic[R]):
    """A context manager that binds an object. It may be entered again, also inside itself.

    Args:
        subject: the argument of the block, for `_begin`.
    """

    __slots__ = ("_inner_blocks", "_subject")

    _dropped: ClassVar[Callable[[Any], object]]
    """The function to call if a block without its own end is collected before it was left."""

    def __init_subclass__(cls) -> None:
        cls._dropped = partial(end_dropped, cls.__name__, _end_nothing)

    def __init__(self, subject: Any = None) -> None:
        self._subject = subject
        self._inner_blocks: list[Block[R]] | None = None
        self.value: Any = None
        self.links: list[Link] = []
        self.is_over: bool = True

    def _begin(self) -> R:
        """Makes the binding, and returns the object that the block yields."""
        raise NotImplementedError

    def _finish(self, error: BaseException | None) -> None:
        """Ends the work of the block, after its binding has ended.

        Args:
            error: the exception that ends the block; then no other one is raised.
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
        """Enters another block with the same argument, inside this one."""
        block = type(self)(self._subject)
        yielded = block.__enter__()
        self._inner_blocks = [*(self._inner_blocks or ()), block]
        return yielded

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inner_blocks:
            self._inner_blocks.pop().__exit__(kind, error, trace)
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
    """Ends the binding of a block that was collected before it was left, and warns.

    Args:
        block: the name of the block's class.
        end: ends the bound object. It must not refer to the block.
    """
    end(ConcurrencyError("its block was dropped without being left"))
    if not sys.is_finalizing():
        warnings.warn_explicit(
            f"{block} was entered, and dropped without being left; its binding has ended. Use a with statement, or "
            f"keep the entered object until it is left.",
            BatchContextWarning,
            *calling_line(),
        )


def _end_nothing(_: BaseException) -> None:
    """The end of an object that needs none."""


def leave(entry: Entry) -> Exception | None:
    """Ends an entry, and every block that was opened inside it. Then the outer bindings are in force again.

    Returns:
        The exception to raise, unless another one ends the block: a `ConcurrencyError` if its owner left it out of
        order, or a warning that the program's filters turn into an error. Usually None.
    """
    links = entry.links
    if entry.is_over or not links:
        entry.end()
        return None
    owner = links[0].owner
    inner_links = () if chain.get() is links[-1] else _links_inside(links[-1])
    if inner_links is not None:
        set_top_link(_first_lasting(links[0].parent))
    open_links = _end_inside(inner_links, links) if inner_links else ()
    entry.end()
    running_owner = current_execution_context()
    if inner_links is None or not (owner is running_owner or owner is None or owner.is_now(running_owner)):
        return _warning_of_place()
    if open_links and any(link.owner is owner for link in open_links):
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
    inner_links: list[Link] = []
    while step is not None and step is not link:
        inner_links.append(step)
        step = step.parent
    return inner_links if step is link else None


def _end_inside(inner_links: Sequence[Link], ended_links: list[Link]) -> list[Link]:
    """Ends the blocks that were opened inside a block that is left, and returns their links."""
    open_links = [link for link in inner_links if link.is_block and link.entry() is not None]
    _carry(inner_links, ended_links)
    for link in open_links:
        entry: Entry | None = link.entry()
        if entry is not None:
            entry.end()
    return open_links


def _carry(inner_links: Sequence[Link], ended_links: list[Link]) -> None:
    """Keeps a tenant that was set inside a block without a tenant. It holds until a block with a tenant is left."""
    if any(link.kind == TENANT for link in ended_links):
        return
    for link in inner_links:
        if link.kind == TENANT:
            if not link.is_block:
                set_without_end(TENANT, link.value, link.owner)
            return


def set_without_end(kind: str, value: Any, owner: ExecutionContext | None = None) -> None:
    """Binds an object for the code that follows, instead of an earlier one. It ends with the block around it."""
    parent = _without_set(kind)
    set_top_link(Link(kind, value, owner or _acting_inside(parent), parent, _without_end))


def clear_without_end(kind: str, placeholder: Any) -> None:
    """Ends a binding by `set_without_end`. If a block has a binding of this kind, it binds `placeholder` instead."""
    parent = _without_set(kind)
    link = parent
    while link is not None and link.kind != kind:
        link = link.parent
    if link is None:
        set_top_link(parent)
    else:
        set_top_link(Link(kind, placeholder, _acting_inside(parent), parent, _without_end))


def _without_set(kind: str) -> Link | None:
    """The innermost link that has not ended. Links of this kind without a block are skipped."""
    link = _first_lasting(top_link())
    while link is not None and not link.is_block and link.kind == kind:
        link = _first_lasting(link.parent)
    return link


@contextmanager
def unbound() -> Iterator[None]:
    """A block without any bindings. After it, the outer bindings are in force again."""
    outer = top_link()
    set_top_link(None)
    try:
        yield
    finally:
        set_top_link(outer)


class _Places:
    """The lines of code that have a warning already. They are forgotten when the program changes its filters for
    warnings."""

    def __init__(self) -> None:
        self._filters: Any = None
        self._warned_places: set[tuple[str, int]] = set()

    def is_new(self, place: tuple[str, int]) -> bool:
        if self._filters is not warnings.filters:
            self._filters = warnings.filters
            self._warned_places.clear()
        is_new = place not in self._warned_places
        self._warned_places.add(place)
        return is_new


_places = _Places()


def _warning_of_place() -> BatchContextWarning | None:
    """Warns of a line that leaves a block in another context, once. Returns the warning if filters make it an error."""
    place = calling_line()
    if not _places.is_new(place):
        return None
    try:
        warnings.warn_explicit(
            "A block was entered in one context and left in another, so code between did not see it. In FastAPI use "
            "BatchContextMiddleware or dynamo_bao.fastapi's dependency.",
            BatchContextWarning,
            *place,
        )
    except BatchContextWarning as warning:
        return warning
    return None


# --- code that runs in steps -------------------------------------------------------------------------


def require_whole_call(fn: Callable[..., object], label: str) -> None:
    """Raises TypeError for a function whose body does not run in its call, but in steps after it."""
    is_async = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
    if is_async or inspect.isgeneratorfunction(fn):
        kind = "an async function" if is_async else "a generator function"
        raise TypeError(
            f"{label} calls the function once; {getattr(fn, '__qualname__', fn)} is {kind}, whose body would run "
            f"after that. Use a with block around the code instead."
        )


class Steps:
    """The bindings of code that runs in steps, such as a generator's body or a streamed response.

    They are in force while a step runs, as the last step left them, in any thread, task or context. The runner of a
    step is their owner until the next step. Between steps, none of them is in force.

    Args:
        entry: the outermost bindings last as long as this entry. Only this object refers to it.

    Attributes:
        owner: the owner of the bindings.
    """

    __slots__ = ("_entry", "_is_running", "_top", "owner")

    def __init__(self, entry: Entry | None = None) -> None:
        self.owner: ExecutionContext = ExecutionContext()
        self.owner.runs_as = current_execution_context()
        self._entry = Entry() if entry is None else entry
        self._top: Link | None = None
        self._is_running = False

    def capture(self, *, only_blocks: bool = False) -> None:
        """Copies the bindings of the running code, inside those of a request that is over.

        Args:
            only_blocks: whether to leave out a tenant that was only set, without a block.
        """
        self._top = _ended_request(top_link())
        for link in seen_links(only_blocks=only_blocks):
            self.bind(link.kind, link.value)

    def bind(self, kind: str, value: Any) -> None:
        """Binds an object for all further steps, inside their earlier bindings."""
        link = Link(kind, value, self.owner, self._top, weakref.ref(self._entry, self._entry._if_dropped()))
        self._entry.links.append(link)
        self._top = link

    def run(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a step inside the bindings, and returns its result."""
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
        """The bindings of the running step, else those that the last step left; innermost first."""
        links: list[Link] = []
        link = top_link() if self._is_running else self._top
        while link is not None:
            if link.entry() is not None:
                links.append(link)
            link = link.parent
        return links

    def open_entries(self) -> list[Entry]:
        """The entries of blocks that the steps have opened and not left, innermost first."""
        entries = (link.entry() for link in self.links() if link.is_block)
        return list(
            dict.fromkeys(entry for entry in entries if entry is not None and entry is not self._entry)
        )

    def end(self) -> None:
        """Ends the bindings of all steps."""
        self._entry.end()
