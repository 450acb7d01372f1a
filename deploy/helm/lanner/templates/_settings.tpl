{{/* falco.yaml: what `falco` says, over it what the chart's own values decide. */}}

{{- define "lanner.settings" -}}
{{- $settings := deepCopy .Values.falco -}}
{{- $_ := set $settings "engine" (mergeOverwrite (dict) (default (dict) $settings.engine) (include "lanner.engine" . | fromYaml)) -}}
{{- $config := dict -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $settings "metrics" (include "lanner.metricsSettings" . | fromYaml) -}}
{{- $_ := set $settings "webserver" (mergeOverwrite (dict) $settings.webserver (dict "prometheus_metrics_enabled" true)) -}}
{{- end -}}
{{- $http := include "lanner.webhook" . -}}
{{- if $http -}}
{{- $_ := set $settings "json_output" true -}}
{{- $_ := set $settings "json_include_output_property" true -}}
{{- $_ := set $settings "http_output" (mergeOverwrite (dict) (default (dict) $settings.http_output) (dict "enabled" true "url" $http)) -}}
{{- end -}}
{{- if and .Values.driver.enabled .Values.collectors.enabled .Values.collectors.containerEngine.enabled -}}
{{- $plugin := dict "name" "container" "library_path" "libcontainer.so" "init_config" (include "lanner.containerPlugin" . | fromYaml) -}}
{{- $_ := set $settings "plugins" (append (default (list) $settings.plugins) $plugin) -}}
{{- $_ := set $settings "load_plugins" (append (default (list) $settings.load_plugins) "container") -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{- define "lanner.engine" -}}
{{- if not .Values.driver.enabled -}}
kind: nodriver
{{- else if has .Values.driver.kind (list "auto" "kmod" "module" "modern_ebpf" "modern-bpf") -}}
kind: modern_ebpf
modern_ebpf:
  buf_size_preset: {{ .Values.driver.modernEbpf.bufSizePreset }}
  cpus_for_each_buffer: {{ .Values.driver.modernEbpf.cpusForEachBuffer }}
  drop_failed_exit: {{ .Values.driver.modernEbpf.dropFailedExit }}
{{- else -}}
{{- fail (printf "driver.kind is %q; there are auto, modern_ebpf and kmod, which all run the eBPF probe" .Values.driver.kind) -}}
{{- end -}}
{{- end }}

{{- define "lanner.metricsSettings" -}}
{{- with .Values.metrics -}}
enabled: true
interval: {{ .interval }}
output_rule: {{ .outputRule }}
rules_counters_enabled: {{ .rulesCountersEnabled }}
resource_utilization_enabled: {{ .resourceUtilizationEnabled }}
state_counters_enabled: {{ .stateCountersEnabled }}
kernel_event_counters_enabled: {{ .kernelEventCountersEnabled }}
kernel_event_counters_per_cpu_enabled: {{ .kernelEventCountersPerCPUEnabled }}
libbpf_stats_enabled: {{ .libbpfStatsEnabled }}
plugins_metrics_enabled: {{ .pluginsMetricsEnabled }}
convert_memory_to_mb: {{ .convertMemoryToMB }}
include_empty_values: {{ .includeEmptyValues }}
{{- end -}}
{{- end }}

{{- define "lanner.containerPlugin" -}}
{{- with .Values.collectors.containerEngine -}}
label_max_len: {{ .labelMaxLen }}
with_size: {{ .withSize }}
hooks: {{ toJson .hooks }}
engines: {{ toJson .engines }}
{{- end }}
{{- if eq (include "lanner.asksApiServer" .) "true" }}
kubernetes: {enabled: true}
{{- end -}}
{{- end }}

{{/* Where alerts go by HTTP, beside what falco.http_output says. */}}
{{- define "lanner.webhook" -}}
{{- if .Values.falcosidekick.webhook -}}
{{- .Values.falcosidekick.webhook -}}
{{- else if .Values.falcosidekick.enabled -}}
{{- $name := printf "%s-falcosidekick" .Release.Name -}}
{{- if .Values.falcosidekick.fullfqdn -}}{{- $name = printf "%s.%s.svc.cluster.local" $name (include "lanner.namespace" .) -}}{{- end -}}
http://{{ $name }}:{{ default "2801" .Values.falcosidekick.listenPort }}
{{- end -}}
{{- end }}
