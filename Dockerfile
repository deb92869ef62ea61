# Watchword's image: the executable, the C libraries it links with, and a user without a name to
# lose. Nothing in it is written to at run time, so the root file system may be read-only.
#
#   docker build -t watchword .                      compiles in the image of the Swift project
#   docker build -t watchword --target prebuilt .    takes .prebuilt/bin/watchword as it is
ARG BUILD_BASE=docker.io/library/swift:6.3-bookworm
ARG RUN_BASE=docker.io/library/debian:bookworm-slim

# ---- What every node needs besides the executable.
# hadolint ignore=DL3006
FROM ${RUN_BASE} AS runtime
# The versions are those of the base's release: security updates come with a rebuild.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates libhiredis0.14 libidn2-0 libjansson4 libpq5 libsodium23 libstdc++6 \
        libutf8proc2 libzxcvbn0 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 watchword \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin watchword \
    && install -d -o watchword -g watchword -m 0700 \
        /var/lib/watchword /var/lib/watchword/keys /var/lib/watchword/database \
        /var/lib/watchword/redis
# The network of a container is its own: what is published decides who reaches a port.
ENV WATCHWORD_HTTP_HOST=0.0.0.0 \
    WATCHWORD_MANAGEMENT_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8080 9080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/watchword", "health"]
ENTRYPOINT ["/usr/local/bin/watchword"]
CMD ["serve"]

# ---- For an executable that was compiled elsewhere, with the libraries it brings along.
FROM runtime AS prebuilt
USER 0:0
COPY .prebuilt/ /usr/local/
RUN ldconfig
USER 10001:10001

# ---- The compiler; left behind.
# hadolint ignore=DL3006
FROM ${BUILD_BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libhiredis-dev libidn2-dev libjansson-dev libpq-dev libsodium-dev libutf8proc-dev \
        libzxcvbn-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The packages on their own: they change more rarely than the sources.
COPY Package.swift Package.resolved ./
RUN swift package resolve --force-resolved-versions
COPY Sources ./Sources
COPY Tests ./Tests
RUN swift build --configuration release --product watchword --static-swift-stdlib \
        --force-resolved-versions \
    && install -D -s -m 0755 .build/release/watchword /out/watchword

# ---- The image.
FROM runtime
COPY --from=build /out/watchword /usr/local/bin/watchword
