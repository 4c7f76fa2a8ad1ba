"""What happens when in each video of the demo world: decided before a pixel is drawn.

An action usually has its scene (a kick: the pitch), and a scene has its context: what one sees there beside the action, such
as the run-up or the score board. Context comes with the action, but also without it, and an action sometimes happens
elsewhere. A model that learns from video-level labels alone is tempted to take the scene for the action: the action-context
confusion that DGAM is about.
"""

from dataclasses import dataclass

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Segment

FPS = 12
TAGS, VIDEO, CLIP, LOOK = 1, 2, 3, 4  # which random stream of the world's seed

# Action -> the scene that usually goes with it, and the scene -> its context behaviours (the last one is a cutaway).
HOME = {
    "hammering": "workshop",
    "jumping_jacks": "gym",
    "kick": "pitch",
    "spin_jump": "rink",
    "throw": "beach",
    "waving": "street",
}
ACTIONS = tuple(HOME)
SCENES = tuple(HOME.values())
CONTEXT = {
    "workshop": ("carry", "inspect", "cutaway"),
    "gym": ("march", "stretch", "cutaway"),
    "pitch": ("dribble", "jog", "cutaway"),
    "rink": ("glide", "glide", "cutaway"),
    "beach": ("pick_up", "carry", "cutaway"),
    "street": ("phone", "wait", "cutaway"),
}
# What leads up to the action: the stretch right before it, more often than not.
RUN_UP = {
    "hammering": "inspect",
    "jumping_jacks": "march",
    "kick": "dribble",
    "spin_jump": "glide",
    "throw": "pick_up",
    "waving": "phone",
}
BACKGROUND = ("idle", "idle", "walk", "walk", "wait", "nobody")

AWAY_SHARE = 0.2  # videos whose action happens in another scene than its usual one
EMPTY_SHARE = 0.1  # videos without any action
DOUBLE_SHARE = 0.2  # videos with two different actions
RUN_UP_SHARE = 0.5  # actions that follow on their run-up
CONTEXT_SHARE = 0.45  # of the other stretches, those that show the scene's context


@dataclass(frozen=True)
class Stretch:
    """`frames` frames from frame `start` on, in which the figure does one thing.

    does: the behaviour, by its name in `figure.BEHAVIOURS`, or "cutaway" or "nobody".
    kind: the action's label, or "context" or "background".
    """

    does: str
    kind: str
    start: int
    frames: int


@dataclass(frozen=True)
class Plan:
    """One video: what it shows, and the key of the random stream that decides how it looks."""

    video: str
    subset: str | None
    scene: str
    actions: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    key: tuple[int, ...]

    @property
    def frames(self) -> int:
        return self.stretches[-1].start + self.stretches[-1].frames

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / FPS

    @property
    def parts(self) -> list[list]:
        """`[kind, start, length]` in seconds; neighbours of one kind are joined, so the parts cover the video once."""
        parts: list[list] = []
        for s in self.stretches:
            if parts and parts[-1][0] == s.kind:
                parts[-1][2] += s.frames
            else:
                parts.append([s.kind, s.start, s.frames])
        return [[kind, round(start / FPS, 6), round(frames / FPS, 6)] for kind, start, frames in parts]

    @property
    def truth(self) -> VideoTruth:
        segments = (Segment(start, round(start + length, 6), kind) for kind, start, length in self.parts if kind in HOME)
        return VideoTruth(self.subset, round(self.duration, 6), tuple(segments))


def plan_world(seed: int, train: int, test: int) -> list[Plan]:
    """Plan the untrimmed videos, training ones first. Every tenth is empty, every fifth holds two actions.

    A plan depends on the world's seed, the video's place, and the numbers of videos, which decide how the labels are dealt.
    """
    plans: list[Plan] = []
    for subset, count in (("train", train), ("test", test)):
        tags = _tags(count, np.random.default_rng([seed, TAGS, len(plans)]))
        for actions in tags:
            plans.append(_plan_video(f"video_{len(plans):03d}", subset, actions, (seed, VIDEO, len(plans))))
    return plans


def plan_clips(seed: int, per_action: int) -> list[Plan]:
    """Plan the trimmed clips: 2 to 4 seconds of one action and nothing else."""
    clips: list[Plan] = []
    for place in range(per_action * len(ACTIONS)):
        rng = np.random.default_rng([seed, CLIP, place])
        action = ACTIONS[place % len(ACTIONS)]
        whole = Stretch(action, action, 0, int(rng.integers(2 * FPS, 4 * FPS + 1)))
        clips.append(Plan(f"clip_{place:03d}", None, _scene(action, rng), (action,), (whole,), (seed, CLIP, place)))
    return clips


def _tags(count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """The actions of each of `count` videos, every action about equally often."""
    empty, double = round(count * EMPTY_SHARE), round(count * DOUBLE_SHARE)
    sizes = rng.permutation([0] * empty + [2] * double + [1] * (count - empty - double))
    deck: list[str] = []
    tags = []
    for size in sizes:
        chosen: list[str] = []
        while len(chosen) < size:
            if not deck:
                deck = [str(action) for action in rng.permutation(ACTIONS)]
            # A deck that ends on the action that the video already has would deal it twice.
            place = next((i for i, action in enumerate(deck) if action not in chosen), None)
            if place is None:
                deck += [str(action) for action in rng.permutation(ACTIONS)]
            else:
                chosen.append(deck.pop(place))
        tags.append(tuple(chosen))
    return tags


def _scene(action: str, rng: np.random.Generator) -> str:
    if rng.random() < AWAY_SHARE:
        return str(rng.choice([scene for scene in SCENES if scene != HOME[action]]))
    return HOME[action]


def _plan_video(video: str, subset: str, actions: tuple[str, ...], key: tuple[int, ...]) -> Plan:
    rng = np.random.default_rng(key)
    scene = _scene(actions[0], rng) if actions else str(rng.choice(SCENES))
    length = 20.5 + 39.5 * rng.beta(1.2, 2.4)  # seconds; mostly under 40
    shown = list(actions)
    while actions and len(shown) < length / rng.uniform(7, 11):
        shown.append(actions[int(rng.integers(len(actions)))])
    steps: list[tuple[str, str, float]] = []
    busy = rng.uniform(2.5, 6, len(shown))
    # What remains of the length lies before, between and after the actions.
    gaps = rng.dirichlet(np.full(len(shown) + 1, 4.0)) * max(length - busy.sum(), 2.5 * (len(shown) + 1))
    for place, gap in enumerate(gaps):
        action = shown[place] if place < len(shown) else None
        steps += _gap(max(gap, 2.0), scene, action, rng)
        if action:
            steps.append((action, action, float(busy[place])))
    lengths = [round(seconds * FPS) for _, _, seconds in steps]
    # Never over a minute: what is no action gives way, the last stretch first, but for a second each.
    over = sum(lengths) - 60 * FPS
    for place in reversed(range(len(steps))):
        if over > 0 and steps[place][1] not in ACTIONS:
            less = min(over, max(lengths[place] - FPS, 0))
            lengths[place] -= less
            over -= less
    stretches: list[Stretch] = []
    frame = 0
    for (does, kind, _), frames in zip(steps, lengths):
        stretches.append(Stretch(does, kind, frame, frames))
        frame += frames
    return Plan(video, subset, scene, actions, tuple(stretches), key)


def _gap(seconds: float, scene: str, action: str | None, rng: np.random.Generator) -> list[tuple[str, str, float]]:
    """Fill the time before `action` (None: before the end) with context and background stretches."""
    steps: list[tuple[str, str, float]] = []
    run_up = 0.0
    if action and rng.random() < RUN_UP_SHARE:
        run_up = min(rng.uniform(1.5, 3.5), seconds)
    rest = seconds - run_up
    if rest < 1.2:
        run_up, rest = run_up and seconds, 0.0 if run_up else seconds
    while rest > 0:
        piece = min(rng.uniform(2, 6), rest)
        if rest - piece < 1.5:
            piece = rest
        if rng.random() < CONTEXT_SHARE:
            steps.append((str(rng.choice(CONTEXT[scene])), "context", piece))
        else:
            steps.append((str(rng.choice(BACKGROUND)), "background", piece))
        rest -= piece
    if run_up:
        assert action is not None
        steps.append((RUN_UP[action], "context", run_up))
    return steps
