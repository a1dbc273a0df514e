"""SpecMask: patch-aligned spectrogram masking under a fixed budget.

The augmentation of https://arxiv.org/abs/2508.21243, section III-B. The same
number of cells is masked in every clip, most of them in full-frequency time
masks, the rest in time-frequency boxes, all on the patch grid.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

# Largest fraction of a short clip that a budget in cells may mask.
MAX_FRACTION = 0.75
# Maximum number of full-frequency time masks of a clip, and of boxes without
# one-column remainders
TIME_MASKS, BOXES = 4, 4


def _random_split(total, parts, limit):
    """Splits integers ``[B]`` randomly into K parts ``[B, K]``.

    Only the first ``limit`` ``[B]`` parts can be nonzero.
    """
    total = total.unsqueeze(1)
    cuts = torch.rand(len(total), parts - 1, device=total.device)
    cuts = (cuts * (total + 1)).long()
    used = torch.arange(1, parts, device=total.device) < limit.unsqueeze(1)
    cuts = torch.where(used, cuts, total).sort(1).values
    edges = torch.cat([torch.zeros_like(total), cuts, total], dim=1)
    return edges.diff(dim=1)


class SpecMask(torch.nn.Module):
    """Masks a fixed budget of cells of each clip's spectrogram.

    In each clip, ``full_freq_ratio`` of the budget (rounded to patch columns)
    goes into full-frequency time masks. The rest (rounded to grid cells) goes
    into boxes that leave at least one row of patches unmasked. Masks lie on the
    patch grid within the valid frames and do not share columns, so they never
    overlap. As they lie within the clip, its ends are masked less often: 20 % of
    1000 frames cover the first and last 50 frames 0.7 times as often as the
    middle. Masked cells are set to the mean over the clip's valid frames.
    Active in train mode only. Masks are drawn on the CPU, which saves a GPU a
    hundred small kernels: it gets their edges.

    The number and the sizes of masks are drawn for each clip: the budget is
    split randomly into at most 4 time masks and 4 boxes of random height (cells
    that do not fill a column of a box make a further box, one column wide). The
    cells of the boxes are limited to what fits into the columns that the time
    masks leave.

    Arguments
    ---------
    budget : int or float
        Cells to mask in each clip: an int is their number (25600 of 128x1000
        on AudioSet and 1024 of 128x128 on Speech Commands in the paper), but at
        most 75 % of a short clip; a float is a fraction of the valid cells.
    full_freq_ratio : float
        Fraction of the budget for full-frequency time masks.
    patch : tuple of int
        The grid: frames and bins of a cell, such as (5, 16) for 1000 frames
        and (2, 16) for 128.

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

    def __init__(self, budget, full_freq_ratio=0.7, patch=(5, 16)):
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
        if min(patch) < 1:
            raise ValueError(f"patch={patch} must be positive.")
        self.budget = budget
        self.full_freq_ratio = full_freq_ratio
        self.patch_frames, self.patch_bins = patch

    def forward(self, feats, lengths=None):
        """Masks a batch.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``, which are not changed in place.
        lengths : torch.Tensor, optional
            Lengths ``[B]`` relative to T; by default, all are 1.0. Padding is
            not masked or counted. Lengths on the CPU avoid a GPU
            synchronisation.

        Returns
        -------
        torch.Tensor
            Masked features ``[B, T, F]``.

        Raises
        ------
        ValueError
            If a cell of the grid is taller than the features.
        """
        if not self.training or self.budget == 0:
            return feats
        B, T, F = feats.shape
        if self.patch_bins > F:
            raise ValueError(
                f"A cell of {self.patch_bins} bins is taller than the "
                f"features, which have {F}."
            )
        n_frames = torch.full((B,), T)
        if lengths is not None:
            n_frames = (lengths.cpu() * T).round().long()
        edges = self._draw(n_frames, F)
        if feats.is_cuda:  # to copy them without waiting for the GPU
            edges = edges.pin_memory()
        edges = edges.to(feats.device, non_blocking=True).unsqueeze(3)
        start, end, bottom, top = edges  # each [B, masks, 1]
        column = torch.arange(-(-T // self.patch_frames), device=feats.device)
        row = torch.arange(-(-F // self.patch_bins), device=feats.device)
        in_time = (column >= start) & (column < end)  # [B, masks, columns]
        in_freq = (row >= bottom) & (row < top)  # [B, masks, rows]
        # The masked cells of the grid [B, columns, rows]: masks do not overlap
        masked = (in_time.mT.float() @ in_freq.float()).bool()
        # [B, columns, rows] -> [B, T, F]
        masked = masked.repeat_interleave(self.patch_frames, 1)[:, :T]
        masked = masked.repeat_interleave(self.patch_bins, 2)[..., :F]
        # In float32, without the padding; no gradient flows through the mean
        sums = feats.detach().sum(2, dtype=torch.float32)
        n_cells = T * F
        if lengths is not None:
            n_frames = n_frames.to(feats.device, non_blocking=True)
            frame = torch.arange(T, device=feats.device)
            sums = sums.masked_fill(frame >= n_frames[:, None], 0)
            n_cells = n_frames * F
        mean = (sums.sum(1) / n_cells).to(feats.dtype)
        return torch.where(masked, mean[:, None, None], feats)

    def _draw(self, n_frames, F):
        """Draws masks ``[4, B, masks]``.

        Their first column of patches and the one after their last, and so for
        rows; they are equal where there is no mask.
        """
        columns = n_frames // self.patch_frames
        rows = -(-F // self.patch_bins)  # the topmost may be cut off
        tallest = max(F // self.patch_bins - 1, 1)
        full, box_cells = self._budgets(n_frames, F, tallest)

        # Time masks: the number of columns, split into widths.
        every = torch.full_like(full, TIME_MASKS)
        time_widths = _random_split(full, TIME_MASKS, every)

        # Boxes: the number of cells, split into areas, with random heights
        # such that all fit into the free columns.
        free = columns - full
        few = free - -(-box_cells // tallest) + 1
        few = few.clamp(1, BOXES)
        areas = _random_split(box_cells, BOXES, few)
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
        # Boxes use whole rows only; time masks start at row 0.
        slack = (F // self.patch_bins - heights).clamp(min=0)
        draw = torch.rand(slack.shape, device=slack.device)
        bottoms = (draw * (slack + 1)).long()
        return self._place(widths, heights, bottoms, columns)

    def _budgets(self, n_frames, F, tallest):
        """Number of time mask columns and of box cells ``[B]`` per clip."""
        columns = n_frames // self.patch_frames
        cells = n_frames * F
        if isinstance(self.budget, float):
            budget = self.budget * cells
        else:
            budget = (MAX_FRACTION * cells).clamp(max=self.budget)
        column_cells = self.patch_frames * F
        full = (self.full_freq_ratio * budget / column_cells).round()
        full = full.minimum(budget // column_cells).long().minimum(columns)
        rest = (budget - full * column_cells).clamp(min=0)
        box_cells = (rest / (self.patch_frames * self.patch_bins)).round()
        return full, box_cells.long().minimum((columns - full) * tallest)

    def _place(self, widths, heights, bottoms, columns):
        """Places the masks in random order with random gaps; see ``_draw``."""
        order = torch.rand(widths.shape, device=widths.device).argsort(1)
        widths = widths.gather(1, order)
        bottoms = bottoms.gather(1, order)
        tops = bottoms + heights.gather(1, order)
        gaps = (columns - widths.sum(1))[:, None]
        draw = torch.rand(widths.shape, device=widths.device)
        before = (draw * (gaps + 1)).long().sort(1).values
        ends = before + widths.cumsum(1)
        return torch.stack([ends - widths, ends, bottoms, tops])
