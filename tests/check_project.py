"""What only the project as a whole can show: `python -m tests.check_project`, from `make check`.

Each check is a command in a process of its own, with production settings and a folder for the moment.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from config.environment import DOCS_PAGE, page
from docs import engine_matrix
from tests import promises
from tests.config.production import SECRETS, run

URL = "https://easel.example"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        for title, arguments in _commands(Path(folder)).items():
            ended = run(Path(folder), "manage.py", *arguments, **SECRETS, EASEL_PUBLIC_URL=URL)
            if not _told(title, ended.returncode == 0, ended.stdout + ended.stderr):
                return 1
    fresh = [
        _told(f"docs/{path.name} is up to date", path.is_file() and path.read_text() == make(), "`make docs`")
        for path, make in ((DOCS_PAGE, page), (engine_matrix.PAGE, engine_matrix.page))
    ]
    unshown = promises.faults()
    fresh.append(_told("each promise in docs/security.md names its tests", not unshown, "\n".join(unshown)))
    return 0 if all(fresh) else 1


def _commands(folder: Path) -> dict[str, list[str]]:
    schema = str(folder / "schema.yaml")
    return {
        "migrations are complete": ["makemigrations", "--check", "--dry-run"],
        "the deployment has nothing to warn of": ["check", "--deploy", "--fail-level", "WARNING"],
        "the API's description is whole and valid": [
            *("spectacular", "--fail-on-warn", "--validate", "--file", schema),
        ],
    }


def _told(title: str, ok: bool, output: str) -> bool:
    print(f"{'ok' if ok else 'FAILED'}: {title}", flush=True)  # noqa: T201
    if not ok:
        print(output, file=sys.stderr)  # noqa: T201
    return ok


if __name__ == "__main__":
    sys.exit(main())
