#!/usr/bin/env bash
# Runs every test: format, static checks, unit and race tests, the functional
# battery through the real binaries, interoperability with programs that are
# not ours, and each fuzz target for a moment. Ends with "N passed, N failed".
#
#   ./test.sh          everything
#   FUZZTIME=100000x ./test.sh
set -uo pipefail
cd "$(dirname "$0")"

packages=(gcc libc6-dev rpcbind rpcsvc-proto libtirpc-dev pkg-config tshark
	python3 python3-zeep python3-pysimplesoap gsoap libgsoap-dev curl protobuf-compiler iproute2 util-linux e2fsprogs prometheus
	miniupnpd nftables b3sum systemd)

passed=0 failed=0
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

install_packages() {
	local missing=()
	for p in "${packages[@]}"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "test.sh: missing Debian packages; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log/apt" 2>&1; then
		tail -n 20 "$log/apt" >&2
		echo "test.sh: cannot install ${missing[*]}" >&2
		exit 1
	fi
}

tool() { go tool -modfile=tools.mod "$@"; }

# fetch downloads every module first, so that checks have nothing to tell of it.
fetch() {
	go mod download && go mod download -modfile=tools.mod && go -C lab mod download
}

# check NAME COMMAND...: one test, passed if the command succeeds and has
# nothing to tell but what go says of downloads.
check() {
	local name=$1 status=0 out
	shift
	"$@" >"$log/check" 2>&1 || status=$?
	out=$(grep -v '^go: downloading ' "$log/check")
	if [ "$status" -eq 0 ] && [ -z "$out" ]; then
		passed=$((passed + 1))
		echo "ok    $name"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n%s\n' "$name" "$out"
	fi
}

# gotest NAME ARGUMENTS...: go test, each test and subtest counted.
gotest() {
	local name=$1 status=0 p f
	shift
	echo "== $name"
	tool gotestsum --format pkgname --jsonfile "$log/json" -- "$@" || status=$?
	p=$(grep -c '"Action":"pass".*"Test":' "$log/json")
	f=$(grep -c '"Action":"fail".*"Test":' "$log/json")
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ] || [ "$p" -eq 0 ]; then f=$((f + 1)); fi
	passed=$((passed + p)) failed=$((failed + f))
}

formatted() { tool gofumpt -l .; }
vetted() { go vet ./... && go vet -tags interop ./... && go -C lab vet ./...; }
linted() { tool staticcheck ./... && tool staticcheck -tags interop ./...; }

# What has the build tag interop: files, their packages, their tests.
interop_files() { git ls-files -co --exclude-standard '*_test.go' | xargs grep -l '^//go:build interop'; }
interop_packages() { interop_files | xargs -n1 dirname | sort -u | sed 's,^,./,'; }
interop_tests() { interop_files | xargs grep -hoE '^func Test[A-Za-z0-9_]+' | grep -v TestMain | cut -d' ' -f2 | paste -sd'|'; }

# fuzzed runs each fuzz target for a moment; their seeds run with the tests. The
# moment is a number of inputs: at the end of a time Go 1.26 may report
# "context deadline exceeded" for a target that found nothing (go.dev/issue/75804).
fuzztime=${FUZZTIME:-5000x}
fuzzed() {
	local package target out
	for package in $(go list -f '{{.Dir}}' ./...); do
		for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go 2>/dev/null | cut -d' ' -f2); do
			out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$package" 2>&1)
			if [ $? -eq 0 ]; then
				passed=$((passed + 1))
			else
				failed=$((failed + 1))
				printf 'FAIL  %s\n%s\n' "$target" "$out"
			fi
		done
	done
}

command -v go >/dev/null || { echo "test.sh: go is not installed; lonja needs Go 1.26 or newer" >&2; exit 1; }
install_packages
fetch >"$log/fetch" 2>&1 || { cat "$log/fetch" >&2; echo "test.sh: cannot download the modules" >&2; exit 1; }
./app.sh -b || failed=$((failed + 1))

check "gofumpt" formatted
check "go mod tidy" go mod tidy -diff
check "go vet" vetted
check "staticcheck" linted
gotest "unit and functional tests, with the race detector" -race -shuffle=on -timeout 20m ./...
gotest "interoperability" -tags interop -run "^($(interop_tests))\$" -timeout 20m $(interop_packages)
echo "== fuzz targets, $fuzztime each"
fuzzed

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
