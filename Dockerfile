# The one executable on a small Debian, with `ping` to try the network. Needs NET_ADMIN and /dev/net/tun: see compose.yaml.

FROM oven/bun:1.4.5 AS build
WORKDIR /minitail
COPY package.json bun.lock bunfig.toml ./
COPY ffi/package.json ffi/
RUN bun install --frozen-lockfile
COPY . .
RUN bun run build

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends iputils-ping \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /minitail/dist/minitail /usr/local/bin/minitail
VOLUME /var/lib/minitail
EXPOSE 7411/tcp 7411/udp
ENTRYPOINT ["minitail"]
CMD ["up"]
