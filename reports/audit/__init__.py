"""What methods were asked for, report and do, and what they say of their answers that is not so."""
