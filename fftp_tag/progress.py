"""Shows progress as a bar on a terminal.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def show_progress(
    items: Iterable[Item],
    total: int | None = None,
    unit: str = "files",
    is_shown: bool = True,
    size: Callable[[Item], float] = lambda item: 1,
) -> Iterator[Item]:
    """Yields items, and shows progress if standard error is a terminal.

    Arguments
    ---------
    items : iterable
    total : int, optional
        The total size, if it is known.
    unit : str
        The unit of the size, in the plural.
    is_shown : bool
        Whether to show anything.
    size : callable
        The size of an item; by default 1, which counts items.
    """
    if not is_shown or not sys.stderr.isatty():
        yield from items
        return
    from tqdm import tqdm  # takes a tenth of a second

    unit = f" {unit}"
    with tqdm(total=total, unit=unit, leave=False) as bar:
        for item in items:
            yield item
            bar.update(size(item))
