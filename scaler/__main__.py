"""`python -m scaler` is `foresail`."""

from scaler.cli.main import main

raise SystemExit(main())
