"""The places: drawn backgrounds wider than the frame, and the cutaways (score board, crowd, ...) of each.

All painters take a random generator for colours and places of things, and return RGB uint8. They paint at twice the size and
shrink, which smooths every edge.
"""

from collections.abc import Callable

import cv2
import numpy as np

WIDE, HIGH = 480, 240  # the backdrop, in pixels of the video at zoom 1
GROUND = 200  # where feet stand in it
WIDTH, HEIGHT = 240, 180  # of the video's frames
Colour = tuple[int, int, int]
INK = (38, 32, 40)


def backdrop(scene: str, rng: np.random.Generator) -> np.ndarray:
    """Paint the background of a scene, uint8 `[HIGH, WIDE, 3]`."""
    canvas = np.zeros((HIGH * 2, WIDE * 2, 3), np.uint8)
    BACKDROPS[scene](canvas, rng)
    return cv2.resize(canvas, (WIDE, HIGH), interpolation=cv2.INTER_AREA)


def cutaway(scene: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Paint two states, uint8 `[HEIGHT, WIDTH, 3]` each, between which the scene's cutaway changes."""
    canvases = [np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8) for _ in range(2)]
    CUTAWAYS[scene](canvases, rng)
    return [cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for canvas in canvases]


# --- brushes: coordinates in pixels of the video, canvases twice as fine ---------------------------------------------------


def _box(canvas: np.ndarray, x: float, y: float, right: float, bottom: float, colour: Colour, rim: bool = False) -> None:
    corners = (round(x * 2), round(y * 2)), (round(right * 2), round(bottom * 2))
    cv2.rectangle(canvas, *corners, colour, -1)
    if rim:
        cv2.rectangle(canvas, *corners, INK, 2)


def _disc(canvas: np.ndarray, x: float, y: float, radius: float, colour: Colour, rim: bool = False) -> None:
    if rim:
        cv2.circle(canvas, (round(x * 2), round(y * 2)), round(radius * 2) + 2, INK, -1, cv2.LINE_AA)
    cv2.circle(canvas, (round(x * 2), round(y * 2)), round(radius * 2), colour, -1, cv2.LINE_AA)


def _stroke(canvas: np.ndarray, x: float, y: float, to_x: float, to_y: float, colour: Colour, thick: float = 1) -> None:
    ends = (round(x * 2), round(y * 2)), (round(to_x * 2), round(to_y * 2))
    cv2.line(canvas, *ends, colour, max(round(thick * 2), 1), cv2.LINE_AA)


def _shape(canvas: np.ndarray, points: list[tuple[float, float]], colour: Colour) -> None:
    cv2.fillPoly(canvas, [np.rint(np.array(points) * 2).astype(np.int32)], colour, cv2.LINE_AA)


def _times(colour: Colour, by: float) -> Colour:
    r, g, b = (min(int(v * by), 255) for v in colour)
    return r, g, b


def _fade(canvas: np.ndarray, y: float, bottom: float, above: Colour, below: Colour) -> None:
    rows = slice(round(y * 2), round(bottom * 2))
    share = np.linspace(0, 1, rows.stop - rows.start)[:, None, None]
    canvas[rows] = (np.array(above) * (1 - share) + np.array(below) * share).astype(np.uint8)


def _words(canvas: np.ndarray, text: str, x: float, y: float, size: float, colour: Colour, thick: int = 3) -> None:
    cv2.putText(canvas, text, (round(x * 2), round(y * 2)), cv2.FONT_HERSHEY_DUPLEX, size, colour, thick, cv2.LINE_AA)


def _vary(colour: Colour, rng: np.random.Generator, by: int = 16) -> Colour:
    r, g, b = (int(np.clip(v + rng.integers(-by, by + 1), 0, 255)) for v in colour)
    return r, g, b


def _people(canvas: np.ndarray, rng: np.random.Generator, x: float, y: float, right: float, bottom: float, radius: float) -> None:
    """Rows of heads and shoulders: a crowd."""
    row = 0
    while y < bottom:
        place = x - (row % 2) * radius
        while place < right:
            shirt = _vary((145, 145, 145), rng, 85)
            skin = [(240, 200, 168), (200, 150, 112), (130, 90, 64)][int(rng.integers(3))]
            jump = float(rng.uniform(-0.5, 0.5)) * radius
            _disc(canvas, place, y + jump + radius * 1.6, radius * 1.25, shirt)
            _disc(canvas, place, y + jump, radius * 0.8, skin)
            place += radius * float(rng.uniform(2.3, 3.0))
        y += radius * 2.2
        row += 1


# --- backdrops -------------------------------------------------------------------------------------------------------------


def _pitch(canvas: np.ndarray, rng: np.random.Generator) -> None:
    _fade(canvas, 0, 70, _vary((120, 176, 226), rng), (206, 228, 240))
    _box(canvas, 0, 58, WIDE, 112, (96, 100, 116))
    _people(canvas, rng, 0, 64, WIDE, 106, 3.4)
    advert = 0.0
    while advert < WIDE:
        width = float(rng.uniform(50, 90))
        _box(canvas, advert, 110, advert + width, 126, _vary((200, 60, 60) if rng.random() < 0.5 else (40, 80, 160), rng, 30))
        _words(canvas, str(rng.choice(["GOAL", "SPORT", "RADIO", "COLA", "BANK"])), advert + 8, 122, 0.7, (250, 250, 250), 2)
        advert += width
    grass = _vary((82, 156, 70), rng, 14)
    for stripe in range(0, WIDE, 40):
        _box(canvas, stripe, 126, stripe + 40, HIGH, grass if stripe % 80 else _times(grass, 0.9))
    _stroke(canvas, 0, 150, WIDE, 150, (236, 244, 236), 1.5)
    _stroke(canvas, 0, 226, WIDE, 226, (236, 244, 236), 2)
    for goal in (28, WIDE - 28):
        side = 34 if goal < 100 else -34
        for net in range(7):
            _stroke(canvas, goal - side * net / 6 * 0.6, 106, goal - side * net / 6 * 0.9, 168, (210, 216, 214), 0.5)
            _stroke(canvas, goal, 106 + net * 10, goal - side, 110 + net * 10, (210, 216, 214), 0.5)
        _stroke(canvas, goal, 104, goal, 178, (252, 252, 252), 3)
        _stroke(canvas, goal, 104, goal - side, 106, (252, 252, 252), 3)


def _gym(canvas: np.ndarray, rng: np.random.Generator) -> None:
    wall = _vary((226, 206, 176), rng)
    _fade(canvas, 0, 168, wall, _times(wall, 0.92))
    for window in range(20, WIDE, 120):
        _box(canvas, window, 14, window + 70, 52, (172, 210, 232), rim=True)
        _stroke(canvas, window + 35, 14, window + 35, 52, INK, 1)
    _box(canvas, 0, 60, WIDE, 64, _vary((196, 66, 58), rng, 30))
    for ladder in (46, 226, 400):
        _box(canvas, ladder, 74, ladder + 4, 168, (140, 92, 52))
        _box(canvas, ladder + 40, 74, ladder + 44, 168, (140, 92, 52))
        for rung in range(80, 168, 12):
            _stroke(canvas, ladder + 2, rung, ladder + 42, rung, (172, 120, 70), 2)
    hoop = int(rng.integers(120, 340))
    _box(canvas, hoop, 68, hoop + 40, 96, (250, 250, 250), rim=True)
    _stroke(canvas, hoop + 12, 98, hoop + 28, 98, (230, 90, 40), 2)
    for k in range(5):
        _stroke(canvas, hoop + 12 + 4 * k, 98, hoop + 14 + 3 * k, 112, (240, 240, 240), 0.5)
    _fade(canvas, 168, HIGH, (206, 150, 92), (178, 122, 70))
    for board in range(0, WIDE * 2, 26):
        _stroke(canvas, board, 168, (board - WIDE / 2) * 1.6 + WIDE / 2, HIGH, (166, 114, 66), 0.5)
    _stroke(canvas, 0, 212, WIDE, 212, (60, 110, 180), 2)
    for mat in (float(rng.uniform(10, 60)), float(rng.uniform(330, 380))):
        _box(canvas, mat, 158, mat + 70, 172, _vary((54, 104, 180), rng), rim=True)
        _box(canvas, mat, 146, mat + 70, 158, _vary((64, 124, 190), rng), rim=True)


def _workshop(canvas: np.ndarray, rng: np.random.Generator) -> None:
    wall = _vary((150, 126, 104), rng)
    _fade(canvas, 0, 172, _times(wall, 0.85), wall)
    for plank in range(0, WIDE, 24):
        _stroke(canvas, plank, 0, plank, 172, _times(wall, 0.8), 0.7)
    for board in (30, 190, 350):
        _box(canvas, board, 34, board + 104, 100, (206, 172, 124), rim=True)
        for tool in range(6):
            x = board + 10 + tool * 16
            handle = _vary((150, 70, 50), rng, 40)
            tall = float(rng.uniform(18, 34))
            _stroke(canvas, x, 44, x, 44 + tall, handle, 2.5)
            if tool % 3 == 0:
                _stroke(canvas, x - 5, 44, x + 5, 44, (86, 90, 98), 4)
            elif tool % 3 == 1:
                _disc(canvas, x, 46, 4.5, (120, 126, 134))
            else:
                _shape(canvas, [(x, 44 + tall), (x + 9, 84), (x, 90)], (168, 174, 182))
    for bench in (0, 300):
        _box(canvas, bench, 138, bench + 150, 146, (176, 124, 70), rim=True)
        _box(canvas, bench + 8, 146, bench + 18, 182, (140, 96, 52), rim=True)
        _box(canvas, bench + 130, 146, bench + 140, 182, (140, 96, 52), rim=True)
        _box(canvas, bench + 30, 124, bench + 62, 138, _vary((190, 60, 50), rng, 30), rim=True)
        _disc(canvas, bench + 100, 130, 8, (90, 130, 90), rim=True)
    lamp = int(rng.integers(100, 380))
    _stroke(canvas, lamp, 0, lamp, 16, INK, 1)
    _shape(canvas, [(lamp - 12, 26), (lamp + 12, 26), (lamp + 4, 14), (lamp - 4, 14)], (70, 96, 90))
    _disc(canvas, lamp, 27, 4, (255, 240, 170))
    _fade(canvas, 172, HIGH, (128, 120, 112), (104, 96, 90))
    for _ in range(90):
        left, y = rng.uniform(0, WIDE), rng.uniform(176, HIGH)
        _stroke(canvas, left, y, left + rng.uniform(-4, 4), y + 1, (206, 176, 128), 0.7)


def _street(canvas: np.ndarray, rng: np.random.Generator) -> None:
    _fade(canvas, 0, 90, _vary((150, 190, 226), rng, 24), (232, 226, 214))
    x = -float(rng.uniform(0, 30))
    while x < WIDE:
        width, top = float(rng.uniform(54, 84)), float(rng.uniform(14, 56))
        _box(canvas, x, top, x + width, 160, _vary((200, 142, 112), rng, 44), rim=True)
        roof = [(x - 3, top), (x + width + 3, top), (x + width - 8, top - 14), (x + 8, top - 14)]
        _shape(canvas, roof, _vary((130, 70, 60), rng, 24))
        for floor in range(int(top) + 10, 120, 26):
            for window in range(int(x) + 9, int(x + width) - 12, 20):
                lit = rng.random() < 0.25
                _box(canvas, window, floor, window + 11, floor + 15, (255, 226, 140) if lit else (104, 132, 156), rim=True)
        _box(canvas, x + width / 2 - 8, 134, x + width / 2 + 8, 160, _vary((90, 60, 50), rng, 40), rim=True)
        x += width
    _box(canvas, 0, 160, WIDE, 210, (190, 186, 182))
    for slab in range(0, WIDE, 30):
        _stroke(canvas, slab, 162, slab - 14, 210, (168, 164, 160), 0.6)
    _box(canvas, 0, 210, WIDE, 214, (140, 138, 136))
    _box(canvas, 0, 214, WIDE, HIGH, (84, 84, 92))
    for dash in range(0, WIDE, 60):
        _box(canvas, dash, 228, dash + 30, 231, (236, 232, 220))
    for post in (rng.uniform(30, 120), rng.uniform(330, 440)):
        _stroke(canvas, post, 60, post, 176, (52, 60, 58), 2.5)
        _disc(canvas, post, 58, 6, (255, 242, 196), rim=True)
    stop = int(rng.integers(190, 290))
    _stroke(canvas, stop, 84, stop, 178, (70, 74, 84), 2.5)
    _box(canvas, stop - 12, 72, stop + 12, 94, (250, 200, 40), rim=True)
    _words(canvas, "BUS", stop - 9, 87, 0.55, (30, 60, 40), 2)


def _rink(canvas: np.ndarray, rng: np.random.Generator) -> None:
    _box(canvas, 0, 0, WIDE, 124, (56, 60, 92))
    _people(canvas, rng, 0, 34, WIDE, 116, 4.2)
    for light in range(20, WIDE, 66):
        _box(canvas, light, 6, light + 30, 13, (250, 250, 226))
    for x in range(0, WIDE, 60):
        _box(canvas, x, 118, x + 60, 150, (244, 246, 250), rim=True)
        colour = _vary([(214, 50, 60), (40, 90, 180), (240, 170, 40)][int(rng.integers(3))], rng)
        _words(canvas, str(rng.choice(["ICE", "SKATE", "SNOW", "TOUR", "MILK"])), x + 8, 139, 0.75, colour, 2)
    _box(canvas, 0, 148, WIDE, 152, (240, 196, 60))
    _fade(canvas, 152, HIGH, (206, 228, 240), (236, 246, 252))
    _stroke(canvas, 0, 186, WIDE, 186, (220, 110, 120), 2)
    for _ in range(34):
        left, y = rng.uniform(0, WIDE), rng.uniform(158, HIGH)
        _stroke(canvas, left, y, left + rng.uniform(10, 50), y + rng.uniform(-5, 5), (190, 212, 228), 0.6)


def _beach(canvas: np.ndarray, rng: np.random.Generator) -> None:
    _fade(canvas, 0, 96, _vary((104, 178, 228), rng, 22), (236, 232, 214))
    sun = float(rng.uniform(60, WIDE - 60))
    _disc(canvas, sun, 34, 15, (255, 242, 178))
    for _ in range(5):
        x, y = float(rng.uniform(0, WIDE)), float(rng.uniform(16, 60))
        for puff in range(4):
            _disc(canvas, x + puff * 9, y - (puff % 2) * 4, 8, (246, 248, 250))
    _fade(canvas, 94, 152, _vary((36, 112, 168), rng), (92, 186, 196))
    for _ in range(46):
        x, y = float(rng.uniform(0, WIDE)), float(rng.uniform(100, 146))
        _stroke(canvas, x, y, x + float(rng.uniform(8, 26)), y, (176, 220, 228), 0.8)
    ship = float(rng.uniform(60, WIDE - 60))
    _shape(canvas, [(ship - 16, 92), (ship + 16, 92), (ship + 10, 99), (ship - 11, 99)], (160, 60, 50))
    _shape(canvas, [(ship, 66), (ship, 90), (ship + 15, 90)], (250, 250, 246))
    _fade(canvas, 152, HIGH, (226, 204, 150), (238, 214, 158))
    for x in range(0, WIDE, 24):
        _disc(canvas, x + 12, 150, 10, (244, 248, 248))
    _box(canvas, 0, 152, WIDE, 158, (232, 212, 164))
    for _ in range(160):
        x, y = float(rng.uniform(0, WIDE)), float(rng.uniform(162, HIGH))
        _disc(canvas, x, y, 0.8, (198, 172, 122))
    for shade in (float(rng.uniform(20, 90)), float(rng.uniform(360, 450))):
        _stroke(canvas, shade, 90, shade + 4, 184, (240, 236, 226), 2)
        for k in range(6):
            colour = _vary((220, 70, 60), rng, 10) if k % 2 else (250, 246, 238)
            _shape(canvas, [(shade, 80), (shade - 42 + 14 * k, 112), (shade - 28 + 14 * k, 112)], colour)
    palm = float(rng.uniform(150, 320))
    _stroke(canvas, palm, 176, palm + 10, 84, (130, 92, 58), 4)
    for k in range(6):
        angle = np.pi * (0.95 - 0.18 * k)
        _stroke(canvas, palm + 10, 84, palm + 10 + 32 * np.cos(angle), 88 - 22 * np.sin(angle) + abs(k - 2.5) * 5, (58, 136, 72), 4)


BACKDROPS: dict[str, Callable[[np.ndarray, np.random.Generator], None]] = {
    "pitch": _pitch, "gym": _gym, "workshop": _workshop, "street": _street, "rink": _rink, "beach": _beach,
}  # fmt: skip


# --- cutaways --------------------------------------------------------------------------------------------------------------


def _score(canvases: list[np.ndarray], rng: np.random.Generator, ground: Colour, lines: tuple[str, str], crowd: bool) -> None:
    digits = rng.integers(0, 8, 2)
    for state, canvas in enumerate(canvases):
        canvas[:] = ground
        if crowd:
            _people(canvas, np.random.default_rng(int(digits[0]) * 10 + state), 0, 128, WIDTH, 176, 9)
        _box(canvas, 24, 18, 216, 122, (24, 26, 34), rim=True)
        _box(canvas, 30, 24, 210, 52, (44, 50, 66))
        _words(canvas, lines[0], 40, 45, 1.2, (250, 214, 70))
        _words(canvas, f"{digits[0]} : {digits[1] + state}", 70, 92, 2.4, (255, 110, 60), 5)
        _words(canvas, f"{lines[1]} {10 + int(digits.sum()) + state}", 48, 116, 1.0, (190, 240, 190), 2)


def _pitch_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    _score(canvases, rng, _vary((70, 120, 80), rng), ("HOME  AWAY", "MINUTE"), crowd=True)


def _rink_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    _score(canvases, rng, _vary((70, 84, 140), rng), ("ICE  CUP", "RANK"), crowd=True)


def _gym_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    _score(canvases, rng, _vary((190, 150, 110), rng), ("WORKOUT", "ROUND"), crowd=False)
    for canvas in canvases:
        for dumbbell in (40, 110, 180):
            _stroke(canvas, dumbbell - 14, 154, dumbbell + 14, 154, (90, 92, 100), 4)
            for end in (-15, 15):
                _box(canvas, dumbbell + end - 5, 142, dumbbell + end + 5, 166, (40, 42, 50), rim=True)


def _workshop_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    """A plan on the wall, and a rule that is moved over it."""
    paper = _vary((60, 100, 160), rng)
    for state, canvas in enumerate(canvases):
        canvas[:] = (140, 110, 84)
        _box(canvas, 20, 14, 220, 166, paper, rim=True)
        for k in range(30, 220, 16):
            _stroke(canvas, k, 16, k, 164, _times(paper, 1.15), 0.5)
        _shape(canvas, [(60, 130), (60, 80), (110, 44), (160, 80), (160, 130)], _times(paper, 1.4))
        _box(canvas, 96, 96, 122, 130, (220, 232, 244))
        _stroke(canvas, 34, 148 - 30 * state, 206, 148 - 44 * state, (226, 200, 120), 9)
        for mark in range(40, 206, 8):
            _stroke(canvas, mark, 144 - 32 * state, mark, 149 - 34 * state, INK, 0.7)


def _street_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    """The bus."""
    paint = _vary((210, 60, 54), rng, 30)
    number = int(rng.integers(1, 60))
    for state, canvas in enumerate(canvases):
        _fade(canvas, 0, 140, (196, 206, 216), (226, 224, 218))
        _box(canvas, 0, 140, WIDTH, HEIGHT, (88, 88, 96))
        x = 8
        _box(canvas, x, 36, x + 250, 142, paint, rim=True)
        for window in range(5):
            _box(canvas, x + 12 + window * 46, 50, x + 50 + window * 46, 90, (150, 196, 220), rim=True)
        _box(canvas, x + 12, 40, x + 60, 49, (20, 24, 30))
        _words(canvas, f"{number} CITY", x + 15, 48, 0.5, (255, 190, 60), 1)
        _box(canvas, x + 104, 56, x + 142, 138, (60, 64, 74) if state else (130, 180, 206), rim=True)  # the door
        for wheel in (50, 190):
            _disc(canvas, x + wheel, 142, 17, (34, 34, 38))
            _disc(canvas, x + wheel, 142, 8, (180, 182, 188))


def _beach_cut(canvases: list[np.ndarray], rng: np.random.Generator) -> None:
    """Waves."""
    water = _vary((40, 128, 176), rng)
    crests = [(float(rng.uniform(-20, WIDTH)), float(rng.uniform(10, HEIGHT)), float(rng.uniform(16, 40))) for _ in range(40)]
    for state, canvas in enumerate(canvases):
        _fade(canvas, 0, HEIGHT, _times(water, 0.8), _times(water, 1.25))
        for x, y, width in crests:
            x, y = x + 10 * state, y + 6 * state
            _stroke(canvas, x, y, x + width / 2, y - 5, (214, 238, 244), 1.5)
            _stroke(canvas, x + width / 2, y - 5, x + width, y, (240, 250, 252), 2)


CUTAWAYS: dict[str, Callable[[list[np.ndarray], np.random.Generator], None]] = {
    "pitch": _pitch_cut, "gym": _gym_cut, "workshop": _workshop_cut, "street": _street_cut, "rink": _rink_cut, "beach": _beach_cut,
}  # fmt: skip
