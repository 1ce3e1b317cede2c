"""The cheapest whole chain on recordings of one's own: train, judge, gate, and all that they write."""

CHAIN = """
import sys
unpickled = set()
sys.addaudithook(lambda event, what: unpickled.add(".".join(what)) if event == "pickle.find_class" else None)
from dataclasses import replace
from pathlib import Path
import flows.catalogue as catalogue
from tasks.cohorts.build import pseudonym_key
from tasks.cohorts.folders import reference_to
study = catalogue.STUDIES["ecg-beats"]
plan = study.phantom
job = plan.jobs["faithfulness"].model_copy(update={{
    "explainers": ("gradient", "occlusion_w10", "random", "amplitude"), "contrast": (("occlusion_w10", "gradient"),),
    "thorough_quality": None, "shares": ("gradient",), "inspections": (),
}})
small = plan.model_copy(update={{
    "recipe": replace(plan.recipe, epochs=1, per_class=10), "network": {{"hidden": (4,)}}, "inspected_per_class": 1,
    "jobs": {{**plan.jobs, "faithfulness": job}},
}})
catalogue.STUDIES["ecg-beats"] = study.model_copy(update={{"phantom": small, "quick": small}})
import mlflow
from flows.faithfulness import faithfulness
from flows.gate import gate
from flows.train import train
data = reference_to(Path({folder!r}), pseudonym_key(Settings().root))
version = train("ecg-beats", data)["version"]
faithfulness("ecg-beats", version=version, data=data)
gate("ecg-beats", version)
mlflow.pyfunc.load_model(f"models:/ecg-beats/{{version}}")
try:
    train("ecg-beats", reference_to(Path({broken!r}), pseudonym_key(Settings().root)))
except Exception as error:
    assert type(error).__name__ == "ConcealedError", repr(error)
    Path({told!r}).write_text(error.told)
else:
    raise AssertionError("nothing usable, and nothing said")
Path({classes!r}).write_text("\\n".join(sorted(unpickled)))
"""
