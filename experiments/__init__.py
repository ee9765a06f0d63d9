from experiments.cli import huge_pages

huge_pages.ask()
