"""The study `capstone`: everything that the document does to one small network across its training, and its claims."""
