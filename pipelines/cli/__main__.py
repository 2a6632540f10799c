"""`python -m thresher.pipelines.cli`."""

from thresher.pipelines.cli import main

main()
