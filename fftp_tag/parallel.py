"""Runs functions in threads, with results in order.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from fftp_tag.errors import OF_INPUT, one_line
from fftp_tag.progress import show_progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_workers: int = 4,
    progress: bool = False,
    unit: str = "files",
) -> Iterator[tuple[Item, Result | None, str | None]]:
    """Yields each item with the result of a function, or with its error.

    All commands run over files by this. ``items`` may be infinite: at most
    ``2 * num_workers`` are processed ahead. An InputError or OSError is
    returned as one line of text; other exceptions are raised. ``progress`` is
    shown in a unit.
    """
    total = len(items) if isinstance(items, Sized) else None
    found = run_ahead(function, iter(items), num_workers)
    return show_progress(found, total, unit, progress)


def run_ahead(
    function: Callable[[Item], Result], items: Iterator[Item], num_workers: int
) -> Iterator[tuple[Item, Result | None, str | None]]:
    """The same as ``in_order``, without progress."""
    waiting: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(num_workers)
    try:
        while True:
            missing = 2 * num_workers - len(waiting)
            for item in itertools.islice(items, missing):
                waiting.append((item, pool.submit(function, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            result, reason = None, None
            try:
                result = future.result()
            except OF_INPUT as error:
                reason = one_line(error)
            finally:
                del future  # which an error would keep alive, and it the error
            yield item, result, reason
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yields items, while a thread prepares the next one."""
    end: Any = object()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item
