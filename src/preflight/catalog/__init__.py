"""What is known about CUDA, drivers, GPUs and distributions."""
