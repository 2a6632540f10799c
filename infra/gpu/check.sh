#!/usr/bin/env bash
# Every check and bench that needs a CUDA device, in one command, from a clone: infra/gpu/check.sh
# VLLM_PYTHON: the Python of an environment with '.[vllm,dev]', for what needs vLLM; without it that is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}

"$python" -c 'import torch; assert torch.cuda.is_available(), "torch sees no CUDA device"; print(torch.cuda.get_device_name())'
"$python" -m pytest -m gpu
PYTHONPATH=. "$python" infra/gpu/train.py --steps "${STEPS:-200}"
"$python" infra/bench/score.py --device cuda --images "${IMAGES:-20000}"
"$python" infra/gpu/chat.py --backend transformers --records "${RECORDS:-512}"
if [ -n "${VLLM_PYTHON:-}" ]; then
  "$VLLM_PYTHON" -m pytest -m gpu tests/models/chat/test_local_gpu.py
  "$VLLM_PYTHON" infra/gpu/chat.py --backend vllm --records "${RECORDS:-512}"
else
  echo "VLLM_PYTHON is not set: nothing of vLLM was checked"
fi
