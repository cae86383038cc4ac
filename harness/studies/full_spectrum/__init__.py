"""What the study of whole spectra runs: exact spectra of small networks, the document's pipeline on them and beyond."""
