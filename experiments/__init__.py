from experiments import huge_pages

huge_pages.ask()
