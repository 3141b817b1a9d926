"""What the fleet is in numbers, for those who ask every few seconds: OpenMetrics and Prometheus' text."""
