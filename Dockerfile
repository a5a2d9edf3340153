# The gateway as a small image: locked wheels in one virtual environment, no compiler, no root.
# Runs with a read-only root file system; writes to /data (SQLite, key file, journal) and /tmp.

FROM node:20-slim AS ui
WORKDIR /ui
COPY admin-ui/package.json admin-ui/package-lock.json admin-ui/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY admin-ui ./
RUN npm run build

FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/codex2api \
 && /opt/codex2api/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/codex2api/bin/pip install --no-index --no-deps /wheels/*.whl \
 && /opt/codex2api/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
LABEL org.opencontainers.image.title="codex2api" \
      org.opencontainers.image.description="One address in front of many Codex accounts, OpenAI keys and compatible upstreams." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 codex2api \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin codex2api \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/codex2api /opt/codex2api
# Where the package looks for the admin UI: beside itself.
COPY --from=ui /ui/dist /opt/codex2api/lib/python3.11/site-packages/admin-ui/dist
ENV PATH=/opt/codex2api/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CODEX_BIND=0.0.0.0 \
    CODEX_DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8080
USER 10001:10001
STOPSIGNAL SIGTERM
# Asks over plain HTTP: set another check where CODEX_TLS_CERT is used.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + (os.environ.get('CODEX_PORT') or '8080') + '/health', timeout=4)"]
ENTRYPOINT ["codex2api"]
CMD ["serve"]
