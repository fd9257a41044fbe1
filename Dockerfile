# The product as an image. Packages are installed by their hashes in a first stage; the second holds what runs and
# nothing that builds. One image for all processes: the command says which (see compose.yaml).
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv /srv/duebridge
COPY requirements.txt requirements-build.txt ./
RUN /srv/duebridge/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-build.txt
COPY pyproject.toml README.md LICENSE manifest.json ./
COPY connector connector
COPY integrations integrations
COPY portal portal
COPY webhooks webhooks
RUN /srv/duebridge/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .
RUN /srv/duebridge/bin/pip uninstall --yes hatchling editables pathspec pluggy trove-classifiers pip

FROM ${PYTHON_IMAGE}
RUN pip uninstall --yes pip \
    && groupadd --gid 10001 duebridge \
    && useradd --uid 10001 --gid duebridge --no-create-home --home-dir /var/lib/duebridge --shell /usr/sbin/nologin duebridge \
    && install --directory --owner duebridge --group duebridge --mode 0700 /var/lib/duebridge
COPY --from=build /srv/duebridge /srv/duebridge
ENV PATH=/srv/duebridge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DUEBRIDGE_BIND=0.0.0.0:8000
USER 10001:10001
WORKDIR /var/lib/duebridge
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['DUEBRIDGE_BIND'].rpartition(':')[2] + '/readyz', timeout=5)"]
CMD ["gunicorn", "--config", "python:connector.gunicorn_settings", "connector.serving:application()"]
