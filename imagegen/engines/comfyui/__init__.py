"""ComfyUI: a server that runs graphs of nodes, and the graphs it is given."""

from __future__ import annotations

from imagegen.engines.comfyui.engine import ComfyUI
from imagegen.engines.comfyui.guess import guess_nodes
from imagegen.engines.comfyui.workflows import check_nodes, check_workflow

__all__ = ["ComfyUI", "check_nodes", "check_workflow", "guess_nodes"]
