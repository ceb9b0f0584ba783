"""Demonstrations that train on real data and need no download."""
