"""``python -m cortexsim`` is ``cortexsim``."""

from .cli import main

main()
