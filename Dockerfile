# syntax=docker/dockerfile:1
# docker build --tag headstart:0.1.0 .
#
# Debian 12's Python, as the tests run with, and the versions of all packages that they ran with.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
# Both names: pip read the first for build requirements too until 25.3, and reads the second since.
ENV PIP_CONSTRAINT=/source/.ci/constraints.txt PIP_BUILD_CONSTRAINT=/source/.ci/constraints.txt
COPY .ci/constraints.txt .ci/
COPY pyproject.toml README.md LICENSE ./
COPY data data
COPY forecasting forecasting
COPY autoscaler autoscaler
# Wheels only: what would need a compiler fails here. The environment gets no pip of its own.
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/headstart \
    && pip --python /opt/headstart/bin/python install --only-binary :all: /wheels/*.whl
# Compiled here, kernels are loaded in a second instead of 30. numba keys them by the processor: one of its own choice
# would match nodes like the builder only. The generic one runs as fast and decides the same, bit for bit.
ENV NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/headstart/kernels
RUN /opt/headstart/bin/python -c 'from autoscaler.controller.warm import warm_kernels; warm_kernels()' \
    && /opt/headstart/bin/headstart run --simulate data/chat.csv --capacity 3 --speed max > /dev/null

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="headstart" \
      org.opencontainers.image.description="A predictive GPU autoscaler: replicas are ready when requests arrive." \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is installed in a running container.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore wheel setuptools pip
# At the same place as it was built: scripts and kernels know their paths.
COPY --from=builder /opt/headstart /opt/headstart
# numba loads kernels only from where it may also write. With a read-only root, copy them to a writable folder and name
# that in NUMBA_CACHE_DIR, as manifests/base/deployment.yaml does.
RUN chown -R 65532:65532 /opt/headstart/kernels
# Two arenas for some 25 threads: 706 MiB instead of 789 with 1,000 objects, and no more CPU time.
ENV PATH=/opt/headstart/bin:$PATH \
    HOME=/tmp \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/opt/headstart/kernels
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["headstart"]
CMD ["run"]
