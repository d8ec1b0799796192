"""What proves the contracts from outside, on a real chain."""
