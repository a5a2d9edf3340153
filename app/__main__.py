"""`python -m app`: the `codex2api` command."""

from app.cli.main import main

if __name__ == "__main__":
    main()
