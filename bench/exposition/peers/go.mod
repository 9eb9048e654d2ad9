module davy/bench/parsers

go 1.18

require (
	github.com/VictoriaMetrics/VictoriaMetrics v1.87.0
	github.com/prometheus/prometheus v0.42.0
)

require (
	github.com/VictoriaMetrics/metrics v1.23.1 // indirect
	github.com/VictoriaMetrics/metricsql v0.51.2 // indirect
	github.com/cespare/xxhash/v2 v2.2.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/grafana/regexp v0.0.0-20221122212121-6b5c0a4cb7fd // indirect
	github.com/klauspost/compress v1.15.15 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/common v0.39.0 // indirect
	github.com/valyala/fastjson v1.6.4 // indirect
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	golang.org/x/sys v0.4.0 // indirect
)
