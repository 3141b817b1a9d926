"""What an environment, a wheel or a binary holds: pure reading as the user, nothing is run, loaded or imported."""
