"""The study of whole spectra of Hessians, of their GGN and of what is left, by sample size."""
