#!/bin/sh
# The tests that speak to PostgreSQL, Redis and Prometheus start their own servers; this installs
# them where that is possible. Without one of them its tests skip and say so.
set -eu
missing=""
{ command -v pg_config >/dev/null 2>&1 && [ -x "$(pg_config --bindir)/initdb" ]; } ||
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="postgresql"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get -qq update >/dev/null
  for package in $missing; do
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$package" >/dev/null ||
      echo "setup: $package could not be installed; its tests will skip" >&2
  done
fi
