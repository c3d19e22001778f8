"""Alerts: telling people, with nothing lost on the way."""
