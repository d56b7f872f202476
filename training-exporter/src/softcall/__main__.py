"""`python -m softcall`, which `accelerate launch -m softcall` runs too."""

from softcall.cli import main

main()
