"""AUTOMATIC1111's web UI, and what speaks its API: Forge and stable-diffusion.cpp."""

from imagegen.engines.automatic1111.engine import Automatic1111

__all__ = ["Automatic1111"]
