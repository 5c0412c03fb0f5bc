{{- define "foresail.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* "foresail" for a release of that name, so that KEDA's address is foresail.NAMESPACE.svc:6000 */}}
{{- define "foresail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "foresail.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "foresail.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "foresail.selector" -}}
app.kubernetes.io/name: {{ include "foresail.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "foresail.labels" -}}
{{ include "foresail.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "foresail.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "foresail.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "foresail.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "foresail.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "foresail.fullname" .)) }}
{{- end -}}

{{/* A value as TOML writes it. Helm reads every number as a float; a whole one must not get a fraction from that. */}}
{{- define "foresail.toml.value" -}}
{{- if kindIs "map" . -}}
{ {{- range $index, $key := keys . | sortAlpha }}{{ if $index }},{{ end }} {{ $key | toJson }} = {{ include "foresail.toml.value" (get $ $key) }}{{ end }} }
{{- else if kindIs "slice" . -}}
[{{- range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "foresail.toml.value" $item }}{{ end -}}]
{{- else if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}
{{ int64 . }}
{{- else -}}
{{ toRawJson . }}
{{- end -}}
{{- end -}}

{{/* The settings file. Plain keys first: TOML counts what follows a table's head to the table. */}}
{{- define "foresail.toml" -}}
{{- range $key := keys . | sortAlpha }}
{{- $value := get $ $key }}
{{- if not (or (eq $key "events") (kindIs "map" $value)) }}
{{ $key }} = {{ include "foresail.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $key := keys . | sortAlpha }}
{{- $value := get $ $key }}
{{- if eq $key "events" }}
{{- range $event := $value }}

[[events]]
{{- include "foresail.toml.keys" $event }}
{{- end }}
{{- else if kindIs "map" $value }}
{{- range $name := keys $value | sortAlpha }}

[{{ $key }}.{{ $name | toJson }}]
{{- include "foresail.toml.keys" (get $value $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "foresail.toml.keys" -}}
{{- range $name := keys . | sortAlpha }}
{{ $name }} = {{ include "foresail.toml.value" (get $ $name) }}
{{- end }}
{{- end -}}

{{/* A quantity in bytes; nothing for what is not written as a number and a unit. YAML's plain numbers come as floats. */}}
{{- define "foresail.bytes" -}}
{{- $text := ternary (printf "%.0f" .) (toString .) (kindIs "float64" .) -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $_ := set $units "Ki" 1024 -}}
{{- $_ := set $units "Mi" 1048576 -}}
{{- $_ := set $units "Gi" 1073741824 -}}
{{- $_ := set $units "Ti" 1099511627776 -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text)) | floor | int64 -}}
{{- end -}}
{{- end -}}

{{/* The container's memory limit in bytes; nothing without one. */}}
{{- define "foresail.memoryLimit" -}}
{{- with dig "limits" "memory" "" .Values.resources }}{{ include "foresail.bytes" . }}{{ end -}}
{{- end -}}

{{/* Unless it is given: half of the memory limit is for fits, the server's own bounds kept. */}}
{{- define "foresail.fitMemory" -}}
{{- if hasKey .Values.settings "fit_memory" -}}
{{- int64 .Values.settings.fit_memory -}}
{{- else -}}
{{- with include "foresail.memoryLimit" . -}}
{{- $workers := int64 ($.Values.settings.fit_workers | default 1) -}}
{{- div (int64 .) (mul 2 $workers) | max 536870912 | min 4294967296 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Unless it is given: a quarter of the memory limit is for series, at least what the server asks for. */}}
{{- define "foresail.seriesMemory" -}}
{{- if hasKey .Values.settings "memory_limit" -}}
{{- int64 .Values.settings.memory_limit -}}
{{- else -}}
{{- with include "foresail.memoryLimit" . -}}
{{- div (int64 .) 4 | max 16777216 | min 1099511627776 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the chart itself decides wins over `settings`: the manifests and the file must not contradict each other. */}}
{{- define "foresail.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $_ := set $settings "grpc_address" (printf "[::]:%d" (int .Values.grpc.port)) -}}
{{- $_ := set $settings "http_address" (printf "[::]:%d" (int .Values.http.port)) -}}
{{- $_ := set $settings "data_dir" "/var/lib/foresail" -}}
{{- with include "foresail.fitMemory" . -}}
{{- $_ := set $settings "fit_memory" (int64 .) -}}
{{- end -}}
{{- with include "foresail.seriesMemory" . -}}
{{- $_ := set $settings "memory_limit" (int64 .) -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $settings "tls_cert" "/etc/foresail/tls/tls.crt" -}}
{{- $_ := set $settings "tls_key" "/etc/foresail/tls/tls.key" -}}
{{- if .Values.tls.clientCa.secret -}}
{{- $_ := set $settings "tls_client_ca" (printf "/etc/foresail/client-ca/%s" .Values.tls.clientCa.key) -}}
{{- end -}}
{{- end -}}
{{- include "foresail.toml" $settings -}}
{{- end -}}

{{- define "foresail.httpScheme" -}}
{{- if and .Values.tls.enabled (ne (get .Values.settings "tls_http" | default "mutual") "off") -}}https{{- else -}}http{{- end -}}
{{- end -}}
