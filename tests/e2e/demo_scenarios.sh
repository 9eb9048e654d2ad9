#!/bin/sh
# Every scenario of the demo ends as the README promises. All run at once; each takes about a minute.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TMPDIR="$dir"

scenarios="good errors slow late flaky-dependency"
for scenario in $scenarios; do
  ( code=0; "$DAVY" demo --scenario "$scenario" --until-verdict >"$dir/$scenario" 2>&1 || code=$?; echo "$code" >"$dir/$scenario.code" ) &
done
wait

# expect SCENARIO CODE PATTERN...
expect() {
  scenario=$1 wanted=$2
  shift 2
  code=$(cat "$dir/$scenario.code")
  [ "$code" = "$wanted" ] || { echo "$scenario ended with $code, not $wanted"; cat "$dir/$scenario"; exit 1; }
  for pattern in "$@"; do
    grep -Eq "$pattern" "$dir/$scenario" || { echo "$scenario does not say: $pattern"; cat "$dir/$scenario"; exit 1; }
  done
}

expect good 0 'Verdict: pass. Safe to advance to 100%'
expect errors 1 'Verdict: fail. Roll back \(error rate\): V2 fails [45]\.[0-9]+% .* V1 0\.[0-9]+%.* 95% interval'
expect slow 1 'Verdict: fail. Roll back \(p9[59]\)'
expect late 1 'Verdict: fail. Roll back \(error rate\)'
expect flaky-dependency 0 'readyz 503  livez 200' 'is back' 'Verdict: pass'
if grep -q 'livez 503' "$dir/flaky-dependency"; then echo "liveness followed the dependency"; exit 1; fi
sed -n '/--- the inventory service is back/,$p' "$dir/flaky-dependency" | grep -q 'readyz 200  livez 200' ||
  { echo "readiness did not come back"; exit 1; }
