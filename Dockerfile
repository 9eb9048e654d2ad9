# The agent in an image: docker build -t davy .
# Debian's own packages in both stages, so that Debian's security updates reach it.

FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      g++ cmake ninja-build pkg-config \
      libcpp-httplib-dev prometheus-cpp-dev libpqxx-dev libpq-dev libhiredis-dev nlohmann-json3-dev libspdlog-dev libfmt-dev \
      libyaml-cpp-dev libcli11-dev libssl-dev zlib1g-dev libre2-dev libnghttp2-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DDAVY_TESTS=OFF \
    && cmake --build /build --target davy \
    && strip /build/davy

FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libcpp-httplib0.18 zlib1g libprometheus-cpp-core1.0 libpq5 libhiredis1.1.0 libspdlog1.15 libfmt10 \
      libyaml-cpp0.8 libnghttp2-14 libssl3t64 libstdc++6 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/davy /usr/bin/davy
COPY config/davy.yaml /etc/davy/davy.yaml
# Runs are kept here if DAVY_STATE_DIR=/var/lib/davy says so; nothing else need be writable.
RUN install -d -o 65532 -g 65532 /var/lib/davy
# Needs no rights and no home.
USER 65532:65532
# Health, and the API (on the loopback unless DAVY_API says otherwise).
EXPOSE 8686 8687
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["davy", "healthcheck"]
ENTRYPOINT ["davy"]
CMD ["agent", "--config", "/etc/davy/davy.yaml"]
