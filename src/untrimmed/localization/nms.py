"""Non-maximum suppression of temporal segments, for all groups (a video's class) at once."""

import numpy as np


def tiou(start: np.ndarray, end: np.ndarray, other_start: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Temporal intersection over union of segments, broadcast; 0 where both have no length."""
    inside = np.minimum(end, other_end) - np.maximum(start, other_start)
    inside = np.maximum(inside, 0.0)
    union = (end - start) + (other_end - other_start) - inside
    return np.divide(inside, union, out=np.zeros(np.shape(inside)), where=union > 0)


def suppress(
    group: np.ndarray, start: np.ndarray, end: np.ndarray, score: np.ndarray, threshold: float, soft_sigma: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy suppression inside each group: the best segment stays, those that overlap it by more than `threshold` go.

    With `soft_sigma` nothing goes; each overlapping segment's score is multiplied by exp(-tIoU^2 / soft_sigma) instead
    (Bodla et al., Soft-NMS, ICCV 2017), and those that fall below a thousandth of their former score are dropped.

    Args:
        group, start, end, score: [N] each. Among equal scores the earlier in the input is better.

    Returns:
        The indices that stay, best first inside each group in the order of the groups, and their scores.
    """
    index: np.ndarray = np.lexsort((-score, group))
    group, start, end, now = group[index], start[index], end[index], score[index].astype(np.float64)
    first_score = now.copy()
    kept_index, kept_score = [], []
    while len(index):
        if soft_sigma is not None:  # decayed scores change the order
            order = np.lexsort((-now, group))
            index, group, start, end, now, first_score = (a[order] for a in (index, group, start, end, now, first_score))
        is_head = np.r_[True, group[1:] != group[:-1]]
        head = np.flatnonzero(is_head)[np.cumsum(is_head) - 1]
        kept_index.append(index[is_head])
        kept_score.append(now[is_head])
        overlap = tiou(start, end, start[head], end[head])
        if soft_sigma is None:
            stays = ~is_head & (overlap <= threshold)
        else:
            now = now - np.abs(now) * (1 - np.exp(-(overlap**2) / soft_sigma))  # contrasts may be negative: these must sink too
            stays = ~is_head & (np.abs(now) > 1e-3 * np.abs(first_score))
        index, group, start, end, now, first_score = (a[stays] for a in (index, group, start, end, now, first_score))
    if not kept_index:
        return np.empty(0, dtype=np.intp), np.empty(0)
    indices, scores = np.concatenate(kept_index), np.concatenate(kept_score)
    return indices, scores
