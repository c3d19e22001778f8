"""The pipeline that a team would serve by itself: encoders and LightGBM in scikit-learn."""

import sys
from pathlib import Path

import joblib
import lightgbm
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def fit(table: Path):
    frame = pd.read_csv(table)
    target = frame.pop("Churn") == "Yes"
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    unknown = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encode = make_column_transformer((unknown, texts), remainder="passthrough")
    encode.set_output(transform="pandas")
    model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1)
    return make_pipeline(encode, model).fit(frame, target), frame


if __name__ == "__main__":
    pipeline, _ = fit(Path(sys.argv[1]))
    joblib.dump(pipeline, sys.argv[2])
