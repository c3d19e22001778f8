"""What a data scientist writes by hand for one LightGBM model, logged to MLflow.

    python plain_script.py TABLE.csv TARGET POSITIVE MLFLOW_FOLDER PARAMS_JSON [DROPPED_COLUMN ...]

The other side of ``overhead.py``: it reads the same file, splits off the same share, trains with
the same parameters, computes the same metrics, draws the same plots and registers the model as a
version with an alias, in a fresh MLflow store of the same kind. It checks, gates, pins and proves
nothing. It is written to be quick: native LightGBM, categories as codes, no inferred requirements.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightgbm as lgb
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.model_selection import train_test_split


def read(
    path: str, target: str, positive: str, dropped: list[str]
) -> tuple[pd.DataFrame, pd.Series]:
    table = pd.read_csv(path, na_values=["", " ", "?"])
    table = table.drop_duplicates().drop(columns=dropped)
    y = (table.pop(target).astype(str) == positive).astype("int32")
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].astype("category")
    return table, y


def score(y: pd.Series, proba: np.ndarray) -> dict[str, float]:
    found = proba >= 0.5
    return {
        "accuracy": metrics.accuracy_score(y, found),
        "precision": metrics.precision_score(y, found, zero_division=0),
        "recall": metrics.recall_score(y, found, zero_division=0),
        "f1": metrics.f1_score(y, found, zero_division=0),
        "roc_auc": metrics.roc_auc_score(y, proba),
        "pr_auc": metrics.average_precision_score(y, proba),
        "log_loss": metrics.log_loss(y, proba),
    }


def draw(y: pd.Series, proba: np.ndarray, booster: lgb.Booster) -> dict[str, plt.Figure]:
    figures = {
        name: plt.figure() for name in ("confusion", "roc", "pr", "calibration", "importance")
    }
    axes = {name: figure.subplots() for name, figure in figures.items()}
    matrix = metrics.confusion_matrix(y, proba >= 0.5)
    metrics.ConfusionMatrixDisplay(matrix).plot(ax=axes["confusion"])
    fpr, tpr, _ = metrics.roc_curve(y, proba)
    axes["roc"].plot(fpr, tpr)
    precision, recall, _ = metrics.precision_recall_curve(y, proba)
    axes["pr"].plot(recall, precision)
    share, mean = calibration_curve(y, proba, n_bins=10, strategy="quantile")
    axes["calibration"].plot(mean, share, marker="o")
    gain = pd.Series(booster.feature_importance("gain"), booster.feature_name())
    gain.sort_values().tail(20).plot.barh(ax=axes["importance"])
    return figures


def main() -> None:
    path, target, positive, folder, params, *dropped = sys.argv[1:]
    plt.switch_backend("agg")
    settings = json.loads(params)
    rounds = settings.pop("num_iterations")
    X, y = read(path, target, positive, dropped)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=42
    )
    booster = lgb.train(settings, lgb.Dataset(X_train, y_train), rounds)
    proba = booster.predict(X_test)
    found = score(y_test, proba)

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.create_experiment(
        "plain", artifact_location=(Path(folder) / "artifacts").as_uri()
    )
    with mlflow.start_run(experiment_id=experiment):
        mlflow.log_params({**settings, "num_iterations": rounds})
        mlflow.log_metrics(found)
        mlflow.log_dict(
            metrics.classification_report(y_test, proba >= 0.5, output_dict=True), "report.json"
        )
        for name, figure in draw(y_test, proba, booster).items():
            mlflow.log_figure(figure, f"plots/{name}.png")
        info = mlflow.lightgbm.log_model(
            booster,
            name="model",
            signature=infer_signature(X_test.head(100), proba[:100]),
            pip_requirements=[f"lightgbm=={lgb.__version__}", f"pandas=={pd.__version__}"],
            registered_model_name="plain",
        )
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("plain", "champion", info.registered_model_version)
    print(json.dumps({"metrics": found, "train": len(X_train), "test": len(X_test)}))


if __name__ == "__main__":
    main()
