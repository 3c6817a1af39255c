"""The real settings, in a folder of their own and with cheap password hashes."""

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="easel-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("EASEL_")]:
    del os.environ[_name]
os.environ |= {
    "EASEL_DATA_DIR": _folder,
    "EASEL_LOG_LEVEL": "INFO",
    "SECRET_KEY": "a-key-for-tests-alone-that-is-long-enough-for-django-5-2",
    "EASEL_ENCRYPTION_KEYS": "eVuyCmnxAiEIvx2CQ3I4VCb6Q8fmsBk0BRlbXQgTMWs=",
    "EASEL_PUBLIC_URL": "http://testserver",
    "EASEL_RATE_USER": "0",
    "EASEL_RATE_ADDRESS": "0",
    "DEBUG": "",
}

from config.settings import *  # noqa: E402, F403

STATIC_ROOT.mkdir()  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
