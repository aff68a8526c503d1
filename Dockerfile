# The service for production. It needs a PostgreSQL and the settings that .env.example marks as required; none of them
# is in the image. Migrations run at start.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/mend-driver.mjs ./scripts/
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/mend-driver.mjs ./scripts/
# The optional packages are the embedded PostgreSQL's programs, which production does not use.
RUN npm ci --omit=dev --omit=optional

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3002
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY drizzle ./drizzle
COPY templates ./templates
COPY assets ./assets
# Not the owner of these files: the service cannot change its own code. It writes nothing but DATA_DIR outside
# production, so the root file system may be read-only.
USER node
ENV DATA_DIR=/tmp/payout-service
STOPSIGNAL SIGTERM
EXPOSE 3002
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/main.js"]
