#!/bin/sh
# certificates.acme.dns.exec: sets and clears the TXT records of dns-01 with nsupdate. Called as
#   dns-hook.sh set|clear _acme-challenge.example.com VALUE
# It reads the key from a file (tsig-keygen writes one), as its environment has no secrets.
set -eu

KEY=${KEY:-/etc/portcullis/acme-update.key}
SERVER=${SERVER:-127.0.0.1}
PORT=${PORT:-53}
TTL=60

verb=$1 name=$2 value=$3
case $verb in
set) change="update add $name. $TTL TXT \"$value\"" ;;
# Only the record with this value: another order may have one of the same name.
clear) change="update delete $name. TXT \"$value\"" ;;
*)
    echo "unknown: $verb" >&2
    exit 64
    ;;
esac

nsupdate -v -k "$KEY" <<END
server $SERVER $PORT
$change
send
END
