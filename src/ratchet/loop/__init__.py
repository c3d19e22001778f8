"""The daemon: tick after tick, it watches many projects and does for each what is due."""
