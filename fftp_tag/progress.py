"""Shows progress: as a bar on a terminal, otherwise as lines of text.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import sys
import time
from typing import Any, Callable, Iterable, Iterator, Optional, TypeVar

# tqdm is imported in functions: its import takes a tenth of a second

Item = TypeVar("Item")

LINE_SECONDS = 10  # between two lines of text


class ProgressLines:
    """Prints a line of progress on standard error every ten seconds.

    A bar of tqdm would be one endless line in a log file.
    """

    def __init__(self, total: Optional[int], unit: str):
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.start = time.monotonic()
        self.due = self.start + LINE_SECONDS

    def update(self, size: float) -> None:
        """Adds to the amount done; prints a line if one is due."""
        self.done += size
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + LINE_SECONDS
        from tqdm import tqdm

        line = tqdm.format_meter(
            round(self.done),
            self.total,
            now - self.start,
            unit=self.unit,
            bar_format="{n_fmt} of {total_fmt} {unit}, {elapsed} elapsed, "
            "{remaining} left",
        )
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Does nothing: a command prints its own result."""


def show_progress(
    items: Iterable[Item],
    total: Optional[int] = None,
    unit: str = "files",
    is_shown: bool = True,
    size: Callable[[Item], float] = lambda item: 1,
) -> Iterator[Item]:
    """Yields items, and shows progress on standard error.

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
    if not is_shown:
        yield from items
        return
    bar: Any = ProgressLines(total, unit)
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=total, unit=f" {unit}", leave=False)
    with contextlib.closing(bar):
        for item in items:
            yield item
            bar.update(size(item))
