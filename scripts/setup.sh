#!/bin/sh
# Makes .venv with Ratchet and what its development needs. Safe to run again: it does
# nothing when the build file and the pins have not changed.
set -eu
cd "$(dirname "$0")/.."
want=$(cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)
[ -f .venv/.ready ] && [ "$(cat .venv/.ready)" = "$want" ] && exit 0

install_package() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get -qq update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
  else
    echo "setup: please install: $*" >&2
    return 1
  fi
}

python=""
for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3; do
  if command -v "$candidate" >/dev/null 2>&1 &&
     "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { install_package python3 python3-venv; python=python3; }

rm -f .venv/.ready
if [ ! -x .venv/bin/pip ]; then
  rm -rf .venv
  "$python" -m venv .venv 2>/dev/null || {
    rm -rf .venv
    install_package python3-venv "$(basename "$python")-venv" || install_package python3-venv
    "$python" -m venv .venv
  }
fi
# LightGBM's wheel expects the system's OpenMP runtime.
if ! ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1'; then
  install_package libgomp1
fi
echo "setup: installing into .venv (a minute or two)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
# Bytecode is made at the end, by all processors.
install() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt "$@"
}
install --group dev -e '.[xgboost,postgres,redis,alerts]'
# PyTorch without CUDA, where pip knows of such a build; PyPI's own takes gigabytes. Without it the
# network's tests are skipped.
install 'torch==2.13.0+cpu' 2>/dev/null ||
  echo "setup: no CPU build of PyTorch here; its tests will be skipped" >&2
# Not of what nothing here loads; what does not compile is a template of some package.
.venv/bin/python -m compileall -q -j 0 -x '/(tests|sympy|networkx|_inductor|_dynamo)/' .venv/lib >/dev/null 2>&1 || true
printf %s "$want" > .venv/.ready
