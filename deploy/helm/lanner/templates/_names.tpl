{{/* Names and labels. */}}

{{- define "lanner.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "lanner.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "lanner.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lanner.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "lanner.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{- define "lanner.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "lanner.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "lanner.image" -}}
{{- $name := printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ $name -}}
{{- end }}

{{/* What marks the pods of this release, never changed by an upgrade. */}}
{{- define "lanner.selector" -}}
app.kubernetes.io/name: {{ include "lanner.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lanner.labels" -}}
{{ include "lanner.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Name, namespace and labels of an object of the release; `suffix` makes a second one of a kind. */}}
{{- define "lanner.metadata" -}}
name: {{ include "lanner.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ include "lanner.namespace" .root }}
labels:
  {{- include "lanner.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* true where secrets of certificates are to be mounted. */}}
{{- define "lanner.hasServerCerts" -}}
{{- with .Values.certs }}{{ if or .existingSecret (and .server.key .server.crt) }}true{{ end }}{{ end -}}
{{- end }}
{{- define "lanner.hasClientCerts" -}}
{{- with .Values.certs }}{{ if or .existingClientSecret (and .client.key .client.crt) }}true{{ end }}{{ end -}}
{{- end }}
