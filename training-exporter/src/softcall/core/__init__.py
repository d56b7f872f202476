"""What every other package builds on: errors, output to terminals, and files read and written safely."""
