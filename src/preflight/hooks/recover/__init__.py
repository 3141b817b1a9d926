"""What follows a drain where the policy's [recover] asks for it: evidence, a reboot by Slurm, a command of the site."""
