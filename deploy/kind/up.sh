#!/usr/bin/env bash
# A cluster on this machine with KEDA, Prometheus, kube-state-metrics, Foresail from this checkout, and a workload whose
# day takes ten minutes: `make kind-up`. Running it again brings everything up to date.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/kind/versions.sh
source versions.sh
# shellcheck source=deploy/kind/common.sh
source common.sh
need docker kind kubectl helm
kube=(kubectl --context "kind-$CLUSTER")

say "cluster"
if [ -n "${DRY_RUN:-}" ] || ! kind get clusters | grep -qx "$CLUSTER"; then
  run kind create cluster --name "$CLUSTER" --image "$NODE_IMAGE" --config cluster.yaml --wait 3m
fi

say "images: Foresail from this checkout, the others from their registries"
run ../image/docker.sh "$FORESAIL_IMAGE"
run docker pull "$PROMETHEUS_IMAGE"
run docker pull "$KUBE_STATE_METRICS_IMAGE"
run kind load docker-image --name "$CLUSTER" "$FORESAIL_IMAGE" "$PROMETHEUS_IMAGE" "$KUBE_STATE_METRICS_IMAGE"

say "KEDA $KEDA_CHART"
run helm upgrade --install keda keda --kube-context "kind-$CLUSTER" --repo https://kedacore.github.io/charts \
  --version "$KEDA_CHART" --namespace keda --create-namespace --wait --timeout 5m

say "Prometheus, with two hours of the workload's past, and kube-state-metrics"
run "${kube[@]}" apply --filename monitoring.yaml
for name in prometheus kube-state-metrics; do
  run "${kube[@]}" rollout status "deployment/$name" --namespace monitoring --timeout 5m
done

say "Foresail"
run helm upgrade --install foresail ../helm/foresail --kube-context "kind-$CLUSTER" --values values.yaml \
  --namespace foresail --create-namespace --wait --timeout 5m

say "the workload, twice: ahead (Foresail) and plain (KEDA's prometheus trigger)"
run "${kube[@]}" apply --filename workload.yaml
for name in load ahead plain; do
  run "${kube[@]}" rollout status "deployment/$name" --namespace demo --timeout 5m
done

say "done: 'make kind-demo' shows how both are scaled, 'make kind-down' removes it all"
