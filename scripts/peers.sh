#!/bin/sh
# Puts the programs that `make bench` compares with into a folder of their own: PyTorch and torchvision, faiss,
# TensorBoard's and W&B's writers, PIL. Nothing of the project needs them, and without them the bench measures ours alone.
#
#   scripts/peers.sh           installs what is missing, prints the Python to run peers with
#   INSTDISC_PEERS=DIR …       there instead of in the user's cache; a virtual environment that is in place is kept
#
# The versions are pinned: a ratio means something only beside the same peer. torch is the libtorch that the trainer is
# linked with. Where PyTorch's own index cannot be reached, PyPI's build is taken, on Linux the one for CUDA with its
# libraries (5 GB unpacked); on the CPU both run the same kernels.
set -eu

torch=2.11.0
others='torchvision==0.26.0 faiss-cpu==1.15.1 tensorboard==2.21.0 wandb==0.31.0 pillow==13.0.0 numpy==2.4.6'
folder=${INSTDISC_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/instdisc-lab/peers}
python=$folder/bin/python
stamp=$folder/installed
pins="torch==$torch $others"

say() { printf '%s\n' "$*" >&2; }

if [ "$(cat "$stamp" 2>/dev/null)" = "$pins" ]; then
    echo "$python"
    exit 0
fi
command -v python3 >/dev/null 2>&1 || { say "python3 is missing (the peers are Python programs): apt install python3 python3-venv"; exit 2; }
mkdir -p "$(dirname "$folder")"
if [ ! -x "$python" ]; then
    python3 -m venv "$folder" || { say "python3 cannot make a virtual environment in $folder: apt install python3-venv"; exit 2; }
fi
pip() { "$python" -m pip --disable-pip-version-check install --quiet "$@" >&2; }
say "peers: installing into $folder (once; several minutes)"
if ! "$python" -c "import torch; raise SystemExit(torch.__version__.split('+')[0] != '$torch')" 2>/dev/null; then
    cpu=https://download.pytorch.org/whl/cpu
    if "$python" -c "import urllib.request as r; r.urlopen('$cpu/torch/', timeout=10)" 2>/dev/null; then
        pip "torch==$torch" "torchvision==0.26.0" --index-url "$cpu"
    else
        pip "torch==$torch"
    fi
fi
# shellcheck disable=SC2086 # one word a package
pip $others
printf '%s\n' "$pins" >"$stamp"
echo "$python"
