# One image for every service: `driftline services run NAME`. Nothing in it is secret, and nothing in it needs to be
# written to: it runs with a read-only root file system and an empty /tmp.
#
# Pinned by its exact release. A build that must be repeatable to the byte replaces the tag by your registry's digest of
# it (python@sha256:…).
FROM python:3.11.13-slim-bookworm AS base

FROM base AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/driftline/venv \
    && /opt/driftline/venv/bin/python -m pip install --require-hashes --only-binary :all: -r requirements.lock
# What builds the wheel is locked as well, and stays out of the image.
RUN awk '/^[^ ]/ { wanted = /^setuptools==/ } wanted' requirements-dev.lock > setuptools.lock \
    && python -m pip install --require-hashes --only-binary :all: -r setuptools.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared ./shared
COPY services ./services
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/driftline/venv/bin/python -m pip install --no-deps --no-index /wheels/*.whl
# Kernels are compiled here, for any processor of the family; a detector that had to do it would start a minute later.
WORKDIR /
RUN DRIFTLINE_CACHE=/opt/driftline/cache /opt/driftline/venv/bin/python -m services.detector.warm

FROM base
LABEL org.opencontainers.image.title="driftline" \
      org.opencontainers.image.description="Watches machine-learning models in production." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 driftline \
    && useradd --uid 10001 --gid driftline --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin driftline
COPY --from=builder /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DRIFTLINE_CACHE=/opt/driftline/cache \
    DRIFTLINE_CONFIG=/etc/driftline/driftline.yaml \
    DRIFTLINE_HEALTH_HOST=0.0.0.0
WORKDIR /etc/driftline
USER 10001:10001
EXPOSE 9300 9301 9302 9303 9304 9305
# Of all services, which the default command runs; a container of one service asks for that one by its name.
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m CMD ["driftline", "health"]
ENTRYPOINT ["driftline"]
CMD ["services", "run"]
