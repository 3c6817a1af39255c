"""Google's Gemini API and servers that speak it."""

from imagegen.engines.gemini.engine import Gemini

__all__ = ["Gemini"]
