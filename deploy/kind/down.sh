#!/usr/bin/env bash
# Removes the cluster of `make kind-up`: `make kind-down`.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/kind/versions.sh
source versions.sh
# shellcheck source=deploy/kind/common.sh
source common.sh
need kind
run kind delete cluster --name "$CLUSTER"
