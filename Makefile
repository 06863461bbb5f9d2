# Short names for those who like make; ./run does the work.
.PHONY: demo test fast lint bench dag
demo: ; ./run demo
test: ; ./run test
fast: ; ./run test --fast
lint: ; ./run test tests/test_house.py
bench: ; ./run python benchmarks/structures.py && ./run python benchmarks/datasets.py && ./run python benchmarks/fetch.py && ./run python benchmarks/embeddings.py
dag: ; ./run snakemake --rulegraph mermaid-js
