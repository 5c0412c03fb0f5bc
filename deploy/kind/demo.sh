#!/usr/bin/env bash
# Shows, every 15 seconds, what the load is, what Foresail forecasts and serves, and how many pods stand ready: `make kind-demo`.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/kind/versions.sh
source versions.sh
# shellcheck source=deploy/kind/common.sh
source common.sh
need kubectl
kube=(kubectl --context "kind-$CLUSTER")
rounds=${ROUNDS:-80} # twenty minutes: two of the workload's days

# The value of a PromQL expression, rounded; a question mark if there is none. $1 is the expression, URL-encoded.
value() {
  local answer
  answer=$(run "${kube[@]}" get --raw "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query=$1" 2>/dev/null) || true
  answer=$(printf '%s' "$answer" | sed -n 's/.*"value":\[[0-9.]*,"\([-0-9.e+]*\)"\].*/\1/p')
  if [ -n "$answer" ]; then printf '%.0f' "$answer"; else printf '?'; fi
}

# Ready and all pods of a deployment.
pods() {
  local counts
  counts=$(run "${kube[@]}" get deployment "$1" --namespace demo \
    --output 'jsonpath={.status.readyReplicas} of {.status.replicas}' 2>/dev/null) || true
  [ "${counts# of}" = "$counts" ] || counts="0$counts"
  printf '%s' "${counts:-?}"
}

if [ -n "${DRY_RUN:-}" ]; then
  run "${kube[@]}" get --raw "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query=1"
  run "${kube[@]}" get deployment ahead plain --namespace demo
  exit
fi

echo "A day takes ten minutes. A pod carries 50 requests a second and takes a minute to start."
echo "forecast: the 0.9-quantile of the load's peak until a pod that is asked for now would serve."
printf '%8s %8s %9s %8s   %-12s %-12s\n' time load forecast served "ahead" "plain"
for ((round = 0; round < rounds; round++)); do
  ((round == 0)) || sleep 15
  load=$(value 'max(foresail_observed_value%7Bscaled_object%3D%22ahead%22%7D)')
  forecast=$(value 'max(foresail_forecast_value%7Bscaled_object%3D%22ahead%22,level%3D%220.9%22%7D)')
  served=$(value 'max(foresail_served_value%7Bscaled_object%3D%22ahead%22%7D)')
  printf '%8s %8s %9s %8s   %-12s %-12s\n' "$(date +%H:%M:%S)" "$load" "$forecast" "$served" "$(pods ahead)" "$(pods plain)"
done
