"""The plans of the demo world, without drawing."""

from collections import Counter

import numpy as np
import pytest

from untrimmed.demo_world.figure import BEHAVIOURS, FAR_FOOT, FOOT, joints
from untrimmed.demo_world.plan import ACTIONS, BACKGROUND, CONTEXT, FPS, HOME, RUN_UP, plan_clips, plan_world


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_default_world_is_as_the_issue_asks(seed):
    plans = plan_world(seed, 72, 20)
    assert Counter(plan.subset for plan in plans) == {"train": 72, "test": 20}
    assert len({plan.video for plan in plans}) == 92
    assert all(20 <= plan.duration <= 60 for plan in plans)
    for subset in ("train", "test"):
        shown = [plan.actions for plan in plans if plan.subset == subset]
        counts = Counter(action for actions in shown for action in actions)
        assert set(counts) == set(ACTIONS)
        assert max(counts.values()) - min(counts.values()) <= 2
        assert any(len(actions) == 2 for actions in shown)
        assert () in shown


@pytest.mark.parametrize("seed", range(1, 6))
def test_parts_cover_each_video_once_and_hold_its_actions(seed):
    for plan in plan_world(seed, 72, 20):
        end = 0.0
        for kind, start, length in plan.parts:
            assert start == pytest.approx(end, abs=1e-5)
            assert length > 0.5
            assert kind in HOME or kind in ("context", "background")
            end = start + length
        assert end == pytest.approx(plan.duration, abs=1e-4)
        assert {segment.label for segment in plan.truth.segments} == set(plan.actions)
        lengths = [segment.end - segment.start for segment in plan.truth.segments]
        assert all(2.4 <= length <= 12 for length in lengths)


def test_context_comes_with_the_action_and_also_without_it():
    """The confusion that the world is about: a scene is no sure sign of its action, nor does an action stay in its scene."""
    plans = [plan for seed in range(1, 6) for plan in plan_world(seed, 72, 20)]
    for action, scene in HOME.items():
        own = [plan.scene == scene for plan in plans if plan.actions[:1] == (action,)]
        assert 0.55 < np.mean(own) < 0.95
        without = [plan for plan in plans if plan.scene == scene and action not in plan.actions]
        assert any(kind == "context" for plan in without for kind, _, _ in plan.parts)
    seconds = Counter()
    for plan in plans:
        for kind, _, length in plan.parts:
            seconds["action" if kind in HOME else kind] += length
    whole = sum(seconds.values())
    assert 0.2 < seconds["action"] / whole < 0.5
    assert seconds["context"] / whole > 0.2
    assert seconds["background"] / whole > 0.2


def test_a_plan_depends_on_seed_and_place_only():
    assert plan_world(1, 8, 4) == plan_world(1, 8, 4)
    assert plan_world(1, 8, 4) != plan_world(2, 8, 4)
    assert plan_clips(1, 2) == plan_clips(1, 2)


def test_clips_show_one_action_throughout():
    clips = plan_clips(3, 10)
    assert Counter(clip.actions[0] for clip in clips) == dict.fromkeys(ACTIONS, 10)
    for clip in clips:
        assert len(clip.stretches) == 1
        assert 2 <= clip.duration <= 4
        assert clip.parts[0][0] == clip.actions[0]


def test_every_planned_behaviour_is_one_the_figure_knows():
    planned = {*ACTIONS, *RUN_UP.values(), *BACKGROUND, *(name for names in CONTEXT.values() for name in names)}
    assert planned - {"cutaway", "nobody"} == set(BEHAVIOURS)


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_the_figure_stands_on_the_ground_and_keeps_its_limbs(name):
    t = np.arange(0, 6, 1 / FPS)
    motion = BEHAVIOURS[name](t)
    at = joints(motion.pose)
    assert np.isfinite(at).all()
    lowest = np.minimum(at[:, FOOT, 1], at[:, FAR_FOOT, 1])
    assert lowest.min() == pytest.approx(0.03, abs=0.02)
    assert lowest.max() < 0.5
    assert at[:, :, 1].max() < 1.6
    # Nothing jumps: between two frames no joint moves by more than 0.6 body heights.
    assert np.linalg.norm(np.diff(at, axis=0), axis=2).max() < 0.6
