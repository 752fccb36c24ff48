.PHONY: check lint types test slow wheel clean

check: lint types test  ## everything that must hold before a commit

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	.venv/bin/mypy

test:
	.venv/bin/pytest

slow:
	.venv/bin/pytest -m slow

wheel:
	.venv/bin/python -m build --wheel

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
