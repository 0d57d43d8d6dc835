"""Procedural street scenes with labels and depth, and weather over them."""
from .render import RenderedScene, render, render_scene
from .weather import CONDITIONS, apply_weather
from .writer import write_streets

__all__ = ['CONDITIONS', 'RenderedScene', 'apply_weather', 'render', 'render_scene', 'write_streets']
