"""The chat role in this process: a vision-language model of transformers, or the engine of vLLM."""
