#!/usr/bin/env bash
# Builds, runs and cleans lonja. See ./app.sh -h.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
	cat <<'TEXT'
usage: ./app.sh -b | -r | -c | -h

  -b  build everything; the binary is bin/lonja
  -r  build if needed, then bring the whole system up on this machine
      (lonja up; what follows -r is passed on: ./app.sh -r --once)
  -c  remove all that was built or left by tests
  -h  show this help

Needs Go 1.26 or newer. ./test.sh runs every test.
TEXT
}

build() {
	if ! command -v go >/dev/null; then
		echo "app.sh: go is not installed; lonja needs Go 1.26 or newer (https://go.dev/dl/)" >&2
		exit 1
	fi
	local version
	version=$(git describe --tags --always --dirty 2>/dev/null || echo dev)
	go build -trimpath -ldflags "-s -w -X main.version=$version" -o bin/lonja ./cmd/lonja
	echo "built bin/lonja"
}

# stale is true if there is no binary, or a source newer than it.
stale() {
	[ ! -x bin/lonja ] || [ -n "$(find . -newer bin/lonja \( -name '*.go' -o -name 'go.*' -o -name '*.wsdl' -o -path './internal/*.txt' \) -print -quit)" ]
}

case "${1:-}" in
-b) build ;;
-r)
	if stale; then build; fi
	shift
	exec bin/lonja up "$@"
	;;
-c)
	rm -rf bin .cache testdata/functional/output
	echo "removed bin, .cache and testdata/functional/output"
	;;
-h) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
