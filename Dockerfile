# The web page in a container; docs/docker.md says how to run it behind a proxy with https.

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN python3 -m venv /app \
    && /app/bin/pip install --no-cache-dir /source

FROM debian:bookworm-slim
# libgl1 and libglib2.0-0 are what OpenCV loads.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin faces
COPY --from=build /app /app
USER faces
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["/app/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/', timeout=4)"]
ENTRYPOINT ["/app/bin/ipd-fer-web"]
CMD ["--host", "0.0.0.0"]
