"""The real settings, in a folder of their own and with cheap password hashes.

SQLite, unless EASEL_TEST_DATABASE_URL names a PostgreSQL server where databases may be made, and the cache,
rates and turns in Redis where EASEL_TEST_REDIS_URL names one whose databases may be emptied. What
DATABASE_URL and EASEL_REDIS_URL name is never touched.
"""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit

_database, _redis = (os.environ.get(f"EASEL_TEST_{kind}_URL", "") for kind in ("DATABASE", "REDIS"))
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

_folder = tempfile.mkdtemp(prefix="easel-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("EASEL_", "DATABASE_URL"))]:
    if not _name.startswith("EASEL_TEST_"):  # workers of pytest-xdist come here too, with this environment
        del os.environ[_name]
os.environ |= {
    "EASEL_DATA_DIR": _folder,
    "EASEL_LOG_LEVEL": "INFO",
    "SECRET_KEY": "a-key-for-tests-alone-that-is-long-enough-for-django-5-2",
    "EASEL_ENCRYPTION_KEYS": "eVuyCmnxAiEIvx2CQ3I4VCb6Q8fmsBk0BRlbXQgTMWs=",
    "EASEL_PUBLIC_URL": "http://testserver",
    "EASEL_RATE_USER": "0",
    "EASEL_RATE_ADDRESS": "0",
    "DATABASE_URL": _database,
    "EASEL_REDIS_URL": urlsplit(_redis)._replace(path=f"/{_worker}").geturl() if _redis else "",
    "DEBUG": "",
}

from config.settings import *  # noqa: E402, F403

STATIC_ROOT.mkdir()  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
