"""Open WebUI's flat keys: of which row each shows which attribute.

Source: Open WebUI's `GET /api/v1/images/config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagegen.configuration.attributes import (
    EngineName,
    Graph,
    Key,
    Nodes,
    Number,
    Parameter,
    Parameters,
    Switch,
    Text,
    Url,
)

MAKES, EDITS = "generate_connection", "edit_connection"
"""Fields of the settings that select a connection."""


@dataclass(frozen=True)
class Settings:
    """The one row of settings."""


@dataclass(frozen=True)
class Selected:
    """The connection that `field` of the settings selects, if there is one."""

    field: str


@dataclass(frozen=True)
class Group:
    """The connection that `field` of the settings selects if it has `engine`, else the one named `name`."""

    engine: str
    name: str
    field: str = MAKES


Place = Settings | Selected | Group

SETTINGS = Settings()
OPENAI, OPENAI_EDIT = Group("openai", "openai"), Group("openai", "openai-edit", EDITS)
GEMINI, GEMINI_EDIT = Group("gemini", "gemini"), Group("gemini", "gemini-edit", EDITS)
COMFYUI, COMFYUI_EDIT = Group("comfyui", "comfyui"), Group("comfyui", "comfyui-edit", EDITS)
AUTOMATIC1111 = Group("automatic1111", "automatic1111")
BUILT_IN = Group("dicebear", "built-in")
_GROUPS = {
    (group.field, group.engine): group
    for group in (OPENAI, OPENAI_EDIT, GEMINI, GEMINI_EDIT, COMFYUI, COMFYUI_EDIT, AUTOMATIC1111, BUILT_IN)
}


def group_of(engine: str, field: str) -> Group:
    """Where the connection is found that choosing `engine` selects. An engine whose editing has no keys
    of its own edits with the connection that generates."""
    return _GROUPS.get((field, engine)) or _GROUPS.get((MAKES, engine)) or Group(engine, engine)


VERSION = Parameter(name="api_version")
METHOD = Parameter(name="method", choices=("predict", "generateContent"))
WORKFLOW, EDIT_WORKFLOW = Graph("workflow"), Graph("edit_workflow")
NODES, EDIT_NODES = Nodes("workflow_nodes"), Nodes("edit_workflow_nodes")

KEYS: Mapping[str, tuple[Place, Text]] = {
    "ENABLE_IMAGE_GENERATION": (SETTINGS, Switch("generation_enabled")),
    "ENABLE_IMAGE_PROMPT_GENERATION": (SETTINGS, Switch("prompt_enabled")),
    "IMAGE_GENERATION_ENGINE": (SETTINGS, EngineName(MAKES)),
    "IMAGE_GENERATION_MODEL": (Selected(MAKES), Text("default_model")),
    "IMAGE_SIZE": (SETTINGS, Text("default_size")),
    "IMAGE_STEPS": (SETTINGS, Number("default_steps")),
    "IMAGES_OPENAI_API_BASE_URL": (OPENAI, Url()),
    "IMAGES_OPENAI_API_KEY": (OPENAI, Key()),
    "IMAGES_OPENAI_API_VERSION": (OPENAI, VERSION),
    "IMAGES_OPENAI_API_PARAMS": (OPENAI, Parameters(apart=(VERSION.name,))),
    "AUTOMATIC1111_BASE_URL": (AUTOMATIC1111, Url()),
    "AUTOMATIC1111_API_AUTH": (AUTOMATIC1111, Key()),
    "AUTOMATIC1111_PARAMS": (AUTOMATIC1111, Parameters()),
    "COMFYUI_BASE_URL": (COMFYUI, Url()),
    "COMFYUI_API_KEY": (COMFYUI, Key()),
    "COMFYUI_WORKFLOW": (COMFYUI, WORKFLOW),
    "COMFYUI_WORKFLOW_NODES": (COMFYUI, NODES),
    "IMAGES_GEMINI_API_BASE_URL": (GEMINI, Url()),
    "IMAGES_GEMINI_API_KEY": (GEMINI, Key()),
    "IMAGES_GEMINI_ENDPOINT_METHOD": (GEMINI, METHOD),
    "ENABLE_IMAGE_EDIT": (SETTINGS, Switch("edit_enabled")),
    "IMAGE_EDIT_ENGINE": (SETTINGS, EngineName(EDITS)),
    "IMAGE_EDIT_MODEL": (Selected(EDITS), Text("default_model")),
    "IMAGE_EDIT_SIZE": (SETTINGS, Text("default_edit_size")),
    "IMAGES_EDIT_OPENAI_API_BASE_URL": (OPENAI_EDIT, Url()),
    "IMAGES_EDIT_OPENAI_API_KEY": (OPENAI_EDIT, Key()),
    "IMAGES_EDIT_OPENAI_API_VERSION": (OPENAI_EDIT, VERSION),
    "IMAGES_EDIT_GEMINI_API_BASE_URL": (GEMINI_EDIT, Url()),
    "IMAGES_EDIT_GEMINI_API_KEY": (GEMINI_EDIT, Key()),
    "IMAGES_EDIT_COMFYUI_BASE_URL": (COMFYUI_EDIT, Url()),
    "IMAGES_EDIT_COMFYUI_API_KEY": (COMFYUI_EDIT, Key()),
    "IMAGES_EDIT_COMFYUI_WORKFLOW": (COMFYUI_EDIT, EDIT_WORKFLOW),
    "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES": (COMFYUI_EDIT, EDIT_NODES),
}
