"""The report in words, and the ScaledObject to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.kinds import show_duration, show_number
from scaler.report.document import capital
from scaler.words import duration, number, plural

if TYPE_CHECKING:
    from scaler.replay.behavior import Rules
    from scaler.replay.gating import GateLog
    from scaler.replay.report.content import Content
    from scaler.replay.study import Study

__all__ = ["gate_in_words", "scaled_object", "summary"]


def gate_in_words(gate: GateLog) -> str:
    """What the gate did over the replay, in a sentence or two."""
    if not gate.changes and not gate.demoted:
        return f"the gate let the forecast take part throughout; at the end: {gate.last}"
    times = plural(sum(not change.trusted for change in gate.changes), "time")
    return (
        f"the gate demoted the forecast {times}, for {gate.demoted:.1%} of the replay: headroom x observed was served "
        f"meanwhile; at the end: {gate.last}"
    )


def summary(content: Content) -> list[str]:
    """What came out, in a few sentences, the most important first."""
    chosen, plain = content.chosen.point, content.others[0].point
    span = duration(len(content.chosen.outcome.desired) * 15)
    outcome = (
        f"Over {span}, {content.chosen.label} would have left {chosen.under_provisioned_load:.3%} of the load "
        f"without a ready pod ({chosen.under_provisioned_time:.2%} of the time), at {chosen.cost_ratio:.2f} times the "
        "pod-hours of an oracle that knows the load and needs no start-up time."
    )
    reference = (
        f"{capital(content.others[0].label)} leaves {plain.under_provisioned_load:.3%} at {plain.cost_ratio:.2f}."
    )
    sentences = [outcome, reference]
    equal = content.equal_cost
    if equal is not None and equal.point.under_provisioned_load > 0:
        ratio = chosen.under_provisioned_load / equal.point.under_provisioned_load
        verdict = (
            f"{1 - ratio:.0%} less is shed for the same money"
            if ratio < 0.95
            else "that is no gain: plain KEDA with headroom does as well here"
            if ratio <= 1.05
            else f"that is {ratio - 1:.0%} worse than plain KEDA: do not turn it on for this workload as it is"
        )
        sentences.append(
            f"Plain KEDA given the same pod-hours ({equal.label}) leaves {equal.point.under_provisioned_load:.3%}: "
            f"{verdict}."
        )
    elif chosen.under_provisioned_load == 0.0 and equal is not None:
        sentences.append(
            f"Plain KEDA given the same pod-hours ({equal.label}) sheds nothing either: there is nothing to gain here."
        )
    sentences.append(
        f"The size would have changed {chosen.scale_events} times, against {plain.scale_events} with "
        f"{content.others[0].label}."
    )
    if content.forecasts:
        sentences.append(capital(content.forecasts) + ".")
    if content.gate is not None:
        sentences.append(capital(gate_in_words(content.gate)) + ".")
    return sentences


def scaled_object(content: Content) -> str:
    """The ScaledObject that gives what was replayed; what only the user knows is marked."""
    study = content.study
    workload, policy = study.workload, study.decision
    highest = int(content.chosen.outcome.desired.max())
    most = min(workload.max_replicas, max(2, 2 * highest))
    point = content.chosen.point
    lines = [
        "apiVersion: keda.sh/v1alpha1",
        "kind: ScaledObject",
        "metadata:",
        f"  name: {_slug(content.name)}",
        "spec:",
        "  scaleTargetRef:",
        f"    name: {_slug(content.name)}  # your Deployment",
        f"  minReplicaCount: {workload.scaled_object.min_replicas}",
        f"  maxReplicaCount: {most}  # the replay's highest was {highest}",
        f"  pollingInterval: {workload.scaled_object.polling_interval}",
        f"  cooldownPeriod: {workload.scaled_object.cooldown_period}",
        *_behavior(study),
        "  triggers:",
        "    - type: external",
        "      metadata:",
        "        scalerAddress: foresail.foresail.svc:6000",
        "        serverAddress: http://prometheus.monitoring.svc:9090  # your Prometheus",
        "        query: sum(rate(http_requests_total[1m]))  # the query behind this history",
        f'        threshold: "{show_number(workload.target)}"',
        f"        leadTime: {show_duration(policy.lead_time)}",
    ]
    if policy.activation_threshold:
        lines.append(f'        activationThreshold: "{show_number(policy.activation_threshold)}"')
    if study.time_zone != "UTC":
        lines.append(f"        timeZone: {study.time_zone}")
    if study.holidays:
        lines.append(f'        holidays: "{study.holidays}"')  # quoted: NO would be a no
    if point.quantile is not None:
        lines.append(f'        quantile: "{number(point.quantile)}"')
    if point.headroom is not None and point.policy == "foresail":
        lines.append(f'        headroom: "{number(point.headroom)}"')
    return "\n".join(lines) + "\n"


def _behavior(study: Study) -> list[str]:
    behavior = study.workload.behavior
    if behavior is None:
        return []
    head = ["  advanced:", "    horizontalPodAutoscalerConfig:", "      behavior:"]
    return [*head, *_rules("scaleUp", behavior.up), *_rules("scaleDown", behavior.down)]


def _rules(name: str, rules: Rules) -> list[str]:
    lines = [
        f"        {name}:",
        f"          stabilizationWindowSeconds: {rules.window}",
        f"          selectPolicy: {rules.select}",
        f'          tolerance: "{rules.tolerance:g}"' if rules.tolerance != 0.1 else "",
        "          policies:",
        *(
            f"            - {{type: {policy.kind}, value: {policy.value}, periodSeconds: {policy.period}}}"
            for policy in rules.policies
        ),
    ]
    return [line for line in lines if line]


def _slug(name: str) -> str:
    """A Kubernetes name."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return kept[:50].rstrip("-") or "workload"
