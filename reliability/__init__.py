"""What the project promises when files, disks and processes fail: `make fuzz`, `make kill`, `make soak`, `make disks`.

Each command writes its record beside these modules; `python -m reliability.report` puts them into docs/reliability.md.
"""
