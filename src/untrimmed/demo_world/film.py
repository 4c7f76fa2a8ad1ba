"""From a plan to frames: the figure's way through the scene, the camera that follows it, light and noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from untrimmed.demo_world.figure import BEHAVIOURS, HEAD, INK, Clothes, draw_ball, draw_figure, dress, joints, walk
from untrimmed.demo_world.plan import FPS, HOME, LOOK, Plan
from untrimmed.demo_world.scenes import GROUND, HEIGHT, HIGH, WIDE, WIDTH, backdrop, cutaway

BLEND = 3  # frames over which one movement passes into the next, to both sides of the boundary
FLOOR = 0.86  # where the ground is in the frame, from the top
PASSER_SHARE = 0.3  # of the stretches, those in which somebody walks by


@dataclass(frozen=True)
class _Actor:
    """The main figure over all frames: `joints` [T, 15, 2] and `ball` [T, 2] in pixels of the backdrop."""

    joints: np.ndarray
    ball: np.ndarray
    faces: np.ndarray
    holds: list[str | None]
    x: np.ndarray
    size: float
    clothes: Clothes
    anvils: list[float]


def frames(plan: Plan) -> Iterator[np.ndarray]:
    """Draw a video, frame by frame: RGB uint8 `[HEIGHT, WIDTH, 3]`, the same for the same plan."""
    rng = np.random.default_rng([*plan.key, LOOK])
    size = rng.uniform(80, 104)
    actor = _act(plan, size, rng)
    canvas = backdrop(plan.scene, rng)
    for anvil in actor.anvils:
        _draw_anvil(canvas, anvil, size)
    tint = rng.uniform(0.72, 1.08) * rng.uniform(0.92, 1.08, 3)
    canvas = np.clip(canvas * tint, 0, 255).astype(np.uint8)
    clothes = Clothes(**{name: _lit(colour, tint) for name, colour in vars(actor.clothes).items()})
    ball = _lit((246, 246, 246) if rng.random() < 0.6 else (250, 196, 60), tint)
    cut = cutaway(plan.scene, rng)
    camera = _film(plan, actor.x, rng)
    passers = _passers(plan, size, rng)
    light = 1 + 0.05 * gaussian_filter1d(rng.standard_normal(plan.frames + 1), FPS)[: plan.frames] * 3
    strength = rng.uniform(2, 7)
    noise = (strength * rng.standard_normal((8, HEIGHT + 32, WIDTH + 32, 1)) * [0.9, 1.0, 1.1]).round()
    up, down = np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)
    jitter = rng.integers(0, 32, (plan.frames, 2))
    away = np.full(plan.frames, np.nan)  # seconds since the cutaway began
    for stretch in plan.stretches:
        if stretch.does == "cutaway":
            away[stretch.start : stretch.start + stretch.frames] = np.arange(stretch.frames) / FPS

    for i in range(plan.frames):
        x, y, zoom = camera[i]
        if np.isnan(away[i]):
            view = np.array([[zoom, 0, WIDTH / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])
            image = cv2.warpAffine(canvas, view, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for passer in passers:
                passer.draw(image, i, view)
            if -60 < zoom * (actor.x[i] - x) + WIDTH / 2 < WIDTH + 60:
                placed = actor.joints[i] * zoom + view[:, 2]
                _shadow(image, zoom * actor.x[i] + view[0, 2], zoom * (GROUND + 2) + view[1, 2], size * zoom)
                draw_figure(image, placed, size * zoom, clothes, float(actor.faces[i]), actor.holds[i])
            if not np.isnan(actor.ball[i, 0]):
                draw_ball(image, tuple(actor.ball[i] * zoom + view[:, 2]), size * zoom, ball)
        else:
            grow = 1.02 + 0.02 * away[i] / 3
            shown = cut[int(away[i] * 1.5) % 2]
            still = np.array([[grow, 0, (1 - grow) * WIDTH / 2], [0, grow, (1 - grow) * HEIGHT / 2]])
            image = cv2.warpAffine(shown, still, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = cv2.convertScaleAbs(image, alpha=float(light[i]))
        top, left = jitter[i]
        window = np.s_[i % 8, top : top + HEIGHT, left : left + WIDTH]
        yield cv2.subtract(cv2.add(image, up[window]), down[window])


def _lit(colour: tuple[int, int, int], tint: np.ndarray) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in np.clip(np.array(colour) * tint, 0, 255))
    return r, g, b


def _act(plan: Plan, size: float, rng: np.random.Generator) -> _Actor:
    """Let the figure go through its stretches: each movement blends into the next, and the way turns before the scene ends."""
    count = plan.frames
    pace = rng.uniform(0.85, 1.2)
    places, ball, weights = np.zeros((count, 15, 2)), np.full((count, 2), np.nan), np.zeros(count)
    speed = np.zeros(count)
    holds: list[str | None] = [None] * count
    working: list[int] = []
    for stretch in plan.stretches:
        behaviour = BEHAVIOURS["idle" if stretch.does in ("cutaway", "nobody") else stretch.does]
        end = stretch.start + stretch.frames
        around = np.arange(max(stretch.start - BLEND, 0), min(end + BLEND, count))
        own_pace, own_phase = pace * rng.uniform(0.85, 1.15), rng.uniform(0, 1)
        motion = behaviour(own_pace * (around - stretch.start) / FPS + own_phase)
        ramp = np.minimum((around - stretch.start + BLEND + 0.5) / (2 * BLEND), (end + BLEND - around - 0.5) / (2 * BLEND))
        weight = np.clip(ramp, 1e-3, 1)
        places[around] += weight[:, None, None] * joints(motion.pose)
        weights[around] += weight
        inside = slice(stretch.start, end)
        speed[inside] = motion.speed * own_pace
        holds[inside] = [motion.holds] * stretch.frames
        if motion.ball is not None:
            ball[inside] = motion.ball[stretch.start - around[0] :][: stretch.frames]
        if stretch.does in ("hammering", "inspect"):
            working.append(stretch.start)
    places /= weights[:, None, None]

    margin = 100.0
    x, side = np.zeros(count), np.zeros(count)
    here, facing = rng.uniform(margin + 30, WIDE - margin - 30), rng.choice([-1.0, 1.0])
    for i in range(count):
        here += facing * speed[i] * size / FPS
        if (here > WIDE - margin and facing > 0) or (here < margin and facing < 0):
            facing = -facing
        x[i], side[i] = here, facing
    x = uniform_filter1d(x, 3)
    side = uniform_filter1d(side, 3)
    # A ball flies off towards where the figure looks; a face that turns is drawn turning.
    world = np.stack([x[:, None] + places[:, :, 0] * side[:, None] * size, GROUND - places[:, :, 1] * size], 2)
    thrown = np.stack([x + ball[:, 0] * side * size, GROUND - ball[:, 1] * size], 1)
    yaw = np.ones(count)
    for stretch in plan.stretches:
        if stretch.does == "spin_jump":  # the face goes round with the body
            inside = slice(stretch.start, stretch.start + stretch.frames)
            yaw[inside] = np.clip((places[inside, 6, 0] - places[inside, 3, 0]) / -0.13, -1, 1)
    anvils = [float(x[i] + side[i] * 0.42 * size) for i in working]
    return _Actor(world, thrown, side * yaw, holds, x, size, dress(rng), anvils)


def _film(plan: Plan, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The camera over all frames: `[T, 3]` centre in pixels of the backdrop, and zoom. It follows late, and shakes."""
    count = plan.frames
    drift = gaussian_filter1d(rng.standard_normal(count + 1), 2.5 * FPS, mode="nearest")[:count] * 8
    zoom = rng.uniform(0.92, 1.2) * (1 + 0.05 * np.clip(drift, -1.2, 1.2))
    target = x + rng.uniform(-15, 15)
    for stretch in plan.stretches:
        if stretch.does == "nobody":  # the camera shows the other side of the scene
            inside = slice(stretch.start, stretch.start + stretch.frames)
            target[inside] = np.where(x[inside].mean() < WIDE / 2, WIDE, 0)
    half = WIDTH / 2 / zoom
    target = np.clip(target, half, WIDE - half)
    shake = rng.uniform(0.3, 2.2) * gaussian_filter1d(rng.standard_normal((count + 1, 2)), 1.2, axis=0)[:count] * 2
    centre = uniform_filter1d(target, 9, mode="nearest") + shake[:, 0]
    height = GROUND - (FLOOR - 0.5) * HEIGHT / zoom + shake[:, 1]
    return np.stack([np.clip(centre, half, WIDE - half), np.clip(height, HEIGHT / 2 / zoom, HIGH - HEIGHT / 2 / zoom), zoom], 1)


@dataclass(frozen=True)
class _Passer:
    """Somebody who walks through behind the figure, in frames `start` on: joints `[n, 15, 2]` in pixels of the backdrop."""

    start: int
    joints: np.ndarray
    size: float
    faces: float
    clothes: Clothes

    def draw(self, image: np.ndarray, frame: int, view: np.ndarray) -> None:
        if not self.start <= frame < self.start + len(self.joints):
            return
        zoom = view[0, 0]
        placed = self.joints[frame - self.start] * zoom + view[:, 2]
        if -40 < placed[HEAD, 0] < WIDTH + 40:
            draw_figure(image, placed, self.size * zoom, self.clothes, self.faces, None)


def _passers(plan: Plan, size: float, rng: np.random.Generator) -> list[_Passer]:
    passers = []
    for stretch in plan.stretches:
        if stretch.kind in HOME or rng.random() >= PASSER_SHARE:
            continue
        small = size * rng.uniform(0.72, 0.85)
        faces = float(rng.choice([-1.0, 1.0]))
        t = np.arange(stretch.frames) / FPS
        way = (0.5 * WIDE - faces * (0.35 * WIDE) * rng.uniform(0.4, 1)) + faces * 0.55 * small * t
        at = joints(walk(t * rng.uniform(0.9, 1.15)).pose)
        world = np.stack([way[:, None] + faces * at[:, :, 0] * small, GROUND - 14 - at[:, :, 1] * small], 2)
        passers.append(_Passer(stretch.start, world, small, faces, dress(rng)))
    return passers


def _shadow(image: np.ndarray, x: float, y: float, size: float) -> None:
    """A dark patch under the feet, blended into a small window only."""
    half, flat = int(0.22 * size), max(int(0.035 * size), 2)
    left, right = max(int(x) - half, 0), min(int(x) + half, WIDTH)
    top, bottom = max(int(y) - flat, 0), min(int(y) + flat, HEIGHT)
    if left >= right or top >= bottom:
        return
    patch = image[top:bottom, left:right]
    dark = patch.copy()
    cv2.ellipse(dark, (int(x) - left, int(y) - top), (half, flat), 0, 0, 360, INK, -1, cv2.LINE_AA)
    cv2.addWeighted(dark, 0.35, patch, 0.65, 0, dst=patch)


def _draw_anvil(canvas: np.ndarray, x: float, size: float) -> None:
    """What is hammered on: a block that stands in the scene from the beginning."""
    top = int(GROUND - 0.36 * size)
    left, right = int(x - 0.1 * size), int(x + 0.12 * size)
    cv2.rectangle(canvas, (left + 3, top), (right - 3, GROUND + 2), INK, -1)
    cv2.rectangle(canvas, (left + 4, top), (right - 4, GROUND + 1), (136, 96, 62), -1)
    cv2.rectangle(canvas, (left, top - 5), (right, top + 4), INK, -1)
    cv2.rectangle(canvas, (left + 1, top - 4), (right - 1, top + 3), (108, 112, 122), -1)
