"""ComfyUI: a server that runs graphs of nodes, and the graphs it is given."""

from __future__ import annotations

from imagegen.engines.comfyui.engine import ComfyUI
from imagegen.engines.comfyui.guess import guess_nodes
from imagegen.engines.comfyui.inspection import Findings, inspect_workflow
from imagegen.engines.comfyui.listing import candidates, describe, nodes_of
from imagegen.engines.comfyui.starters import STARTERS, starter_graph
from imagegen.engines.comfyui.workflows import Slot, Template, check_nodes, check_workflow

__all__ = [
    "STARTERS",
    "ComfyUI",
    "Findings",
    "Slot",
    "Template",
    "candidates",
    "check_nodes",
    "check_workflow",
    "describe",
    "guess_nodes",
    "inspect_workflow",
    "nodes_of",
    "starter_graph",
]
