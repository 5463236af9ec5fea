"""Why a model errs more than on its reference: another mix of what it is asked, or another relation to the truth."""
