"""What a job asks: grammar, names, evaluation."""
