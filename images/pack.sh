#!/bin/sh
# Runs in a container: `pack.sh ROOT ARGUMENT...` installs from /wheels into /opt/mizzen below ROOT; the arguments are pip's.
# The same wheels give the same bytes. Bytecode that is never compared with its source needs no time stamp to start quickly,
# and what carries one anyway gets that of the wheels.
set -eu
root=$1
shift
/opt/mizzen/bin/python3 "$(echo /wheels/pip-*.whl)/pip" install --quiet --no-cache-dir --root-user-action ignore \
  --no-index --find-links /wheels --no-compile --root "$root" "$@"
/opt/mizzen/bin/python3 -m compileall -q -s "${root%/}" -p / --invalidation-mode unchecked-hash "$root/opt/mizzen/lib"
find "$root/opt/mizzen" -exec touch -h -d @315532800 {} +
