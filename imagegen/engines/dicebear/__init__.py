"""The built-in illustrator: flat drawings from DiceBear's styles, on a machine with no key and no GPU.

It is no diffusion model. It reads the prompt for what it can draw (`prompt`), sets the options
of a style accordingly, and lets a hash of the prompt and the seed decide the rest, so that the same
prompt and seed give the same bytes. A prompt that describes nobody gets an abstract style.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

from imagegen.engines.base import Call, Capabilities, Engine, EngineImage, ImageRequest, Model
from imagegen.engines.dicebear.portrait import CLOTHES, Dice, Options, ground, number, portrait_options
from imagegen.engines.dicebear.prompt import Traits, read, shaded
from imagegen.engines.dicebear.style import toon_head
from imagegen.engines.errors import BadEngineResponse, EngineMisconfigured
from imagegen.engines.sizes import AnySize, Size
from imagegen.engines.spool import Answer

AUTO, PORTRAIT, ICONS = "auto", "toon-head", "icons"
DEFAULT_SIZE = Size(512, 512)
MAX_PER_CALL = 10

_SLOTS: dict[str, tuple[str, ...]] = {
    "landscape": ("hill4", "hill3", "hill2", "hill1", "orb"),
    "planets": ("planet", "moon"),
    "constellation": ("constellation",),
    "waves": ("background",),
    "shapes": ("background", "shape1", "shape2", "shape3"),
    "patchwork": ("fabricA", "fabricB", "fabricC"),
    "weave": ("colorA", "colorB", "colorC", "line"),
}
"""The abstract styles, all CC0, and the colours in each that a prompt's colours are dealt to."""

_NAMES = {AUTO: "Portrait or abstract, as the prompt asks", PORTRAIT: "Portrait", ICONS: "Icon"} | {
    style: style.capitalize() for style in _SLOTS
}


class DiceBear(Engine):
    name = "dicebear"
    label = "Built-in illustrator"
    needs_base_url = False
    default_model: ClassVar[str] = AUTO

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(sizes=AnySize(multiple=1), per_call=MAX_PER_CALL, seed=True)

    def _models(self) -> list[Model]:
        return [Model(id, name) for id, name in _NAMES.items()]

    def _check(self) -> str:
        """Draw something small; whatever is missing on this machine shows here."""
        draw("a cheerful person", 0, Size(64, 64), self._model("")).png()
        return f"The built-in illustrator draws: {len(_NAMES)} models, no network needed."

    def _model(self, model: str) -> str:
        model = model or self.config.model or AUTO
        if model not in _NAMES:
            raise EngineMisconfigured(
                f"The built-in illustrator has no such model. It has: {', '.join(_NAMES)}.",
                detail=f"connection {self.config.name!r} asks for model {model[:80]!r}",
            )
        return model

    def _generate(self, request: ImageRequest, call: Call) -> Answer:
        model = self._model(request.model)
        first = request.seed if request.seed is not None else number(request.prompt) % 2**31
        answer = Answer(meta={"illustrator": self.name, "pictures": []})
        for k in range(request.n):
            call.remaining()
            drawing = draw(request.prompt, first + k, request.size or DEFAULT_SIZE, model)
            path = call.spool.picture(k)
            with call.gate():
                path.write_bytes(drawing.png())
            answer.pictures.append(path)
            answer.meta["pictures"].append({"seed": first + k, "style": drawing.style})
        return answer

    def _parse(self, answer: Answer) -> list[EngineImage]:
        if not answer.pictures:
            raise BadEngineResponse(detail="the built-in illustrator left no picture")
        known = answer.meta.get("pictures") or [{}] * len(answer.pictures)
        return [
            EngineImage(
                path.read_bytes(),
                seed=each.get("seed"),
                meta={"illustrator": self.name} | {key: each[key] for key in ("style",) if key in each},
            )
            for path, each in zip(answer.pictures, known, strict=True)
        ]


@dataclass(frozen=True)
class Drawing:
    """A picture before it is pixels: the style it is in, and an SVG document that states its size."""

    style: str
    svg: str
    monochrome: bool = False

    def png(self) -> bytes:
        """The picture as an RGB PNG. Takes as many bytes of memory as it has pixels, times about ten."""
        image = _vips().Image.svgload_buffer(self.svg.encode()).flatten(background=255)
        if self.monochrome:
            image = image.colourspace("b-w").colourspace("srgb")
        data: bytes = image.pngsave_buffer(compression=6, keep="none")
        return data


def draw(prompt: str, seed: int, size: Size, model: str = AUTO) -> Drawing:
    """Draw `prompt` at exactly `size`, in the style that `model` names or the prompt suggests."""
    traits, dice = read(prompt), Dice(prompt, seed)
    style = _style_for(traits, dice) if model == AUTO else model
    return Drawing(style, _svg(style, traits, dice, size), traits.monochrome)


def _svg(style: str, traits: Traits, dice: Dice, size: Size) -> str:
    if style == PORTRAIT:
        return _portrait(_avatar(style, portrait_options(traits, dice), dice), size, ground(traits, dice))
    if style == ICONS:
        options = _icon_options(traits, dice)
        return _page(_avatar(style, options, dice), size, options["backgroundColor"][0], share=0.9)
    return _page(_avatar(style, _abstract_options(style, traits, dice), dice), size)


def _style_for(traits: Traits, dice: Dice) -> str:
    if traits.person:
        return PORTRAIT
    if traits.icon:
        return ICONS
    return traits.scene or dice.pick("style", ("waves", "shapes", "patchwork", "weave"))


def _icon_options(traits: Traits, dice: Dice) -> Options:
    colour = traits.palette[0] if traits.palette else dice.pick("icon colour", CLOTHES)
    behind = traits.colours.get("background") or traits.place or shaded(colour, 0.82)
    options: Options = {"iconColor": [colour], "backgroundColor": [behind]}
    return options | ({"iconVariant": traits.icon} if traits.icon else {})


def _abstract_options(style: str, traits: Traits, dice: Dice) -> Options:
    """Deal the colours of the prompt to the slots of the style; later rounds get lighter ones."""
    slots, palette = _SLOTS[style], traits.palette
    if not palette:
        return {}
    dealt = [
        shaded(palette[k % len(palette)], min(0.8, 0.26 * (k // len(palette)))) for k in range(len(slots))
    ]
    return {f"{slot}Color": [colour] for slot, colour in zip(slots, dealt, strict=True)}


def _portrait(avatar: str, size: Size, colour: str) -> str:
    """Head and shoulders on a page of any shape: standing on its lower edge, as wide as fits."""
    side = min(size.height, size.width / 0.78)
    x, y = (size.width - side) / 2, size.height - side
    glow = (
        f'<defs><radialGradient id="ground" gradientUnits="userSpaceOnUse" cx="{size.width / 2}"'
        f' cy="{y + side * 0.48}" r="{max(size) * 0.7}"><stop stop-color="{shaded(colour, 0.45)}"/>'
        f'<stop offset="1" stop-color="{shaded(colour, -0.06)}"/></radialGradient></defs>'
    )
    return _document(size, "url(#ground)", glow + _placed(avatar, x, y, side, side))


def _page(avatar: str, size: Size, colour: str = "#ffffff", share: float = 0.0) -> str:
    """An abstract drawing cut to the page, or, with `share`, set on it at that part of its shorter edge."""
    if not share:
        return _document(size, colour, _placed(avatar, 0, 0, *size, fit="slice"))
    side = min(size) * share
    return _document(
        size, colour, _placed(avatar, (size.width - side) / 2, (size.height - side) / 2, side, side)
    )


def _document(size: Size, fill: str, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size.width}" height="{size.height}">'
        f'<rect width="100%" height="100%" fill="{fill}"/>{content}</svg>'
    )


def _placed(avatar: str, x: float, y: float, width: float, height: float, fit: str = "meet") -> str:
    """The avatar's own document as a nested one."""
    place = f'x="{x:.3f}" y="{y:.3f}" width="{width:.3f}" height="{height:.3f}"'
    return avatar.replace("<svg ", f'<svg {place} preserveAspectRatio="xMidYMid {fit}" ', 1)


_lock = threading.Lock()
"""Held while DiceBear works: its styles fill their own caches as they go, unguarded."""


def _avatar(style: str, options: Options, dice: Dice) -> str:
    from dicebear import Avatar

    with _lock:
        return str(Avatar(_style(style), {"seed": dice.seed, **options}))


@cache
def _style(name: str) -> Any:
    """A style, built once per process: validating its definition takes up to 0.6 s."""
    from dicebear import Style

    if name == PORTRAIT:
        return Style(toon_head())
    definition = json.loads(files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8"))
    if name == ICONS:  # as published the icon is a tint of its ground; here it shows its colour
        definition["canvas"]["elements"] = definition["canvas"]["elements"][-1:]
        definition["canvas"]["elements"][0]["attributes"]["opacity"] = "1"
    return Style(definition)


@cache
def _vips() -> Any:
    """pyvips, told to keep to one thread per picture and to remember nothing."""
    import pyvips

    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    return pyvips
