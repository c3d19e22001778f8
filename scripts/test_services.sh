#!/bin/sh
# The tests that speak to PostgreSQL start their own server; this installs it where that is
# possible. Without it those tests skip and say so.
set -eu
command -v pg_config >/dev/null 2>&1 && [ -x "$(pg_config --bindir)/initdb" ] && exit 0
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get -qq update >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql >/dev/null ||
    echo "setup: PostgreSQL could not be installed; its tests will skip" >&2
fi
