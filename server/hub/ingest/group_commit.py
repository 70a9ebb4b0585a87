"""Group commit: what concurrent threads want to store is stored in one transaction.

A commit costs the same for one item as for a hundred. Each thread adds its item to a queue. One
thread at a time takes all items that wait and stores them; the others return as soon as theirs is
done. A thread alone does not wait.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar


class GroupItem(Protocol):
    """Something to store."""

    @property
    def key(self) -> Hashable:
        """Return what no two items of a group may share."""

    @property
    def size(self) -> int:
        """Return how much it is, in the unit of the group's limit."""

    @property
    def is_done(self) -> bool:
        """Return whether it was stored, or never will be."""


Item = TypeVar("Item", bound=GroupItem)


class GroupCommit(Generic[Item]):
    """Stores the items of many threads together. Threads may share it."""

    def __init__(self, store: Callable[[Sequence[Item]], None], largest: int) -> None:
        """Store by a function, which is called by one thread at a time.

        Args:
            store: stores items and marks them as done; those that it leaves undone are in the next
                group again. It should not raise: only the thread that called it would know.
            largest: most size of a group, unless a single item is larger.
        """
        self._store = store
        self._largest = largest
        self._queue_lock = threading.Lock()
        self._queue: list[Item] = []
        self._at_work = threading.Lock()

    def run(self, item: Item) -> None:
        """Return when an item is done, by this thread or another."""
        with self._queue_lock:
            self._queue.append(item)
        while not item.is_done:
            with self._at_work:
                if not item.is_done:
                    self._run_group(item)

    def _run_group(self, own: Item) -> None:
        group = self._take()
        try:
            self._store(group)
        except BaseException:
            # Its thread will not wait for it; the others do.
            self._put_back([one for one in group if one is not own])
            raise
        self._put_back(group)

    def _put_back(self, group: Sequence[Item]) -> None:
        with self._queue_lock:
            self._queue[:0] = [one for one in group if not one.is_done]

    def _take(self) -> list[Item]:
        """Return the items of the next group, in the order in which they came."""
        group: list[Item] = []
        later: list[Item] = []
        keys: set[Hashable] = set()
        size = 0
        with self._queue_lock:
            for item in self._queue:
                fits = not group or size + item.size <= self._largest
                if fits and item.key not in keys:
                    group.append(item)
                    size += item.size
                else:
                    later.append(item)
                # A later item of the same key must not overtake this one.
                keys.add(item.key)
            self._queue = later
        return group
