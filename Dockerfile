# One image for every role: migrate, workers on CPUs and GPUs, dashboard.
#   docker build -t hpo .
#   docker build -t hpo:gpu --build-arg EXTRAS=train,gpu,postgres,s3,dashboard .
# Pinned by tag and, where you build for production, by digest: --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=train,postgres,s3,dashboard
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY hpo hpo
# The lock holds for everything but CUDA: with the extra gpu it serves as constraints.
RUN python -m venv /opt/hpo \
    && sed 's/ \\$//; /--hash/d' requirements.lock > /tmp/constraints.txt \
    && /opt/hpo/bin/pip install --no-cache-dir --disable-pip-version-check -c /tmp/constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
RUN groupadd --gid 10001 hpo && useradd --uid 10001 --gid hpo --no-create-home --shell /usr/sbin/nologin hpo \
    && install -d -o hpo -g hpo /var/lib/hpo
COPY --from=build /opt/hpo /opt/hpo
COPY studies /usr/share/hpo/studies
# /tmp is the only place beside the data that a read-only container writes to
ENV PATH=/opt/hpo/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp KERAS_HOME=/tmp/keras CUDA_CACHE_PATH=/tmp/cuda \
    HPO_ARTIFACTS=/var/lib/hpo/artifacts HPO_CACHE=/var/lib/hpo/cache
USER 10001:10001
WORKDIR /var/lib/hpo
VOLUME /var/lib/hpo
ENTRYPOINT ["hpo"]
CMD ["--help"]
