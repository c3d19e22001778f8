"""Logs the pipeline as an MLflow model in a folder."""

import sys
import warnings
from pathlib import Path

import mlflow
from fit_pipeline import fit

warnings.simplefilter("ignore")
pipeline, frame = fit(Path(sys.argv[1]))
mlflow.sklearn.save_model(
    pipeline,
    sys.argv[2],
    serialization_format="cloudpickle",
    signature=mlflow.models.infer_signature(frame, pipeline.predict(frame)),
    pip_requirements=["scikit-learn", "lightgbm", "pandas"],
    pyfunc_predict_fn="predict_proba",
)
