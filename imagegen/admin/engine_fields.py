"""What the form of a connection asks for each engine: data, so that a new engine is an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SERVER, MODELS, REQUESTS, LIMITS = "Server", "Models", "Requests", "Time and money"
WORKFLOWS = "Workflows"


@dataclass(frozen=True)
class EngineFields:
    """Sections of fields in order, the engine's own words on some, and what a new connection starts with.

    `about` says in a sentence or two what this engine is and where its guide is.
    """

    about: str
    sections: Mapping[str, tuple[str, ...]]
    help: Mapping[str, str] = field(default_factory=dict)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {name for names in self.sections.values() for name in names}


_KEY = ("new_key", "forget_key")
_MONEY = ("deadline", "concurrency", "price")

ENGINE_FIELDS: Mapping[str, EngineFields] = {
    "openai": EngineFields(
        about="OpenAI's image API, in the words of OpenAI, Azure OpenAI, xAI, LiteLLM and other compatible"
        " servers. A connection with a chat model can polish portrait prompts, too.",
        sections={
            SERVER: ("base_url", *_KEY),
            MODELS: ("default_model", "listed_models"),
            REQUESTS: ("parameters", "trusted_origins"),
            LIMITS: _MONEY,
        },
        help={
            "base_url": "Empty for OpenAI itself. A LiteLLM proxy: http://litellm:4000. xAI:"
            " https://api.x.ai. Azure: https://RESOURCE.openai.azure.com.",
            "default_model": "Used where a request names none; empty: gpt-image-2. At Azure, the deployment's"
            " name. To polish prompts: a chat model.",
            "listed_models": "Where the server lists none, as Azure does: one model or deployment a line.",
            "parameters": 'Sent with every request, as a JSON object: {"quality": "high"}.',
        },
        placeholders={"base_url": "https://api.openai.com/v1", "default_model": "gpt-image-2"},
    ),
    "gemini": EngineFields(
        about="Google's Gemini image models, with an API key of Google AI Studio.",
        sections={
            SERVER: ("base_url", *_KEY),
            MODELS: ("default_model", "listed_models"),
            REQUESTS: ("parameters",),
            LIMITS: _MONEY,
        },
        help={
            "base_url": "Empty for Google itself; otherwise a server that speaks the same API.",
            "default_model": "Used where a request names none; empty: gemini-3.1-flash-image.",
            "parameters": "Sent with every request, as a JSON object in Google's words:"
            ' {"generationConfig": {"temperature": 0.8}}.',
            "price": "US dollars per picture: Google does not say what it took.",
        },
        placeholders={
            "base_url": "https://generativelanguage.googleapis.com/v1beta",
            "default_model": "gemini-3.1-flash-image",
        },
    ),
    "comfyui": EngineFields(
        about="Your own ComfyUI server, which runs your own workflows, or a starter for plain checkpoints.",
        sections={
            SERVER: ("base_url", *_KEY),
            MODELS: ("default_model",),
            WORKFLOWS: ("generates_with", "edits_with"),
            REQUESTS: ("parameters",),
            LIMITS: _MONEY,
        },
        help={
            "base_url": "Where the server is, such as http://gpu-1:8188.",
            "new_key": "For a proxy in front: user:password, or a bearer token. ComfyUI itself has none.",
            "default_model": "A checkpoint, as the server lists it. Empty: the one in the workflow. Without a"
            " workflow of your own it is needed.",
            "parameters": 'A JSON object: {"batch": 1} makes one picture at a time, which saves memory.',
            "concurrency": "Calls at once; 0 for no limit. One graphics card does one at a time.",
        },
        placeholders={"base_url": "http://gpu-1:8188"},
        initial={"deadline": 300, "concurrency": 1},
    ),
    "automatic1111": EngineFields(
        about="AUTOMATIC1111, Forge or stable-diffusion.cpp, started with --api.",
        sections={
            SERVER: ("base_url", *_KEY),
            MODELS: ("default_model",),
            REQUESTS: ("parameters",),
            LIMITS: _MONEY,
        },
        help={
            "base_url": "Where the server is, such as http://gpu-1:7860. Without /sdapi/v1.",
            "new_key": "user:password as in --api-auth, or a bearer token for a proxy in front.",
            "default_model": "A checkpoint, as the server lists it. Empty: the one it has loaded.",
            "parameters": 'Sent with every request, as a JSON object: {"sampler_name": "Euler a"}.',
            "concurrency": "Calls at once; 0 for no limit. The server works on one at a time.",
        },
        placeholders={"base_url": "http://gpu-1:7860"},
        initial={"deadline": 300, "concurrency": 1},
    ),
    "dicebear": EngineFields(
        about="The built-in illustrator: no server, no key, no cost. For demonstrations, tests and"
        " placeholders; it is not a diffusion model.",
        sections={MODELS: ("default_model",), LIMITS: ("deadline", "concurrency")},
        help={"default_model": "Which style it draws in. Empty: whichever fits the prompt."},
    ),
}
