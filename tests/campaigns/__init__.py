"""Campaigns: long searches for faults with the real server, a real chain, and a node between them that lies."""
