"""What lies in an export: where each sample is, how long its texts are, and its bytes."""
