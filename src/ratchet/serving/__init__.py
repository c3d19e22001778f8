"""The server: champion and challengers behind HTTP, every answer kept."""
