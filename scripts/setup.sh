#!/usr/bin/env bash
# Installs what a build or the tests need beyond Rust, gcc and make, on Debian 12 or newer.
#
#   scripts/setup.sh build   what the build needs
#   scripts/setup.sh test    that, and the real third parties of the tests (default)
#   scripts/setup.sh conformance  that, and the gateways that `make conformance` compares with
#
# Does nothing, quickly, where all is there. Needs root or sudo only for packages that are missing.
# What is not a Debian package goes to .tools/ in this folder.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-test}
case $mode in
build | test | conformance) ;;
*)
    echo "usage: scripts/setup.sh [build|test|conformance]" >&2
    exit 2
    ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: run this as root, or install sudo: $*" >&2
        exit 1
    fi
}

# Packages of Debian whose program is not there yet.
packages=()
want() {
    command -v "$1" >/dev/null || packages+=("$2")
}

apt_updated=
apt_update() {
    [ -n "$apt_updated" ] || as_root apt-get update -q
    apt_updated=yes
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    echo "setup: installing ${packages[*]}"
    apt_update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}"
    stop_services
}

# The tests start their own, on ports of their own: what came with a service of the machine shall not
# run because of them.
stop_services() {
    [ -d /run/systemd/system ] || return 0
    local package
    for package in "${packages[@]}"; do
        case $package in
        bind9) as_root systemctl disable -q --now named.service ;;
        haproxy) as_root systemctl disable -q --now haproxy.service ;;
        esac
    done
}

# promtool comes with a server that Debian starts at once; only the tool is taken out.
install_promtool() {
    command -v promtool >/dev/null || [ -x .tools/bin/promtool ] || {
        echo "setup: taking promtool out of Debian's prometheus"
        apt_update
        local scratch
        scratch=$(mktemp -d)
        # apt gives up root for the download and needs to write there.
        chmod 755 "$scratch"
        (cd "$scratch" && apt-get download -q -o APT::Sandbox::User=root prometheus)
        dpkg-deb --extract "$scratch"/prometheus_*.deb "$scratch/out"
        mkdir -p .tools/bin
        install -m 755 "$scratch/out/usr/bin/promtool" .tools/bin/promtool
        rm -rf "$scratch"
    }
}

# Runs its other arguments if the files named before `--` changed since the last time.
if_changed() {
    local stamp=$1 sum
    shift
    local files=()
    while [ "$1" != -- ]; do
        files+=("$1")
        shift
    done
    shift
    sum=$(cat "${files[@]}" | sha256sum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
    "$@"
    mkdir -p "$(dirname "$stamp")"
    echo "$sum" >"$stamp"
}

python_requirements=(examples/fastapi/requirements.txt tests/e2e/parties/requirements.txt)
install_python() {
    echo "setup: python packages into .tools/venv"
    rm -rf .tools/venv
    python3 -m venv .tools/venv
    local file arguments=()
    for file in "${python_requirements[@]}"; do arguments+=(-r "$file"); done
    .tools/venv/bin/pip install -q --disable-pip-version-check "${arguments[@]}"
}

# In a folder of their own: they ask for older libraries than the other parties.
install_scanners() {
    echo "setup: scanners into .tools/scanners"
    rm -rf .tools/scanners
    python3 -m venv .tools/scanners
    .tools/scanners/bin/pip install -q --disable-pip-version-check -r tests/e2e/parties/scanners.txt
}

install_old() {
    echo "setup: old servers into .tools/old"
    rm -rf .tools/old
    python3 -m venv .tools/old
    .tools/old/bin/pip install -q --disable-pip-version-check -r tests/e2e/parties/old.txt
}

install_peers() {
    echo "setup: other gateways into .tools/peers"
    rm -rf .tools/peers
    python3 -m venv .tools/peers
    .tools/peers/bin/pip install -q --disable-pip-version-check -r tests/e2e/parties/peers.txt
}

install_node() {
    echo "setup: node packages into .tools/node"
    mkdir -p .tools/node
    cp tests/e2e/parties/package.json tests/e2e/parties/package-lock.json .tools/node/
    (cd .tools/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}

want cmake cmake
want curl curl
if [ "$mode" != build ]; then
    want python3 python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
    want node nodejs
    want npm npm
    want chromium chromium
    want haproxy haproxy
    want openssl openssl
    want pebble pebble
    want sslscan sslscan
    want named bind9
    want systemd-analyze systemd
fi
if [ "$mode" = conformance ]; then
    # Programs alone: neither may start as a service.
    [ -x /usr/sbin/nginx ] || packages+=(nginx)
    [ -x /usr/sbin/haproxy ] || packages+=(haproxy)
fi
install_packages
if [ "$mode" = conformance ]; then
    if_changed .tools/peers/.installed tests/e2e/parties/peers.txt -- install_peers
fi
if [ "$mode" != build ]; then
    install_promtool
    if_changed .tools/venv/.installed "${python_requirements[@]}" -- install_python
    if_changed .tools/scanners/.installed tests/e2e/parties/scanners.txt -- install_scanners
    if_changed .tools/old/.installed tests/e2e/parties/old.txt -- install_old
    if_changed .tools/node/.installed tests/e2e/parties/package.json \
        tests/e2e/parties/package-lock.json -- install_node
fi
echo "setup: all there for $mode"
