"""Certified references on spectra made to defeat them, and the trial that says what became of one."""

import dataclasses
from collections import Counter

import numpy as np

from hessbench.problems.held_out.certified_trials import certified_trial
from hessbench.problems.held_out.spectra import HeldOutSpectrum, held_out_spectrum


def test_no_answer_on_spectra_made_to_defeat_it_breaks_its_bound():
    trials = [certified_trial(held_out_spectrum(seed, high=150, max_k=10)) for seed in range(60)]
    assert [trial for trial in trials if trial.outcome == "broken"] == []
    assert Counter(trial.outcome for trial in trials)["right"] >= 58


class Mistaken(HeldOutSpectrum):
    """Its matrix has another sign."""

    def build(self, dtype):
        return HeldOutSpectrum(self.name, -self.eigenvalues, self.estimand, self.seed).build(dtype)


def test_a_trial_tells_right_broken_and_refused_apart():
    spectrum = held_out_spectrum(0, high=100)
    right = certified_trial(spectrum)
    assert right.outcome == "right"
    assert 0 <= right.error <= right.bound
    assert right.products > spectrum.estimand.k
    fields = (spectrum.name, spectrum.eigenvalues, spectrum.estimand, spectrum.seed)
    broken = certified_trial(Mistaken(*fields))
    assert broken.outcome == "broken"
    assert broken.error > 0.1 * spectrum.norm
    assert "is the truth" in broken.detail
    refused = certified_trial(dataclasses.replace(spectrum, eigenvalues=spectrum.eigenvalues[:1]))
    assert (refused.outcome, refused.products) == ("refused", 0)
    assert "k must be between 1 and the dimension 1" in refused.detail
    assert np.isnan(refused.error)
