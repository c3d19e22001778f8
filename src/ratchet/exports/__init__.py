"""Files for other tools: dashboards and alert rules made from what Ratchet measures."""
