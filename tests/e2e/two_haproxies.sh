#!/bin/sh
# Two real HAProxies as V1 and V2 under load from wrk, judged by the shipped config with nothing but
# environment variables: an equal pair is not rolled back, one that fails 5 % of requests is.
set -eu
. "$(dirname "$0")/lib/lab.sh"

# haproxy NAME PORT PERCENT_FAILING
haproxy_config() {
  cat >"$dir/$1.cfg" <<END
global
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend shop
  bind 127.0.0.1:$2
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 500 content-type text/plain string sorry if { rand(1000) lt $3 }
  http-request return status 200 content-type text/plain string hello
END
}

# judge NAME CANARY_PORT: the verdict's exit code of a run against the shipped config
judge() {
  api=$(free_port) health=$(free_port)
  export DAVY_SERVICE="$1" DAVY_PRESET=haproxy DAVY_API="127.0.0.1:$api" DAVY_HEALTH="127.0.0.1:$health" DAVY_DRAIN_DELAY=0s \
    DAVY_BASELINE="http://127.0.0.1:$v1/metrics" DAVY_CANARY="http://127.0.0.1:$2/metrics" DAVY_SCRAPE_EVERY=2s
  start "davy-$1" "$DAVY" agent --config "$(dirname "$0")/../../config/davy.yaml"
  wait_for "davy for $1" curl -sf "http://127.0.0.1:$api/v1/deployments"
  code=0
  "$DAVY" gate wait "$1" --url "http://127.0.0.1:$api" --timeout 3m >"$dir/verdict" 2>&1 || code=$?
  cat "$dir/verdict"
}

v1=$(free_port) good=$(free_port) bad=$(free_port)
haproxy_config v1 "$v1" 5
haproxy_config good "$good" 5
haproxy_config bad "$bad" 50
for name in v1 good bad; do start "haproxy-$name" haproxy -db -f "$dir/$name.cfg"; done
for port in "$v1" "$good" "$bad"; do
  wait_for "haproxy on $port" curl -s "http://127.0.0.1:$port/"
  start "wrk-$port" wrk -t1 -c1 -d300s "http://127.0.0.1:$port/"
done

judge worse "$bad"
[ "$code" = 1 ] || fail "the worse HAProxy ended with $code, not 1"
grep -q 'fail: Roll back (error rate): V2 fails [45]\.' "$dir/verdict" || fail "the verdict does not name the error rate"
judge equal "$good"
[ "$code" = 0 ] || fail "the equal HAProxy ended with $code, not 0"
grep -q 'pass: Safe to promote' "$dir/verdict" || fail "the verdict is not a pass"
