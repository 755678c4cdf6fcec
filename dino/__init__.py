"""Dino Diffusion: a bare-bones diffusion model, in the order of the course's lessons."""

__version__ = "0.1.0"
