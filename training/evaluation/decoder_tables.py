"""The tables of ``bench.autoencoder`` on the model card."""

from __future__ import annotations

from training.evaluation.base import Section
from training.tables import table_of


class DecoderTables(Section):
    name = "autoencoder"
    order = 6
    accumulates = True

    def card_section(self, figures):
        parts = [
            "### Decoded features",
            "The tables show means with 95 % intervals. The decoder of the standard classifier was trained with the "
            "same settings, pictures and steps as the decoder of the robust one.",
        ]
        for name, entry in figures.items():
            parts += [f"{name.capitalize()} (`{entry['command']}`):", table_of(entry["rows"])]
        return parts
