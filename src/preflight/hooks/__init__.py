"""What the scripts in prolog/ call."""
