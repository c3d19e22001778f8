"""What is watched: profiles, drift, labels, performance, health and delivery."""
