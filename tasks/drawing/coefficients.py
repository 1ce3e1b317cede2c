"""Figure 4 of Ellis et al. (2021): effects of subject and drug on the shares of relevance, as the paper and as corrected."""
