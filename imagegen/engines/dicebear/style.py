"""The portrait style: ToonHead by Johan Melin (CC BY 4.0), and what it lacks.

As published the style has no glasses, no hats, no curly hair, brown eyes only, and one colour for hair
and beard. The drawings that are added stand in style.svg, on the style's own canvas and in its
manner; see docs/adr/0003-built-in-illustrator.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Node = dict[str, Any]

_ADDITIONS = Path(__file__).with_suffix(".svg")
_SVG = "{http://www.w3.org/2000/svg}"
_BROWN_IRIS = "#4B2422"
_LAYERS = (
    "rearHair", "body", "ears", "head", "clothes", "scarf", "lines", "cheeks", "mouth", "beard", "eyes",
    "eyebrows", "hair", "earrings", "glasses", "hat",
)  # fmt: skip


def toon_head() -> Node:
    """The definition of the style, with the additions."""
    definition: Node = json.loads(files("dicebear_styles").joinpath("toon-head.json").read_text("utf-8"))
    components, canvas, colours = definition["components"], definition["canvas"], definition["colors"]
    for node in _nodes(components["beard"]):
        if node.get("fill") == _palette("hair"):
            node["fill"] = _palette("beard")
    for node in _nodes(components["eyes"]):
        if node.get("name") == "circle" and node["attributes"]["fill"] == _BROWN_IRIS:
            node["attributes"]["fill"] = _palette("iris")
    colours["beard"], colours["iris"] = colours["hair"], {"values": [_BROWN_IRIS]}

    drawing = ElementTree.parse(_ADDITIONS).getroot()  # noqa: S314 - our own file
    for gradient in drawing.iter(f"{_SVG}linearGradient"):
        colours.setdefault(gradient.attrib["id"], {"values": [gradient[0].attrib["stop-color"]]})
    places = {layer["name"]: layer["attributes"]["transform"] for layer in canvas["elements"]}
    for group in drawing.findall(f"{_SVG}g"):
        name = group.attrib["id"]
        empty = {"width": canvas["width"], "height": canvas["height"], "probability": 0, "variants": {}}
        components.setdefault(name, empty)["variants"] |= _variants(
            group, places.setdefault(name, "translate(0 0)")
        )
    canvas["elements"] = [
        {"name": name, "type": "component", "attributes": {"transform": places[name]}} for name in _LAYERS
    ]
    definition["meta"]["license"]["text"] += ", with glasses, hats, hair, ears and eye colours added"
    return definition


def _nodes(tree: Any) -> Iterator[Node]:
    """Every dict in a definition, the outer before the inner."""
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from _nodes(child)


def _palette(name: str) -> Node:
    return {"type": "color", "name": name}


def _variants(group: ElementTree.Element, place: str) -> Node:
    """The variants drawn in a component's group, moved from the canvas to where the component stands."""
    x, y = ([-float(number) for number in place[len("translate(") : -1].split()] + [0.0])[:2]
    return {
        variant.attrib["id"].removeprefix(f"{group.attrib['id']}-"): {
            "elements": [
                {
                    "name": "g",
                    "type": "element",
                    "attributes": {"transform": f"translate({x} {y})"},
                    "children": [_element(shape) for shape in variant],
                }
            ]
        }
        for variant in group
    }


def _element(shape: ElementTree.Element) -> Node:
    """A shape in the words of a definition: `url(#hat)` is the palette `hat`."""
    attributes = {
        name: _palette(value[len("url(#") : -1]) if value.startswith("url(#") else value
        for name, value in shape.attrib.items()
    }
    return {"name": shape.tag.removeprefix(_SVG), "type": "element", "attributes": attributes}
