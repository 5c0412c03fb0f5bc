# shellcheck shell=bash disable=SC2034  # read by the scripts beside it
# Everything that `make kind-up` takes from elsewhere, pinned.
CLUSTER=foresail
NODE_IMAGE=kindest/node:v1.33.1@sha256:050072256b9a903bd914c0b2866828150cb229cea0efe5892e2b644d5dd3b34f
KEDA_CHART=2.20.2
PROMETHEUS_IMAGE=prom/prometheus:v3.5.0
KUBE_STATE_METRICS_IMAGE=registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0
FORESAIL_IMAGE=foresail:kind # built from this checkout
