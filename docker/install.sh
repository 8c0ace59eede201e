#!/bin/sh
# Install Isthmus with the given extras into a virtual environment of its own.
# Usage, from the repository's root: docker/install.sh FOLDER EXTRAS [cpu|cuda]
set -eu

folder=$1
extras=$2
torch=${3:-cpu}

python3 -m venv "$folder"
case ",$extras," in
  *,client,* | *,simulation,*)
    if [ "$torch" = cpu ]; then
      # A plain PyTorch brings several gigabytes of CUDA libraries; this index has the small build.
      "$folder/bin/pip" install --constraint docker/constraints.txt \
        ${ISTHMUS_TORCH_INDEX+--index-url "$ISTHMUS_TORCH_INDEX"} torch==2.13.0
    else
      "$folder/bin/pip" install --constraint docker/constraints.txt torch==2.13.0
    fi
    ;;
esac
"$folder/bin/pip" install --constraint docker/constraints.txt ".[$extras]"
"$folder/bin/isthmus" --version
