#!/usr/bin/env bash
# Checks deploy/ with the tools of the systems it is for: systemd-analyze, kubernetes-validate and
# promtool. A tool that is missing is an error where CI=true, and a note elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.tools/bin:$PWD/.tools/venv/bin:$PATH"

KUBERNETES_VERSION=1.37.0
# Points of exposure, out of 100, that the unit may have by systemd's own count.
EXPOSURE_AT_MOST=20

status=0
have() {
    command -v "$1" >/dev/null && return 0
    echo "check-deploy: $1 is missing (make setup installs it)" >&2
    [ "${CI:-}" != true ] || status=1
    return 1
}
run() {
    echo "+ $*"
    "$@" || status=1
}

if have systemd-analyze; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    # The binary need not be installed where this runs: any program stands in for it.
    sed "s#/usr/local/bin/portcullis#$(command -v true)#" deploy/portcullis.service \
        >"$scratch/portcullis.service"
    run systemd-analyze verify --man=no "$scratch/portcullis.service"
    run systemd-analyze security --no-pager --offline=true --threshold="$EXPOSURE_AT_MOST" \
        "$scratch/portcullis.service" >"$scratch/exposure"
    tail -n 1 "$scratch/exposure"
fi
if have kubernetes-validate; then
    run kubernetes-validate --strict -k "$KUBERNETES_VERSION" deploy/kubernetes/*.yaml
fi
if have promtool; then
    run promtool check rules deploy/prometheus/alerts.yaml
    run promtool test rules deploy/prometheus/alerts.tests.yaml
    run promtool check config deploy/prometheus/prometheus.yaml
fi
exit "$status"
