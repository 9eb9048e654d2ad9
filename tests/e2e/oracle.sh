#!/bin/sh
# davy's statistics agree with an independent reading of the formulae (tests/oracle) on 1,000 fresh
# random cases. The seed is the date's, or DAVY_SEED's; it is printed, so that a day that fails can be
# had again.
set -eu
cases=$(mktemp)
trap 'rm -f "$cases"' EXIT
seed=${DAVY_SEED:-$(date -u +%Y%m%d)}
echo "DAVY_SEED=$seed"
python3 "$(dirname "$0")/../oracle/oracle.py" 1000 "$seed" >"$cases"
"$(dirname "$DAVY")/tests/davy_oracle" <"$cases"
