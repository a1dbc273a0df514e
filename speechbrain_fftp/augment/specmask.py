"""SpecMask: patch-aligned spectrogram masking under a fixed budget.

The augmentation of https://arxiv.org/abs/2508.21243, section III-B. Every clip
loses the same number of cells, most of them in full-height time masks, the
rest in time-frequency boxes, all on the patch grid.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

# A budget given in cells takes at most this share of a short clip.
MAX_SHARE = 0.75


def random_split(total, parts, limit):
    """Splits whole numbers at random into a fixed number of parts.

    Arguments
    ---------
    total : torch.Tensor
        Whole numbers ``[B]`` to split.
    parts : int
        Number of parts K.
    limit : torch.Tensor
        How many of the parts ``[B]`` may be used; the others are 0.

    Returns
    -------
    torch.Tensor
        Whole numbers ``[B, K]`` that sum up to ``total``.

    Example
    -------
    >>> _ = torch.manual_seed(0)
    >>> random_split(torch.tensor([9, 20]), 3, torch.tensor([1, 3])).sum(1)
    tensor([ 9, 20])
    """
    total = total.unsqueeze(1)
    cuts = torch.rand(len(total), parts - 1, device=total.device)
    cuts = (cuts * (total + 1)).long()
    used = torch.arange(1, parts, device=total.device) < limit.unsqueeze(1)
    cuts = torch.where(used, cuts, total).sort(1).values
    edges = torch.cat([torch.zeros_like(total), cuts, total], dim=1)
    return edges.diff(dim=1)


def _shift(index, cell, size):
    """Moves indices ``[N]`` by part of a cell, within ``size``'s whole cells.

    Returns those of each clip ``[B, N]``.
    """
    whole = (size // cell * cell)[:, None]
    offset = torch.rand(whole.shape, device=whole.device) * (cell - 1)
    shifted = (index + 1 + offset.long()) % whole.clamp(min=1)
    return torch.where(index < whole, shifted, index)


class SpecMask(torch.nn.Module):
    """Masks a fixed budget of cells of each clip's spectrogram.

    Per clip, ``full_freq_ratio`` of the budget goes, to the nearest patch
    column, into full-height time masks, and the rest, to the nearest grid
    cell, into boxes that leave at least one row of patches free. Masks lie on
    the patch grid within the clip's valid frames and each has its columns to
    itself, so that they never overlap. Masked cells take the mean of the
    clip's valid frames. Active in train mode only.

    The number of masks and their sizes are drawn anew for each clip: the
    budget is cut at random places into at most ``time_masks`` time masks and
    ``boxes`` boxes of random height (what a box's height does not divide
    becomes one more box, a column wide). A share of boxes too great for the
    columns that the time masks leave is cut down to what fits there.

    Arguments
    ---------
    budget : int or float
        Cells to mask in each clip: a count (25600 of 128x1000 on AudioSet,
        1024 of 128x128 on Speech Commands in the paper), of which a short clip
        gives at most 75 % of its cells; or a fraction of its valid cells.
    full_freq_ratio : float
        Share of the budget that goes into full-height time masks.
    patch : tuple of int
        The grid: frames and bins of a cell, such as (5, 16) for 1000 frames
        and (2, 16) for 128.
    time_masks : int
        The most full-height time masks that a clip gets.
    boxes : int
        The most boxes that a clip gets, one-column remainders not counted.
    aligned : bool
        Whether masks lie on the grid. If not, those of each clip are moved off
        it by a random part of a cell in time and, boxes, in frequency; what
        leaves the clip at one edge comes in at the other.

    Raises
    ------
    ValueError
        If the budget, the ratio or the grid is out of range.

    Example
    -------
    >>> mask = SpecMask(budget=25600, patch=(5, 16))
    >>> feats = torch.rand(4, 1000, 128)
    >>> masked = mask(feats, torch.tensor([1.0, 1.0, 0.8, 0.5]))
    >>> (masked != feats).sum((1, 2))
    tensor([25600, 25600, 25600, 25600])
    """

    def __init__(
        self,
        budget,
        full_freq_ratio=0.7,
        patch=(5, 16),
        time_masks=4,
        boxes=4,
        aligned=True,
    ):
        super().__init__()
        if isinstance(budget, float) and not 0 <= budget <= 1:
            raise ValueError(
                f"budget={budget} must be a fraction in 0..1 or, to be a "
                "number of cells, an int."
            )
        if budget < 0 or not 0 <= full_freq_ratio <= 1:
            raise ValueError(
                f"budget={budget} must not be negative and "
                f"full_freq_ratio={full_freq_ratio} must be in 0..1."
            )
        if min(*patch, time_masks, boxes) < 1:
            raise ValueError(
                f"patch={patch}, time_masks={time_masks} and boxes={boxes} "
                "must all be positive."
            )
        self.budget = budget
        self.full_freq_ratio = full_freq_ratio
        self.patch_frames, self.patch_bins = patch
        self.time_masks = time_masks
        self.boxes = boxes
        self.aligned = aligned

    def forward(self, feats, lengths=None):
        """Masks a batch.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``, left as they are.
        lengths : torch.Tensor, optional
            Lengths ``[B]`` relative to T. Padding is neither masked nor
            counted.

        Returns
        -------
        torch.Tensor
            Masked features ``[B, T, F]``.

        Raises
        ------
        ValueError
            If a cell of the grid is taller than the features.
        """
        if not self.training:
            return feats
        B, T, F = feats.shape
        if self.patch_bins > F:
            raise ValueError(
                f"A cell of {self.patch_bins} bins is taller than the "
                f"features, which have {F}."
            )
        if lengths is None:
            lengths = torch.ones(B, device=feats.device)
        n_frames = (lengths * T).round().long()
        low, high = self._draw(n_frames, T, F)
        frame = torch.arange(T, device=feats.device)
        bins = torch.arange(F, device=feats.device)
        if not self.aligned:
            frame = _shift(frame, self.patch_frames, n_frames)
            bins = _shift(bins, self.patch_bins, torch.full_like(n_frames, F))
        # Patch column of each frame, patch row of each bin.
        column = (frame // self.patch_frames).expand(B, T)
        row = (bins // self.patch_bins).expand(B, F)[:, None]
        # [B, columns, F], then [B, T, F]
        masked = (row >= low[..., None]) & (row < high[..., None])
        masked = masked[torch.arange(B, device=feats.device)[:, None], column]
        valid = torch.arange(T, device=feats.device) < n_frames[:, None]
        # Summed in float32, whatever the features and their padding hold.
        sums = feats.sum(2, dtype=torch.float32).masked_fill(~valid, 0)
        # A constant: no gradient reaches other cells through the fill.
        mean = (sums.sum(1) / (n_frames * F)).detach()
        return torch.where(masked, mean.to(feats.dtype)[:, None, None], feats)

    def _draw(self, n_frames, T, F):
        """Draws each patch column's masked rows.

        Returns
        -------
        low : torch.Tensor
            First masked row ``[B, columns]``.
        high : torch.Tensor
            The row after the last masked one; ``low`` where nothing is.
        """
        columns = n_frames // self.patch_frames
        rows = -(-F // self.patch_bins)  # the topmost may be cut off
        tallest = max(F // self.patch_bins - 1, 1)
        full, box_cells = self._budgets(n_frames, F, tallest)

        # Full-height masks: all their columns, split into runs.
        every = torch.full_like(full, self.time_masks)
        time_widths = random_split(full, self.time_masks, every)

        # Boxes: cells split into areas, each of a random height that lets
        # them all fit into the columns left.
        free = columns - full
        few = free - -(-box_cells // tallest) + 1
        few = few.clamp(1, self.boxes)
        areas = random_split(box_cells, self.boxes, few)
        lowest = -(-box_cells // (free - few + 1).clamp(min=1))
        lowest = lowest.clamp(1, tallest)[:, None]
        draw = torch.rand(areas.shape, device=areas.device)
        heights = lowest + (draw * (tallest - lowest + 1)).long()
        remainders = areas % heights

        widths = torch.cat(
            [time_widths, areas // heights, (remainders > 0).long()], dim=1
        )
        heights = torch.cat(
            [torch.full_like(time_widths, rows), heights, remainders], dim=1
        )
        # Boxes keep to the whole rows; full-height masks start at row 0.
        slack = (F // self.patch_bins - heights).clamp(min=0)
        draw = torch.rand(slack.shape, device=slack.device)
        bottoms = (draw * (slack + 1)).long()
        return self._place(widths, heights, bottoms, columns, T)

    def _budgets(self, n_frames, F, tallest):
        """Whole columns and box cells ``[B]`` that spend each clip's budget."""
        columns = n_frames // self.patch_frames
        cells = n_frames * F
        if isinstance(self.budget, float):
            budget = self.budget * cells
        else:
            budget = (MAX_SHARE * cells).clamp(max=self.budget)
        column_cells = self.patch_frames * F
        full = (self.full_freq_ratio * budget / column_cells).round()
        full = full.minimum(budget // column_cells).long().minimum(columns)
        rest = (budget - full * column_cells).clamp(min=0)
        box_cells = (rest / (self.patch_frames * self.patch_bins)).round()
        return full, box_cells.long().minimum((columns - full) * tallest)

    def _place(self, widths, heights, bottoms, columns, T):
        """Puts the masks side by side in random order with random gaps."""
        order = torch.rand(widths.shape, device=widths.device).argsort(1)
        widths = widths.gather(1, order)
        bottoms = bottoms.gather(1, order)
        tops = bottoms + heights.gather(1, order)
        gaps = (columns - widths.sum(1))[:, None]
        draw = torch.rand(widths.shape, device=widths.device)
        before = (draw * (gaps + 1)).long().sort(1).values
        ends = before + widths.cumsum(1)
        starts = ends - widths
        # [B, masks, columns]: at most one mask holds a column.
        column = torch.arange(-(-T // self.patch_frames), device=widths.device)
        inside = (column >= starts[..., None]) & (column < ends[..., None])
        low = (inside * bottoms[..., None]).sum(1)
        high = (inside * tops[..., None]).sum(1)
        return low, high
