"""The cheapest whole chain on recordings of one's own: train, judge, gate, with every sort of output once."""

CHAIN = """
import sys
from dataclasses import replace
from pathlib import Path
import flows.catalogue as catalogue
from tasks.cohorts.build import pseudonym_key
from tasks.cohorts.folders import reference_to
study = catalogue.STUDIES["ecg-beats"]
plan = study.phantom
job = plan.jobs["faithfulness"].model_copy(update={{
    "explainers": ("gradient", "occlusion_w10"), "contrast": (("occlusion_w10", "gradient"),),
    "thorough_quality": None, "shares": ("gradient",), "inspections": (),
}})
small = plan.model_copy(update={{
    "recipe": replace(plan.recipe, epochs=1, per_class=10), "network": {{"hidden": (4,)}}, "inspected_per_class": 1,
    "jobs": {{**plan.jobs, "faithfulness": job}},
}})
catalogue.STUDIES["ecg-beats"] = study.model_copy(update={{"phantom": small, "quick": small}})
from flows.faithfulness import faithfulness
from flows.gate import gate
from flows.train import train
data = reference_to(Path({folder!r}), pseudonym_key(Settings().root))
version = train("ecg-beats", data)["version"]
faithfulness("ecg-beats", version=version, data=data)
gate("ecg-beats", version)
"""
