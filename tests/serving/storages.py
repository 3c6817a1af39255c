"""A storage that stands still, for tests of what happens meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from imagegen.folder_storage import FolderStorage


class StuckStorage(FolderStorage):
    """Takes no picture while a file `stuck` lies beside its folder; makes one `asked` when it is asked to."""

    def _save(self, name: str, content: Any) -> str:
        beside = Path(self.location).parent
        (beside / "asked").touch()
        while (beside / "stuck").exists():
            time.sleep(0.05)
        return super()._save(name, content)
