FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /flightbill ./cmd/flightbill

# Small, and with a wget for the health check. The embedded Postgres is not meant
# for containers: give it a DATABASE_URL.
FROM alpine:3.22
RUN apk add --no-cache ca-certificates && adduser -D -H -u 10001 flightbill
COPY --from=build /flightbill /usr/local/bin/flightbill
COPY LICENSE THIRD_PARTY_LICENSES /usr/share/licenses/flightbill/
USER 10001:10001
ENV FLIGHTBILL_LOG_FORMAT=json \
    FLIGHTBILL_RESULTS=
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s \
    CMD wget -q -O /dev/null http://127.0.0.1:8080/readyz || exit 1
ENTRYPOINT ["flightbill"]
CMD ["serve"]
