"""What Django's page for errors, with DEBUG, and its mails show: where it broke, and nothing of what was in
memory then. Keys and passwords stand under too many names to be picked out by theirs.
"""

from __future__ import annotations

import re
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NamesAlone(SafeExceptionReporterFilter):
    """Names of settings, headers, cookies and fields, without their values, and no variables."""

    hidden_settings = re.compile("")  # every name

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, str]:
        return dict.fromkeys(request.POST if request else (), self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        return ()
