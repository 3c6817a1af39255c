"""Makes the table in docs/engines.md from what the engines declare: `python -m docs.engine_matrix`.

`make check` fails when the page is stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from imagegen.engines import ENGINES
from imagegen.engines.base import EDIT, GENERATE, EngineConfig
from imagegen.engines.sizes import AnySize, AspectRatios, ListedSizes, Sizes

PAGE = Path(__file__).with_name("engines.md")
BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
HEAD = (
    "| engine | model | generates | edits (sources) | mask | sizes | `auto` | per call | negative prompt "
    "| steps | seed |\n|---|---|---|---|---|---|---|---|---|---|---|"
)

SHOWN: list[tuple[str, str, str, str]] = [
    # engine, model, base URL, what the table calls it
    ("openai", "gpt-image-2", "https://api.openai.com/v1", "gpt-image-2"),
    ("openai", "gpt-image-1.5", "https://api.openai.com/v1", "gpt-image-1.5"),
    ("openai", "dall-e-3", "http://127.0.0.1/v1", "dall-e-3, at compatible servers"),
    ("openai", "dall-e-2", "http://127.0.0.1/v1", "dall-e-2, at compatible servers"),
    ("openai", "grok-imagine-image-2.0", "https://api.x.ai/v1", "grok-imagine-image-2.0, at xAI"),
    ("openai", "grok-imagine-image-2.0", "http://127.0.0.1/v1", "grok-imagine-image-2.0, through LiteLLM"),
    ("openai", "some-model", "http://127.0.0.1/v1", "any other"),
    ("gemini", "gemini-3.1-flash-image", "", "gemini-3.1-flash-image"),
    ("gemini", "gemini-3-pro-image", "", "gemini-3-pro-image"),
    ("gemini", "gemini-2.5-flash-image", "", "gemini-2.5-flash-image"),
    ("gemini", "imagen-4.0-generate-001", "", "imagen-4, at compatible servers"),
    (
        "comfyui",
        "checkpoint.safetensors",
        "http://127.0.0.1:8188",
        "a checkpoint, with the starter workflows",
    ),
    ("automatic1111", "", "http://127.0.0.1:7860", "a checkpoint"),
    ("dicebear", "auto", "", "auto"),
]


def page() -> str:
    """docs/engines.md with a fresh table."""
    table = "\n".join([HEAD, *(_row(*shown) for shown in SHOWN)])
    fresh = f"{BEGIN}\n{table}\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda _: fresh, PAGE.read_text(), flags=re.DOTALL)


def _row(engine: str, model: str, base_url: str, title: str) -> str:
    kind = ENGINES[engine]
    config = EngineConfig("table", base_url=base_url or kind.default_base_url, model=model)
    can = kind(config).capabilities(model)
    edits = EDIT in can.operations
    cells = [
        f"[{engine}](engines/{engine}.md)" if kind.needs_base_url else engine,
        title,
        _yes(GENERATE in can.operations),
        f"yes ({can.edit_sources})" if edits else "no",
        _yes(edits and can.mask),
        _sizes(can.sizes),
        _yes(can.auto_size),
        str(can.per_call),
        _yes(can.negative_prompt),
        _yes(can.steps),
        _yes(can.seed),
    ]
    return f"| {' | '.join(cells)} |"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _sizes(sizes: Sizes) -> str:
    match sizes:
        case AnySize():
            return f"any, multiples of {sizes.multiple}"
        case ListedSizes():
            return ", ".join(map(str, sizes.sizes))
        case AspectRatios():
            return f"{len(sizes.ratios)} shapes"
    return "its own"


if __name__ == "__main__":
    PAGE.write_text(page())
