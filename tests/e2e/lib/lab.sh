# For the scripts above this folder: a scratch directory, free ports, children that end with the script.

dir=$(mktemp -d)
children=""
cleanup() {
  for child in $children; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME COMMAND...: in the background, output in $dir/NAME.log
start() {
  log=$dir/$1.log
  shift
  "$@" >"$log" 2>&1 &
  children="$children $!"
}

# wait_for WHAT COMMAND...: until the command succeeds, 30 s at most
wait_for() {
  what=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "waited 30 s for $what"
  tail -n 20 "$dir"/*.log
  exit 1
}

fail() {
  echo "$*"
  tail -n 20 "$dir"/*.log
  exit 1
}
