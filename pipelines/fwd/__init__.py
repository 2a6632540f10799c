"""`thresher fwd`: how far each source lies from camera pictures of its own sizes and qualities, as a set."""
