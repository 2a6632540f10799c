"""What a vision-language model says of pictures that a model drew from prompts: `thresher sample --judge`."""
