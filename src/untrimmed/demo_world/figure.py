"""The articulated figure: how its joints move in each behaviour, and how it is drawn.

A pose is a row of `POSE` numbers. Angles are absolute, in radians: 0 hangs down, positive points the way the figure faces,
pi points up. Lengths are in body heights. The feet are put on the ground, whatever the legs do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

POSE = (
    "hop", "lean", "front", "turn", "arm", "forearm", "far_arm", "far_forearm", "thigh", "shin", "far_thigh", "far_shin", "nod",
)  # fmt: skip
HIP, NECK, HEAD, SHOULDER, ELBOW, HAND, FAR_SHOULDER, FAR_ELBOW, FAR_HAND, HIPS, KNEE, FOOT, FAR_HIPS, FAR_KNEE, FAR_FOOT = range(
    15
)
TORSO, ARM, FOREARM, THIGH, SHIN = 0.33, 0.17, 0.17, 0.24, 0.24


@dataclass(frozen=True)
class Motion:
    """What a behaviour makes of n points in time.

    pose:   [n, len(POSE)].
    speed:  body heights per second along the ground, forwards.
    holds:  what the near hand holds ("hammer", "phone", "stone") or None.
    ball:   [n, 2] place of a ball relative to the feet, in body heights, forwards and up; NaN where there is none.
    """

    pose: np.ndarray
    speed: float = 0.0
    holds: str | None = None
    ball: np.ndarray | None = None


def _pose(t: np.ndarray, **values) -> np.ndarray:
    """Standing at ease, with some values replaced by numbers or by arrays over time."""
    rest = {
        "turn": 1.0,
        "front": 0.5,
        "arm": 0.12,
        "forearm": 0.25,
        "far_arm": -0.12,
        "far_forearm": 0.0,
        "thigh": 0.05,
        "shin": 0.0,
    }
    rest |= {"far_thigh": -0.05, "far_shin": -0.1}
    pose = np.zeros((len(t), len(POSE)))
    for column, name in enumerate(POSE):
        pose[:, column] = values.pop(name, rest.get(name, 0.0))
    assert not values, values
    return pose


def _keys(phase: np.ndarray, *keys: tuple[float, float]) -> np.ndarray:
    """Keyframes `(phase in 0..1, value)`, eased in and out in between."""
    at, value = np.array(keys).T
    place = np.clip(np.searchsorted(at, phase, side="right") - 1, 0, len(at) - 2)
    x = np.clip((phase - at[place]) / (at[place + 1] - at[place]), 0, 1)
    return value[place] + (value[place + 1] - value[place]) * (3 * x**2 - 2 * x**3)


def _wave(t: np.ndarray, hertz: float, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * (hertz * t + phase))


# --- the six actions -------------------------------------------------------------------------------------------------------


def jumping_jacks(t: np.ndarray) -> Motion:
    open_ = (1 - np.cos(2 * np.pi * 1.0 * t)) / 2
    arm, leg = 0.15 + 2.6 * open_, 0.05 + 0.45 * open_
    hop = 0.07 * np.abs(_wave(t, 1.0))
    sides = {"arm": arm, "forearm": arm + 0.15, "far_arm": -arm, "far_forearm": -arm - 0.15}
    legs = {"thigh": leg, "shin": leg, "far_thigh": -leg, "far_shin": -leg}
    return Motion(_pose(t, hop=hop, front=1.0, **sides, **legs))


def hammering(t: np.ndarray) -> Motion:
    phase = (1.3 * t) % 1
    arm = _keys(phase, (0, 0.95), (0.55, 2.5), (0.75, 0.9), (1, 0.95))
    forearm = _keys(phase, (0, 1.2), (0.55, 3.6), (0.75, 1.15), (1, 1.2))
    lean = _keys(phase, (0, 0.3), (0.55, 0.08), (0.75, 0.36), (1, 0.3))
    pose = _pose(t, lean=lean, front=0.15, arm=arm, forearm=forearm, far_arm=0.5, far_forearm=1.0, thigh=0.25, shin=-0.1)
    return Motion(pose, holds="hammer")


def kick(t: np.ndarray) -> Motion:
    phase = (0.75 * t) % 1
    thigh = _keys(phase, (0, 0.1), (0.3, -0.75), (0.5, 1.35), (0.68, 0.9), (1, 0.1))
    shin = _keys(phase, (0, 0.0), (0.3, -1.9), (0.5, 1.4), (0.68, 0.5), (1, 0.0))
    swing = _keys(phase, (0, 0.0), (0.3, 0.9), (0.5, -0.9), (0.75, -0.3), (1, 0.0))
    lean = _keys(phase, (0, 0.05), (0.3, 0.2), (0.5, -0.25), (1, 0.05))
    pose = _pose(
        t, lean=lean, front=0.2, arm=swing, forearm=swing + 0.3, far_arm=-swing, far_forearm=0.3 - swing, thigh=thigh, shin=shin
    )
    fly = np.clip(phase - 0.46, 0, None) / 0.75  # seconds since the strike
    back = np.clip((phase - 0.85) / 0.15, 0, 1)
    x = np.where(phase < 0.85, 0.3 + 4.5 * fly, 1.6 - 1.3 * back)
    y = np.where(phase < 0.85, np.clip(0.06 + 2.2 * fly - 2.5 * fly**2, 0.06, None), 0.06)
    return Motion(pose, ball=np.stack([x, y], 1))


def spin_jump(t: np.ndarray) -> Motion:
    phase = (0.6 * t) % 1
    air = np.clip((phase - 0.3) / 0.4, 0, 1)
    hop = 1.3 * air * (1 - air)
    crouch = _keys(phase, (0, 0.0), (0.24, 0.75), (0.34, 0.0), (0.64, 0.0), (0.76, 0.7), (1, 0.0))
    yaw = 2 * np.pi * 2 * _keys(phase, (0, 0.0), (0.2, 0.0), (0.75, 1.0), (1, 1.0))
    out = _keys(phase, (0, 0.9), (0.22, 1.3), (0.36, 0.35), (0.62, 0.35), (0.78, 1.7), (1, 0.9))
    bent = {"thigh": crouch, "shin": -crouch, "far_thigh": crouch * 0.7, "far_shin": -crouch * 0.9}
    sides = {"arm": out, "forearm": out + np.where(hop > 0, 1.3, 0.1), "far_arm": -out, "far_forearm": -out}
    return Motion(_pose(t, hop=hop, lean=0.3 * crouch, front=0.8, turn=np.cos(yaw), **sides, **bent))


def throw(t: np.ndarray) -> Motion:
    phase = (0.7 * t) % 1
    arm = _keys(phase, (0, 0.3), (0.12, 0.2), (0.42, -2.0), (0.6, -5.2), (0.72, -5.9), (1, 0.3 - 2 * np.pi))
    forearm = _keys(phase, (0, 1.3), (0.12, 0.4), (0.42, -2.9), (0.52, -3.4), (0.6, -5.0), (0.72, -5.9), (1, 1.3 - 2 * np.pi))
    far = _keys(phase, (0, 0.1), (0.4, 1.6), (0.62, -0.5), (1, 0.1))
    lean = _keys(phase, (0, 0.0), (0.42, -0.3), (0.65, 0.45), (1, 0.0))
    step = _keys(phase, (0, 0.0), (0.3, 0.9), (0.5, 0.45), (0.7, 0.4), (1, 0.0))
    legs = {"thigh": step, "shin": step * 0.3 - 0.1, "far_thigh": -step * 0.6, "far_shin": -step * 0.9}
    pose = _pose(t, lean=lean, front=0.3, arm=arm, forearm=forearm, far_arm=far, far_forearm=far + 0.2, **legs)
    fly = np.clip(phase - 0.56, 0, None) / 0.7
    ball = np.stack([0.25 + 4.0 * fly, 1.05 + 0.9 * fly - 2.2 * fly**2], 1)
    ball[(phase < 0.56) | (ball[:, 1] < 0)] = np.nan
    return Motion(pose, holds="stone", ball=ball)


def waving(t: np.ndarray) -> Motion:
    swing = _wave(t, 1.4)
    pose = _pose(
        t,
        lean=0.04 * swing,
        front=0.9,
        arm=2.0 + 0.2 * swing,
        forearm=2.75 + 0.7 * swing,
        hop=0.012 * np.abs(swing),
        nod=0.1 * swing,
    )
    return Motion(pose)


# --- what else goes on -----------------------------------------------------------------------------------------------------


def _gait(t: np.ndarray, hertz: float, reach: float, bend: float, swing: float) -> dict[str, np.ndarray]:
    a, b = _wave(t, hertz), _wave(t, hertz, 0.5)
    lift_a, lift_b = np.clip(_wave(t, hertz, 0.25), 0, None), np.clip(_wave(t, hertz, 0.75), 0, None)
    legs = {"thigh": reach * a, "shin": reach * a - bend * lift_a, "far_thigh": reach * b, "far_shin": reach * b - bend * lift_b}
    arms = {
        "arm": swing * b,
        "forearm": swing * b + 0.3 + swing * 0.4,
        "far_arm": swing * a,
        "far_forearm": swing * a + 0.3 + swing * 0.4,
    }
    return legs | arms


def idle(t: np.ndarray) -> Motion:
    sway = _wave(t, 0.3)
    return Motion(_pose(t, lean=0.03 * sway, arm=0.12 + 0.05 * sway, far_arm=-0.12 - 0.04 * sway, nod=0.15 * _wave(t, 0.17)))


def wait(t: np.ndarray) -> Motion:
    """Arms folded, from one foot to the other, a look at the watch."""
    sway = _wave(t, 0.35)
    look = np.clip(_wave(t, 0.22, 0.1), 0, 1)
    arms = {"arm": 0.35 + 0.3 * look, "forearm": 1.8 + 0.5 * look, "far_arm": 0.2, "far_forearm": 1.7}
    return Motion(_pose(t, lean=0.05 * sway, thigh=0.08 + 0.06 * sway, far_thigh=-0.08 + 0.06 * sway, nod=0.3 * look, **arms))


def walk(t: np.ndarray) -> Motion:
    return Motion(_pose(t, lean=0.05, front=0.15, **_gait(t, 0.9, 0.45, 0.6, 0.4)), speed=0.5)


def jog(t: np.ndarray) -> Motion:
    hop = 0.04 * np.abs(_wave(t, 1.4, 0.1))
    return Motion(_pose(t, hop=hop, lean=0.16, front=0.15, **_gait(t, 1.4, 0.7, 1.2, 0.8)), speed=1.0)


def dribble(t: np.ndarray) -> Motion:
    ball = np.stack([0.33 + 0.12 * _wave(t, 1.3), np.full(len(t), 0.06)], 1)
    return Motion(_pose(t, lean=0.14, front=0.15, nod=0.3, **_gait(t, 1.3, 0.65, 1.0, 0.6)), speed=0.8, ball=ball)


def march(t: np.ndarray) -> Motion:
    up, down = np.clip(_wave(t, 0.8), 0, None), np.clip(_wave(t, 0.8, 0.5), 0, None)
    legs = {"thigh": 1.3 * up, "shin": -0.3 * up, "far_thigh": 1.3 * down, "far_shin": -0.3 * down}
    return Motion(
        _pose(t, front=0.4, arm=0.9 * down, forearm=0.9 * down + 1.0, far_arm=0.9 * up, far_forearm=0.9 * up + 1.0, **legs)
    )


def stretch(t: np.ndarray) -> Motion:
    side = _wave(t, 0.25)
    arms = {"arm": 2.8 + 0.2 * side, "forearm": 3.2, "far_arm": -2.8 + 0.2 * side, "far_forearm": -3.2}
    legs = {"thigh": 0.3, "shin": 0.3, "far_thigh": -0.3, "far_shin": -0.3}
    return Motion(_pose(t, lean=0.4 * side, front=1.0, **arms, **legs))


def carry(t: np.ndarray) -> Motion:
    gait = _gait(t, 0.8, 0.4, 0.6, 0.2) | {"arm": np.full(len(t), 0.3), "forearm": np.full(len(t), 1.5)}
    return Motion(_pose(t, lean=0.08, front=0.2, **gait), speed=0.4, holds="box")


def inspect(t: np.ndarray) -> Motion:
    """Bent over the work, measuring: the posture of hammering without its blows."""
    slow = _wave(t, 0.4)
    arms = {"arm": 0.8 + 0.15 * slow, "forearm": 1.1 + 0.25 * slow, "far_arm": 0.5, "far_forearm": 1.0 - 0.1 * slow}
    return Motion(_pose(t, lean=0.35 + 0.06 * slow, front=0.15, thigh=0.25, shin=-0.1, nod=0.35, **arms), holds="hammer")


def glide(t: np.ndarray) -> Motion:
    a, b = _wave(t, 0.45), _wave(t, 0.45, 0.5)
    push, other = np.clip(a, 0, None), np.clip(b, 0, None)
    legs = {"thigh": 0.35 - 0.9 * push, "shin": -0.3 - 0.5 * push, "far_thigh": 0.35 - 0.9 * other, "far_shin": -0.3 - 0.5 * other}
    return Motion(
        _pose(t, lean=0.32, front=0.25, arm=0.8 * a, forearm=0.8 * a + 0.2, far_arm=0.8 * b, far_forearm=0.8 * b, **legs), speed=1.1
    )


def pick_up(t: np.ndarray) -> Motion:
    phase = (0.4 * t) % 1
    down = _keys(phase, (0, 0.0), (0.4, 1.0), (0.55, 1.0), (0.95, 0.0), (1, 0.0))
    legs = {"thigh": 0.9 * down, "shin": -0.6 * down, "far_thigh": 0.7 * down, "far_shin": -0.8 * down}
    arms = {"arm": 0.2 + 0.3 * down, "forearm": 0.4 + 0.1 * down, "far_arm": -0.1 + 0.4 * down, "far_forearm": 0.3 * down}
    return Motion(_pose(t, lean=1.2 * down, front=0.2, nod=0.3 * down, **legs, **arms), holds="stone")


def phone(t: np.ndarray) -> Motion:
    slow = _wave(t, 0.5)
    return Motion(_pose(t, arm=0.3, forearm=2.1 + 0.06 * slow, nod=0.4, lean=0.04 * _wave(t, 0.23), front=0.4), holds="phone")


_ACTIONS = (jumping_jacks, hammering, kick, spin_jump, throw, waving)
_OTHERS = (idle, wait, walk, jog, dribble, march, stretch, carry, inspect, glide, pick_up, phone)
BEHAVIOURS: dict[str, Callable[[np.ndarray], Motion]] = {b.__name__: b for b in _ACTIONS + _OTHERS}


def joints(pose: np.ndarray) -> np.ndarray:
    """Places of the 15 joints `[n, 15, 2]` in body heights, forwards and up, the lower foot on the ground plus the hop."""
    p = {name: pose[:, column] for column, name in enumerate(POSE)}

    def limb(angle: np.ndarray, length: float) -> np.ndarray:
        return np.stack([np.sin(angle), -np.cos(angle)], 1) * length

    across = np.stack([p["front"], np.zeros(len(pose))], 1)
    at = np.zeros((len(pose), 15, 2))
    at[:, NECK] = limb(np.pi - p["lean"], TORSO)
    at[:, HEAD] = at[:, NECK] + limb(np.pi - p["lean"] - p["nod"], 0.13)
    for side, names in ((1, ("arm", "forearm")), (-1, ("far_arm", "far_forearm"))):
        first = SHOULDER if side > 0 else FAR_SHOULDER
        at[:, first] = at[:, NECK] + across * 0.085 * side - limb(np.pi - p["lean"], 0.02)
        at[:, first + 1] = at[:, first] + limb(p[names[0]], ARM)
        at[:, first + 2] = at[:, first + 1] + limb(p[names[1]], FOREARM)
    for side, names in ((1, ("thigh", "shin")), (-1, ("far_thigh", "far_shin"))):
        first = HIPS if side > 0 else FAR_HIPS
        at[:, first] = at[:, HIP] + across * 0.045 * side
        at[:, first + 1] = at[:, first] + limb(p[names[0]], THIGH)
        at[:, first + 2] = at[:, first + 1] + limb(p[names[1]], SHIN)
    lowest = np.minimum(at[:, FOOT, 1], at[:, FAR_FOOT, 1])
    at[:, :, 1] += (p["hop"] - lowest + 0.03)[:, None]
    at[:, :, 0] *= p["turn"][:, None]
    return at


@dataclass(frozen=True)
class Clothes:
    """Colours (RGB) of one figure."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    shoes: tuple[int, int, int]


SKINS = ((246, 208, 172), (224, 172, 132), (176, 120, 84), (120, 78, 54))
HAIRS = ((52, 36, 28), (120, 72, 36), (214, 170, 84), (36, 36, 44), (150, 60, 40))
SHIRTS = ((214, 62, 58), (52, 110, 196), (240, 186, 48), (60, 152, 96), (146, 84, 170), (238, 240, 236), (240, 128, 52))
TROUSERS = ((44, 52, 78), (70, 70, 76), (96, 72, 52), (36, 84, 110), (232, 230, 224), (120, 40, 50))


def dress(rng: np.random.Generator) -> Clothes:
    skin, hair, shirt, trousers = (options[int(rng.integers(len(options)))] for options in (SKINS, HAIRS, SHIRTS, TROUSERS))
    return Clothes(skin, hair, shirt, trousers, (245, 245, 245) if rng.random() < 0.5 else (40, 36, 40))


INK = (38, 32, 40)


def draw_figure(image: np.ndarray, at: np.ndarray, size: float, clothes: Clothes, faces: float, holds: str | None) -> None:
    """Draw one figure into `image` (RGB, in place).

    Args:
        at:    [15, 2] joints in pixels.
        size:  body height in pixels.
        faces: -1..1: where the face looks on the screen; near 0 away from or towards the camera.
        holds: what is in the near hand.
    """
    points = [(int(x), int(y)) for x, y in np.rint(at * 8)]

    def line(a: int, b: int, thick: float, colour: tuple[int, int, int], rim: int = 0) -> None:
        cv2.line(image, points[a], points[b], colour, max(round(thick * size) + rim, 1), cv2.LINE_AA, 3)

    def dot(centre: tuple[int, int], radius: float, colour: tuple[int, int, int]) -> None:
        cv2.circle(image, centre, max(int(radius * size * 8), 4), colour, -1, cv2.LINE_AA, 3)

    c = clothes
    far_sleeve, far_leg = _darker(c.shirt), _darker(c.trousers)
    rim = 2 if size > 45 else 1
    parts = (
        (FAR_SHOULDER, FAR_ELBOW, 0.062, far_sleeve),
        (FAR_ELBOW, FAR_HAND, 0.052, c.skin),
        (FAR_HIPS, FAR_KNEE, 0.085, far_leg),
        (FAR_KNEE, FAR_FOOT, 0.07, far_leg),
        (HIPS, KNEE, 0.09, c.trousers),
        (KNEE, FOOT, 0.072, c.trousers),
        (HIP, NECK, 0.15, c.shirt),
    )
    arm = ((SHOULDER, ELBOW, 0.066, c.shirt), (ELBOW, HAND, 0.054, c.skin))
    for a, b, thick, _ in parts:
        line(a, b, thick, INK, rim)
    for foot in (FAR_FOOT, FOOT):
        toe = (points[foot][0] + int(np.sign(faces or 1) * 0.05 * size * 8), points[foot][1])
        cv2.line(image, points[foot], toe, c.shoes, max(int(0.055 * size), 2), cv2.LINE_AA, 3)
    for a, b, thick, colour in parts:
        line(a, b, thick, colour)
    head = points[HEAD]
    dot(head, 0.088, INK)
    dot(head, 0.078, c.skin)
    back = (head[0] - int(faces * 0.03 * size * 8), head[1] - int(0.03 * size * 8))
    dot(back, 0.066, c.hair)
    if size > 45:
        eye = (head[0] + int(faces * 0.045 * size * 8), head[1] + int(0.012 * size * 8))
        dot(eye, 0.012, INK)
    if holds is not None:
        draw_held(image, holds, points[ELBOW], points[HAND], size)
    for a, b, thick, _ in arm:
        line(a, b, thick, INK, rim)
    for a, b, thick, colour in arm:
        line(a, b, thick, colour)


def _darker(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    r, g, b = (int(0.8 * v) for v in colour)
    return r, g, b


def draw_held(image: np.ndarray, what: str, elbow: tuple[int, int], hand: tuple[int, int], size: float) -> None:
    """Draw what a hand holds; `elbow` and `hand` in eighths of a pixel."""
    along = np.array(hand, float) - elbow
    along /= max(float(np.hypot(*along)), 1e-6)
    across = np.array([-along[1], along[0]])
    if along @ [0, 1] < -0.2:  # a raised hammer points backwards, a lowered one forwards: always away from the ground
        across = across if across[1] < 0 else -across
    here = np.array(hand, float)
    unit = size * 8

    def put(offset: np.ndarray) -> tuple[int, int]:
        x, y = here + offset * unit
        return int(x), int(y)

    if what == "hammer":
        cv2.line(image, put(-0.04 * along), put(0.17 * along), (150, 104, 60), max(int(0.03 * size), 2), cv2.LINE_AA, 3)
        top = 0.17 * along
        cv2.line(image, put(top - 0.06 * across), put(top + 0.06 * across), (84, 88, 98), max(int(0.06 * size), 3), cv2.LINE_AA, 3)
    elif what == "stone":
        cv2.circle(image, put(0.03 * along), int(0.035 * unit), (240, 96, 60), -1, cv2.LINE_AA, 3)
    elif what == "phone":
        cv2.line(image, put(0.01 * along), put(0.08 * along), (30, 34, 44), max(int(0.04 * size), 2), cv2.LINE_AA, 3)
    elif what == "box":
        x, y = hand
        half = int(0.1 * unit)
        cv2.rectangle(image, (x - half, y - half), (x + half, y + half), INK, 2, cv2.LINE_AA, 3)
        cv2.rectangle(image, (x - half, y - half), (x + half, y + half), (196, 150, 92), -1, cv2.LINE_AA, 3)
    else:
        raise ValueError(what)


def draw_ball(image: np.ndarray, at: tuple[float, float], size: float, colour: tuple[int, int, int]) -> None:
    centre = (int(at[0] * 8), int(at[1] * 8))
    cv2.circle(image, centre, int(0.058 * size * 8), INK, -1, cv2.LINE_AA, 3)
    cv2.circle(image, centre, int(0.045 * size * 8), colour, -1, cv2.LINE_AA, 3)
