"""The LiteLLM proxy, in a virtual environment of its own: made once, kept in `var/bench/litellm`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import running
from tests.live import ROOT, free_port

HOME = ROOT / "var" / "bench" / "litellm"
KEY = "sk-bench"
MODEL = "mock"
_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{engine}", api_key: sk-any}}
    model_info: {{mode: image_generation}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false, num_retries: 0, request_timeout: 120}}
"""


def install() -> str:
    """Install it where it is not yet; return its version, or "" where it cannot be had."""
    python = HOME / "bin" / "python"
    if not (HOME / ".installed").exists():
        HOME.parent.mkdir(parents=True, exist_ok=True)
        for command in (
            [sys.executable, "-m", "venv", str(HOME)],
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "litellm[proxy]"],
        ):
            if subprocess.run(command, check=False).returncode:  # noqa: S603
                return ""
        (HOME / ".installed").touch()
    show = "from importlib.metadata import version; print(version('litellm'))"
    return subprocess.run([python, "-c", show], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


@contextmanager
def proxy(folder: Path, engine: str, workers: int) -> Iterator[tuple[str, int]]:
    """Serve one model, whose engine is the mock; URL and process id. It asks nobody else anything."""
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(_CONFIG.format(model=MODEL, engine=engine, key=KEY))
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_TELEMETRY": "False",
        "NO_PROXY": "127.0.0.1",
    }
    command = [
        str(HOME / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1",
        "--port", str(port), "--num_workers", str(workers), "--telemetry", "False",
    ]  # fmt: skip
    with running(command, port=port, log=folder / "litellm.log", environment=environment) as pid:
        yield f"http://127.0.0.1:{port}", pid
