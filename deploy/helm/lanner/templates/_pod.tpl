{{/* The pod, the same for a DaemonSet and a Deployment. */}}

{{- define "lanner.pod" -}}
metadata:
  labels:
    {{- include "lanner.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- /* Rules are read anew when their ConfigMap changes, so they don't stand here; these do need new pods. */}}
    checksum/engine: {{ include "lanner.engine" . | sha256sum }}
    {{- if include "lanner.hasServerCerts" . }}
    checksum/certs: {{ toJson .Values.certs | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "lanner.serviceAccount" . }}
  automountServiceAccountToken: {{ eq (include "lanner.asksApiServer" .) "true" }}
  {{- if eq (include "lanner.watchesHost" .) "true" }}
  hostPID: {{ .Values.hostPID }}
  {{- end }}
  {{- with .Values.falco.podHostname }}
  hostname: {{ . }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podPriorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- range $key := list "nodeSelector" "affinity" "tolerations" "imagePullSecrets" }}
  {{- with get $.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.extra.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: lanner
      image: {{ include "lanner.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        {{- include "lanner.command" . | nindent 8 }}
      env:
        {{- include "lanner.environment" . | nindent 8 }}
      tty: {{ .Values.tty }}
      securityContext:
        {{- include "lanner.securityContext" . | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      {{- if and .Values.falco.webserver.enabled (eq .Values.mode "agent") }}
      ports:
        - {name: web, containerPort: {{ .Values.falco.webserver.listen_port }}, protocol: TCP}
      {{- range $probe, $times := .Values.healthChecks }}
      {{ $probe }}:
        httpGet:
          path: {{ $.Values.falco.webserver.k8s_healthz_endpoint }}
          port: web
          scheme: {{ ternary "HTTPS" "HTTP" (default false $.Values.falco.webserver.ssl_enabled) }}
        {{- toYaml $times | nindent 8 }}
      {{- end }}
      {{- end }}
      volumeMounts:
        {{- include "lanner.mounts" . | nindent 8 }}
  volumes:
    {{- include "lanner.volumes" . | nindent 4 }}
{{- end }}

{{/* true where the node itself is watched. */}}
{{- define "lanner.watchesHost" -}}
{{- and (eq .Values.mode "agent") .Values.driver.enabled -}}
{{- end }}

{{- define "lanner.asksApiServer" -}}
{{- and (eq .Values.mode "agent") .Values.collectors.enabled .Values.collectors.kubernetes.enabled -}}
{{- end }}

{{- define "lanner.command" -}}
- lanner
{{- if eq .Values.mode "relay" }}
- relay
- /host/lanner/{{ .Values.relay.source }}
{{- else if .Values.falco.rules_files }}
- falco
- -c
- /etc/lanner/falco.yaml
{{- else }}
- run
- --quiet
- --config
- /etc/lanner/falco.yaml
{{- if .Values.customRules }}
- --also
- /etc/falco/rules.d
{{- end }}
{{- end }}
{{- with .Values.extra.args }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lanner.environment" -}}
- name: HOST_ROOT
  value: /host
{{- $named := list }}
{{- range .Values.extra.env }}{{ $named = append $named .name }}{{ end }}
{{- range $name := list "FALCO_HOSTNAME" "FALCO_K8S_NODE_NAME" }}
{{- if not (has $name $named) }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end }}
{{- end }}
{{- with .Values.extra.env }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{/* Why each capability: BPF loads programs and maps, PERFMON lets them read kernel memory and attach to
tracepoints, SYS_PTRACE reads other users' /proc/PID/{exe,fd,root,environ}, DAC_READ_SEARCH the runtimes'
bundles and users' files behind directories of other owners, SYS_RESOURCE locks the maps' memory on kernels
before 5.11. All others are dropped. */}}
{{- define "lanner.securityContext" -}}
{{- if .Values.containerSecurityContext -}}
{{- toYaml .Values.containerSecurityContext -}}
{{- else if ne (include "lanner.watchesHost" .) "true" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- else if .Values.driver.modernEbpf.leastPrivileged -}}
runAsUser: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH, SYS_RESOURCE]
{{- else -}}
privileged: true
readOnlyRootFilesystem: true
{{- end -}}
{{- end }}

{{- define "lanner.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if eq .Values.mode "relay" }}
- {name: alerts, mountPath: /host/lanner, readOnly: true}
{{- else }}
- {name: settings, mountPath: /etc/lanner, readOnly: true}
{{- if .Values.customRules }}
- {name: rules, mountPath: /etc/falco/rules.d, readOnly: true}
{{- end }}
{{- if include "lanner.hasServerCerts" . }}
- {name: certs, mountPath: /etc/falco/certs, readOnly: true}
{{- end }}
{{- if include "lanner.hasClientCerts" . }}
- {name: client-certs, mountPath: /etc/falco/certs/client, readOnly: true}
{{- end }}
{{- if eq (include "lanner.watchesHost" .) "true" }}
# What already runs, and each process's files, user and root.
- {name: host-proc, mountPath: /host/proc, readOnly: true}
# Names of the host's users and groups.
- {name: host-etc, mountPath: /host/etc, readOnly: true}
{{- if and .Values.collectors.enabled .Values.collectors.containerEngine.enabled }}
# The runtimes' sockets and bundles.
- {name: host-run, mountPath: /host/run, readOnly: true, mountPropagation: HostToContainer}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.mounts.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lanner.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if eq .Values.mode "relay" }}
- name: alerts
  hostPath: {path: {{ .Values.relay.hostPath }}, type: Directory}
{{- else }}
{{- $name := include "lanner.fullname" . }}
- name: settings
  configMap: {name: {{ $name }}}
{{- if .Values.customRules }}
- name: rules
  configMap: {name: {{ $name }}-rules}
{{- end }}
{{- if include "lanner.hasServerCerts" . }}
- name: certs
  secret: {secretName: {{ default (printf "%s-certs" $name) .Values.certs.existingSecret }}}
{{- end }}
{{- if include "lanner.hasClientCerts" . }}
- name: client-certs
  secret: {secretName: {{ default (printf "%s-client-certs" $name) .Values.certs.existingClientSecret }}}
{{- end }}
{{- if eq (include "lanner.watchesHost" .) "true" }}
- name: host-proc
  hostPath: {path: /proc, type: Directory}
- name: host-etc
  hostPath: {path: /etc, type: Directory}
{{- if and .Values.collectors.enabled .Values.collectors.containerEngine.enabled }}
- name: host-run
  hostPath: {path: /run, type: Directory}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.mounts.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
