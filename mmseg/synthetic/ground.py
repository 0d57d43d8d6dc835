"""Sky, far background and everything that lies flat: road, pavement, grass, paint, rails."""
from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .scene import Light, SceneSpec, Street
from .textures import blend, cell_hash, jitter, noise, pick

FAR = 1500.0               # metres; the ground ends here, just below the horizon
RAIL_GAUGE = 1.435
ZEBRA_LENGTH = 3.4
ASPHALT = ((98, 98, 102), (122, 120, 116), (80, 82, 88), (138, 132, 126), (108, 102, 98))
PAVING = ((150, 146, 140), (172, 164, 152), (128, 126, 126), (150, 120, 104), (112, 110, 108))
GRASS = ((86, 112, 52), (112, 120, 60), (134, 124, 78), (70, 98, 50), (120, 100, 72))


def paint_sky(canvas: Canvas, spec: SceneSpec) -> None:
    """Gradient and clouds over the whole picture; everything later goes over it."""
    rng = np.random.default_rng([spec.seed, 11])
    box = (slice(0, canvas.h), slice(0, canvas.w))
    x, y, z = canvas.camera.rays(*canvas.pixels_of(box))
    rise = np.clip(y / z, 0.004, None)
    if spec.light.overcast:
        top, low = jitter(rng, (176, 182, 190), 10), jitter(rng, (206, 208, 210), 8)
        cloud, cover = np.float32(np.array([214, 216, 220])), 0.55
    else:
        top, low = jitter(rng, (74, 126, 200), 20), jitter(rng, (186, 206, 226), 14)
        cloud, cover = np.float32(np.array([244, 242, 240])), rng.uniform(-0.2, 0.6)
    blue = np.clip(rise * 1.9, 0, 1)[..., None]
    colour = np.broadcast_to(low + (top - low) * blue, (canvas.h, canvas.w, 3))
    shift = rng.uniform(0, 200, 2)
    u, v = x / (rise + 0.12), np.broadcast_to(1 / (rise + 0.12), (canvas.h, canvas.w))
    density = noise(u + shift[0], v + shift[1], 14, 1.6) * 0.8 + 0.2 * noise(u, v + 9, 40, 1.0)
    weight = np.clip((density - 0.62 + 0.35 * cover) * 4, 0, 0.9)
    shade = 1 - 0.3 * np.clip(density - 0.55, 0, 1)
    colour = blend(colour, cloud, weight) * shade[..., None] * np.float32(spec.light.tint)
    canvas.rgb[...] = np.clip(colour, 0, 255)
    w, h = canvas.camera.width, canvas.camera.height
    corners = np.array([[-1, -1], [w, -1], [w, h], [-1, h]])
    canvas.add('sky', [corners], lambda cols, rows: np.float32(np.inf))


def paint_background(canvas: Canvas, spec: SceneSpec) -> None:
    """A skyline of distant trees, or roofs, behind the end of the street."""
    rng = np.random.default_rng([spec.seed, 12])
    camera, distance = canvas.camera, float(rng.uniform(170, 320))
    for name in rng.permutation(['vegetation', 'building'])[:rng.integers(1, 3)]:
        steps = np.arange(-1.0, camera.width + 2, camera.width / rng.uniform(18, 60))
        tall = rng.uniform(4, 16) + rng.uniform(0, 14) * rng.random(len(steps))
        rows = camera.horizon - tall * camera.focal / distance
        outline = np.column_stack([steps, rows])
        if name == 'building':       # flat roofs with upright sides between them
            outline = np.column_stack([np.repeat(steps, 2)[1:], np.repeat(rows, 2)[:-1]])
        low = camera.horizon + 1.5 * camera.elevation * camera.focal / distance
        polygon = np.concatenate([outline, [[camera.width + 1, low], [-2, low]]])
        colour = pick(rng, GRASS if name == 'vegetation' else PAVING) * 0.8
        colour = colour + (np.float32([190, 200, 212]) - colour) * 0.45
        canvas.fill(canvas.fixed(polygon), colour * np.float32(spec.light.tint))
        box = canvas.box(polygon)
        cols, lines = canvas.pixels_of(box)
        grain = noise(*np.meshgrid(cols / 9, lines / 9), 30, 0.7)
        canvas.texture(box, 0.8 + 0.4 * grain)
        canvas.take_mask(box)
        canvas.add(str(name), [canvas.integers(polygon)], _constant(distance))
        distance *= 0.85


def paint_ground(canvas: Canvas, spec: SceneSpec) -> None:
    """Everything flat, coloured in street coordinates, and its label polygons."""
    camera = canvas.camera
    first = max(0, int((camera.horizon + 0.5 + camera.focal * camera.elevation / FAR) * canvas.ss))
    box = (slice(first, canvas.h), slice(0, canvas.w))
    x, y, z = camera.rays(*canvas.pixels_of(box))
    depth = np.minimum(-camera.elevation / np.minimum(y, -1e-6), np.float32(FAR))
    ahead = depth * z
    s = depth * x - spec.street.centre(ahead).astype(np.float32)
    foot = depth / (camera.focal * canvas.ss)
    colour = GroundColour(spec)(s, ahead, foot)
    lit = _cast_shadows(spec, s, ahead)
    colour = colour * (lit[..., None] * np.float32(spec.light.tint))
    canvas.blend(box, np.ones(s.shape, np.float32), colour, np.float32(0), 1.0)
    _label_ground(canvas, spec.street)


class GroundColour:
    """The surface of the street as a function of street coordinates."""

    def __init__(self, spec: SceneSpec):
        self.street = spec.street
        rng = np.random.default_rng([spec.street.seed, 13])
        self.asphalt, self.paving = pick(rng, ASPHALT, 5), pick(rng, PAVING, 8)
        self.grass, self.soil = pick(rng, GRASS), pick(rng, GRASS)
        self.slab = rng.uniform(0.35, 1.2)
        self.cobbles = self.street.kind == 'old town' and rng.random() < 0.6
        self.paint = jitter(rng, (228, 226, 218), 10)
        self.wear = rng.uniform(0, 0.5)
        self.patch = rng.uniform(0.56, 0.7)

    def __call__(self, s: np.ndarray, z: np.ndarray, foot: np.ndarray) -> np.ndarray:
        """RGB (m n 3), 0-255, at lateral metres s (m n) and metres ahead z (m 1)."""
        street = self.street
        z = np.broadcast_to(z, s.shape)
        foot = np.broadcast_to(foot, s.shape)
        right = s >= 0
        across = np.abs(s)
        edge = {name: np.where(right, getattr(street.right, name), getattr(street.left, name))
                for name in ('road', 'verge', 'pavement')}
        road = across < edge['road']
        if street.cross is not None:
            road |= np.abs(z - street.cross) < street.cross_half
        verge = ~road & (across < edge['verge'])
        pave = ~road & ~verge & (across < edge['pavement'])
        fade = 1 / (1 + foot * 18)
        rough = noise(s, z, 11, 0.5) - 0.5
        broad = noise(s, z, 1.6, 1.2) - 0.5
        out = self._grass(rough, broad)
        out = np.where(pave[..., None], self._paving(s, z, fade, rough, broad), out)
        out = np.where(road[..., None], self._asphalt(s, z, fade, rough, broad), out)
        kerb = ~road & (across < edge['road'] + 0.16)
        out = blend(out, (176, 174, 170), 0.7 * kerb)
        return blend(out, self.paint, self._markings(s, z, across, edge['road'], rough) * road)

    def _grass(self, rough: np.ndarray, broad: np.ndarray) -> np.ndarray:
        base = blend(np.broadcast_to(self.grass, (*rough.shape, 3)), self.soil,
                     np.clip(0.5 + 3 * broad, 0, 1))
        return base * (1 + 0.9 * rough + 0.3 * broad)[..., None]

    def _paving(self, s, z, fade, rough, broad) -> np.ndarray:
        i, j = np.floor(z / self.slab), np.floor(s / self.slab)
        seam = (z / self.slab - i < 0.07) | (s / self.slab - j < 0.07)
        tone = cell_hash(i, j, self.street.seed & 0xFFFF) - 0.5
        gain = 1 + 0.25 * rough + 0.3 * broad + fade * (0.16 * tone - 0.3 * seam)
        return self.paving * gain[..., None]

    def _asphalt(self, s, z, fade, rough, broad) -> np.ndarray:
        gain = 1 + 0.28 * rough * (0.4 + fade) + 0.22 * broad
        gain = gain - 0.22 * (noise(s + 31, z * 0.5, 2.2, 1.4) > self.patch)
        lane = np.abs(s) % self.street.lane_width / self.street.lane_width
        gain = gain + 0.05 * np.cos(4 * np.pi * lane)
        if self.cobbles:
            row = np.floor(z / 0.14)
            joint = (z / 0.14 - row < 0.2) | ((s / 0.16 + 0.5 * (row % 2)) % 1 < 0.18)
            gain = gain + fade * (0.3 * (cell_hash(row, np.floor(s / 0.16), 5) - 0.5) - 0.25 * joint)
        if self.street.rails:
            near = np.abs(np.abs(np.abs(s) - self.street.lane_width / 2) - RAIL_GAUGE / 2)
            gain = gain - 0.4 * (near < 0.09) + 0.75 * (near < 0.035)
        return self.asphalt * gain[..., None]

    def _markings(self, s, z, across, road, rough) -> np.ndarray:
        street = self.street
        paint = np.zeros(s.shape, bool)
        dash = (z % 9) < 4
        if street.centre_line == 'dashed':
            paint |= (across < 0.08) & dash
        elif street.centre_line == 'solid':
            paint |= np.abs(across - 0.12) < 0.06
        for lane in range(1, street.lanes):
            paint |= (np.abs(across - lane * street.lane_width) < 0.07) & dash
        if street.edge_lines:
            paint |= np.abs(across - (road - 0.3)) < 0.08
        if street.cross is not None:
            paint &= np.abs(z - street.cross) > street.cross_half + 0.5
        if street.zebra is not None:
            into = z - street.zebra
            paint &= (into < -2) | (into > ZEBRA_LENGTH + 1)
            paint |= (into > 0) & (into < ZEBRA_LENGTH) & (s % 1.1 < 0.55) & (across < road - 0.2)
            paint |= (np.abs(into + 1.4) < 0.2) & (s > 0) & (across < road)
        worn = np.clip(1 - self.wear - 2.5 * np.clip(rough, 0, 1), 0.1, 0.95)
        return paint * worn


def _cast_shadows(spec: SceneSpec, s: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Brightness factor of the ground: sunlight, and the shadows of the houses on the sun's side."""
    light: Light = spec.light
    base = light.shade(np.array([0.0, 1.0, 0.0]))
    if light.direct <= 0:
        return np.full(s.shape, base, np.float32)
    side = 1 if light.sun[0] > 0 else -1
    reach = np.zeros(z.shape, np.float32)
    slope = abs(light.sun[0]) / light.sun[1]
    for panel in spec.panels:
        if panel.side == side and panel.kind in ('facade', 'wall'):
            drift = -light.sun[2] / light.sun[1] * panel.height * 0.5
            inside = (z > panel.start[1] + drift) & (z < panel.end[1] + drift)
            reach = np.where(inside, np.maximum(reach, panel.height * slope), reach)
    border = spec.street.side(side).building
    dark = np.clip((side * s - (border - reach)) * 3 + 0.5, 0, 1) * (reach > 0)
    return (base * (1 - 0.55 * light.direct * dark)).astype(np.float32)


def _constant(depth: float):
    return lambda cols, rows: np.float32(depth)


def _strip(canvas: Canvas, street: Street, inner: float, outer: float) -> np.ndarray:
    """Integer polygon of the ground between two lateral positions, from the camera to far away."""
    z = np.concatenate([np.geomspace(1.2, FAR, 60)])
    centre = street.centre(z)
    left = np.column_stack([centre + inner, np.zeros_like(z), z])
    right = np.column_stack([centre + outer, np.zeros_like(z), z])
    return canvas.integers(canvas.camera.project(np.concatenate([left, right[::-1]]))[0])


def _label_ground(canvas: Canvas, street: Street) -> None:
    camera = canvas.camera

    def depth(cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        plane = camera.panel_depth((0, 0, 0), (0, 1, 0), cols, rows)
        return np.minimum(plane, np.float32(FAR))

    top = camera.horizon + camera.focal * camera.elevation / FAR
    w, h = camera.width, camera.height
    base = np.array([[-1, top], [w, top], [w, h], [-1, h]])
    canvas.add('terrain', [canvas.integers(base)], depth)
    for sign in (-1, 1):
        side = street.side(sign)
        for name, inner, outer in (('sidewalk', side.verge, side.pavement),
                                   ('terrain', side.road, side.verge)):
            if outer > inner:
                canvas.add(name, [_strip(canvas, street, sign * inner, sign * outer)], depth)
    canvas.add('road', [_strip(canvas, street, -street.left.road, street.right.road)], depth)
    if street.cross is not None:
        low, high = street.cross - street.cross_half, street.cross + street.cross_half
        corners = np.array([[-600, 0, low], [600, 0, low], [600, 0, high], [-600, 0, high]])
        canvas.add('road', [canvas.integers(camera.project(corners)[0])], depth)


