"""The measures of a checkpoint, one file each: ``training.evaluate`` runs them, and the model card shows them."""
