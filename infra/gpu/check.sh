#!/usr/bin/env bash
# Every check and bench that needs a CUDA device, in one command, from a clone: infra/gpu/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}

"$python" -c 'import torch; assert torch.cuda.is_available(), "torch sees no CUDA device"; print(torch.cuda.get_device_name())'
"$python" -m pytest -m gpu
"$python" infra/bench/score.py --device cuda --images "${IMAGES:-20000}"
