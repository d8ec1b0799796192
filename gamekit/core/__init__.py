"""Decisions, pure: values in, values out, given `now`. Nothing here waits, reads a clock or raises at a peer."""
