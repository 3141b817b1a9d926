prepend_path("PATH", "/projects/lab/bin")
