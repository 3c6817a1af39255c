"""OpenAI's image API and servers that speak it."""

from imagegen.engines.openai.engine import OpenAI

__all__ = ["OpenAI"]
