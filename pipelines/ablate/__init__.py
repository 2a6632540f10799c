"""`thresher ablate A B`: which of two sets a trainer learns more from, under one plan and paired seeds."""
