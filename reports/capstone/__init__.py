"""The study `capstone`: the spectra of a small network across its training, judged and drawn."""
