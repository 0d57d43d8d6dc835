"""From a sampled scene to picture, labels, depth and polygons."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import furniture, people, vehicles
from .camera import Camera
from .canvas import Canvas
from .ground import paint_background, paint_ground, paint_sky
from .labels import ID_TO_TRAIN
from .layout import sample_scene
from .panels import draw_panel
from .scene import Item, Light, Panel, SceneSpec
from .solids import Model, draw_models, place

MODELS = {
    'car': vehicles.car, 'truck': vehicles.truck, 'bus': vehicles.bus, 'train': vehicles.train,
    'bicycle': vehicles.bicycle, 'motorcycle': vehicles.motorcycle, 'person': people.person,
    'cyclist': people.cyclist, 'motorcyclist': people.motorcyclist, 'tree': furniture.tree,
    'bush': furniture.bush, 'lamp': furniture.lamp, 'pole': furniture.pole, 'sign': furniture.sign,
    'traffic light': furniture.traffic_light, 'static': furniture.static,
}
SHADOWS = {'car': (0.95, 2.3), 'truck': (1.25, 4.2), 'bus': (1.3, 5.4), 'train': (1.2, 8.0),
           'bicycle': (0.2, 0.9), 'cyclist': (0.25, 0.95), 'motorcycle': (0.3, 1.0),
           'motorcyclist': (0.35, 1.0), 'person': (0.28, 0.28), 'tree': (1.6, 1.6), 'bush': (1.2, 0.9),
           'static': (0.5, 0.3)}
REACH = {'tree': (5.0, 7.0), 'lamp': (3.0, 7.0), 'pole': (1.5, 5.0), 'traffic light': (4.5, 4.0),
         'truck': (6.0, 3.0), 'bus': (7.5, 3.0), 'train': (14.0, 3.0), 'car': (3.0, 1.5), 'sign': (1.5, 3.0),
         'static': (1.5, 1.0), 'bush': (2.0, 1.0)}     # metres around the middle, and up, about
SPECK = 2.0         # pixels; what is lower than that is not drawn
LONG = ('car', 'truck', 'bus', 'train')
EGO_DEPTH = 1.2     # metres; our own bonnet


@dataclass
class RenderedScene:
    """A street scene, all maps (H, W).

    Attributes:
        image: uint8 (H, W, 3), sRGB, RGB order, clear weather by day.
        label_ids: uint8, Cityscapes label ids. instance_ids: uint16, id·1000 + n for things.
        depth: float32, metres along the optical axis; sky is ``inf``.
        glow: float32 (H, W, 3) in [0, 1], linear light given off at night by lamps and windows.
        up: float32 in [0, 1], how far the surface faces upwards.
        objects: visible label polygons [(label name, int (n, 2))] in paint order.
        lamps: float64 (n, 3), world positions of street lamps in metres.
    """
    image: np.ndarray
    label_ids: np.ndarray
    instance_ids: np.ndarray
    depth: np.ndarray
    glow: np.ndarray
    up: np.ndarray
    objects: list[tuple[str, np.ndarray]]
    lamps: np.ndarray
    camera: Camera
    spec: SceneSpec

    @property
    def train_ids(self) -> np.ndarray:
        """uint8 (H, W), 0-18 and 255 for ignored."""
        return ID_TO_TRAIN[self.label_ids]

    @property
    def distance(self) -> np.ndarray:
        """float32 (H, W), metres along the ray of each pixel; sky is ``inf``."""
        return self.camera.ray_distance(self.depth)


def render_scene(seed: int, index: int, size: tuple[int, int] = (256, 128), domain: str = 'clear',
                 variant: int = 0) -> RenderedScene:
    """Render scene ``index`` of set ``seed`` at ``size`` (width, height); see ``sample_scene``."""
    return render(sample_scene(seed, index, size, domain, variant))


def render(spec: SceneSpec) -> RenderedScene:
    """Paint a scene from back to front."""
    canvas = Canvas(spec.camera, 2)
    paint_sky(canvas, spec)
    paint_background(canvas, spec)
    paint_ground(canvas, spec)
    for item in spec.items:
        _shadow(canvas, item, spec.light)
    shown = [(item, MODELS[item.kind](np.random.default_rng(item.seed)))
             for item in spec.items if _in_view(item, spec.camera)]
    things = [(panel, []) for panel in spec.panels] + shown
    for thing, models in sorted(things, key=_paint_order, reverse=True):
        if isinstance(thing, Panel):
            draw_panel(canvas, thing, spec.light)
        else:
            draw_models(canvas, models, thing, spec.light)
    if spec.ego:
        _draw_ego(canvas, spec)
    labels, instances, depth, objects = canvas.finish()
    lamps = [(item.x, 6.5 * item.scale, item.z) for item in spec.items if item.kind == 'lamp']
    return RenderedScene(
        image=_develop(canvas, spec, depth), label_ids=labels, instance_ids=instances, depth=depth,
        glow=(_shrink(canvas.glow, spec.camera) / 255) ** 2.2, up=_shrink(canvas.up, spec.camera) / 255,
        objects=objects, lamps=np.array(lamps).reshape(-1, 3), camera=spec.camera, spec=spec)


def _in_view(item: Item, camera: Camera) -> bool:
    """Whether any of it can be seen, and is not just a speck."""
    if item.z < 0.5:
        return False
    reach, tall = REACH.get(item.kind, (1.5, 2.0))
    aside = abs(item.x) - reach * item.scale
    tall_pixels = tall * item.scale * camera.focal / item.z
    return aside < (item.z + reach) * camera.width / camera.focal * 0.55 and tall_pixels > SPECK


def _paint_order(pair: tuple[Panel | Item, list[Model]]) -> float:
    """Metres ahead. A long vehicle counts with its near end: it hides what stands beside it."""
    thing, models = pair
    if isinstance(thing, Panel):
        return thing.sort
    if thing.kind not in LONG:
        return thing.z
    return min(float(place(part.points, thing)[:, 2].min()) for part in models[0].parts)


def _shrink(layer: np.ndarray, camera: Camera) -> np.ndarray:
    size = (camera.width, camera.height)
    return cv2.resize(layer.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _develop(canvas: Canvas, spec: SceneSpec, depth: np.ndarray) -> np.ndarray:
    """Down-sample, add the haze of a clear day, a vignette and the camera's own grain."""
    camera, rng = spec.camera, np.random.default_rng([spec.seed, 14])
    image = _shrink(canvas.rgb, camera)
    haze = 1 - np.exp(-spec.light.haze * np.minimum(depth, 2000.0))
    haze = np.where(np.isinf(depth), 0, haze)[..., None].astype(np.float32)
    image = image + haze * (np.float32([204, 212, 222]) - image)
    x = np.linspace(-1, 1, camera.width, dtype=np.float32)[None]
    y = np.linspace(-0.5, 0.5, camera.height, dtype=np.float32)[:, None]
    image = image * (1 - rng.uniform(0, 0.16) * (x * x + y * y))[..., None]
    image = 127 + (image - 127) * rng.uniform(0.9, 1.12) + rng.uniform(-10, 8)
    image = image + rng.normal(0, rng.uniform(0.8, 2.4), image.shape)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def _shadow(canvas: Canvas, item: Item, light: Light) -> None:
    """What a thing keeps from the ground: the sky right under it, and the sun beside it."""
    if item.kind not in SHADOWS or item.z < 2.5:
        return
    half, long = SHADOWS[item.kind]
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    foot = np.column_stack([half * np.cos(angle), 0 * angle, long * np.sin(angle)])
    if half > 0.8:       # bodies on wheels are boxes rather than ellipses
        foot = np.clip(foot * 1.3, [-half, 0, -long], [half, 0, long])
    world = place(foot, item)
    if light.direct > 0:
        tall = {'person': 1.5, 'tree': 4.0}.get(item.kind, 1.2) * item.scale
        shift = np.array([-light.sun[0], 0, -light.sun[2]]) / light.sun[1] * tall
        _dark_patch(canvas, world + shift * 0.6, 1 - 0.45 * light.direct, item)
    _dark_patch(canvas, world, 0.8 if item.kind == 'tree' else 0.5, item)


def _dark_patch(canvas: Canvas, world: np.ndarray, factor: float, item: Item) -> None:
    if world[:, 2].min() > 1.0:
        pixels, _ = canvas.camera.project(world)
        canvas.darken(pixels, factor, 0.12 * canvas.camera.focal / max(item.z, 3.0))


def _draw_ego(canvas: Canvas, spec: SceneSpec) -> None:
    """The bonnet of the car that carries the camera."""
    rng = np.random.default_rng([spec.seed, 15])
    w, h = spec.camera.width, spec.camera.height
    rise, middle = rng.uniform(0.06, 0.14) * h, w * rng.uniform(0.42, 0.58)
    x = np.linspace(-0.02 * w, 1.02 * w, 40)
    y = h - rise * (1 - np.abs((x - middle) / (0.62 * w)) ** 3)
    polygon = np.concatenate([np.column_stack([x, y]), [[w + 1, h + 1], [-1, h + 1]]])
    colour = rng.uniform(14, 60) * np.array([1, 1, 1.06])
    canvas.fill(canvas.fixed(polygon), colour)
    box = canvas.box(polygon)
    shine = np.linspace(1.5, 0.6, box[0].stop - box[0].start, dtype=np.float32)[:, None]
    canvas.texture(box, shine)
    canvas.take_mask(box)
    canvas.add('ego vehicle', [canvas.integers(polygon)], lambda cols, rows: np.float32(EGO_DEPTH))
