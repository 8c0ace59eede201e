#!/bin/sh
# Install Isthmus with the given extras into a virtual environment of its own.
# Usage, from the repository's root: docker/install.sh FOLDER EXTRAS [cpu|cuda]
#   ISTHMUS_TORCH_INDEX   index that has PyTorch without CUDA; empty = the usual one
set -eu

folder=$1
extras=$2
torch=${3:-cpu}

if [ "$torch" != cpu ] && [ "$torch" != cuda ]; then
  echo "there is cpu and cuda, not $torch" >&2
  exit 2
fi

# Exact versions, of what builds the package too (its build environment reads the same variables).
PIP_CONSTRAINT=$PWD/docker/constraints.txt
PIP_BUILD_CONSTRAINT=$PIP_CONSTRAINT
export PIP_CONSTRAINT PIP_BUILD_CONSTRAINT

python3 -m venv "$folder"
case "$torch,$extras," in
  cpu,client,* | cpu,*,client,*)
    # First and alone: the usual build brings several gigabytes of CUDA libraries.
    "$folder/bin/pip" install ${ISTHMUS_TORCH_INDEX:+--index-url "$ISTHMUS_TORCH_INDEX"} torch
    ;;
esac
"$folder/bin/pip" install ".[$extras]"
"$folder/bin/isthmus" --version
