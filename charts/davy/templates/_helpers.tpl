{{- define "davy.name" -}}
{{- printf "%s-davy" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "davy.selector" -}}
app.kubernetes.io/name: davy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "davy.labels" -}}
{{ include "davy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "davy.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
