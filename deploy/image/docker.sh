#!/usr/bin/env bash
# Builds the image with docker, for this machine: `make image`, or `deploy/image/docker.sh TAG`.
#
# The base image's tag moves with its security fixes, so it is looked up, built on by digest, and named in the image:
# `BASE=python:3.11-slim-bookworm@sha256:... make image` builds on the very same again.
set -euo pipefail
cd "$(dirname "$0")/../.."
tag=$1
base=${BASE:-$(sed -n 's/^ARG BASE=//p' deploy/image/Dockerfile)}
if [ "${base#*@sha256:}" = "$base" ]; then
  digest=$(docker buildx imagetools inspect "$base" | sed -n 's/^Digest: *//p')
  [ -n "$digest" ] || { echo "image: the registry told no digest of $base" >&2; exit 1; }
  base=$base@$digest
fi
echo "image: on $base" >&2
docker buildx build --file deploy/image/Dockerfile --tag "$tag" --load \
  --build-arg "BASE=$base" \
  --label "org.opencontainers.image.base.name=${base%@*}" \
  --label "org.opencontainers.image.base.digest=${base#*@}" \
  .
