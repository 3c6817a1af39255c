# Easel's image: docs/container.md. No secret is in it, and it runs with a read-only root.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/easel
COPY requirements.txt ./
RUN python -m venv .venv && .venv/bin/pip install --only-binary :all: --no-binary pyvips -r requirements.txt
COPY LICENSE NOTICE.md manage.py ./
COPY config config
COPY imagegen imagegen
COPY portraits portraits
RUN .venv/bin/python -m compileall -q .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin easel \
    && install -d -o easel -g easel -m 0755 /var/lib/easel /var/lib/easel/files
COPY --from=build /opt/easel /opt/easel
ENV PATH=/opt/easel/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 \
    DJANGO_SETTINGS_MODULE=config.settings EASEL_DATA_DIR=/var/lib/easel EASEL_BIND=0.0.0.0 PORT=8005
WORKDIR /opt/easel
USER 10001
VOLUME /var/lib/easel
EXPOSE 8005
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
# Without a shell between, so that SIGTERM reaches gunicorn: it finishes what runs.
CMD ["gunicorn", "-c", "python:config.gunicorn", "config.wsgi"]
