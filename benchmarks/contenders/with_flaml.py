"""FLAML with its own choice of learners."""

import time

from contest import Contest
from flaml import AutoML

contest = Contest()
X, y, X_test, _ = contest.frames()
began = time.monotonic()
model = AutoML()
model.fit(
    X,
    y,
    task="classification",
    metric="roc_auc",
    time_budget=contest.budget,
    n_jobs=contest.cores,
    split_type="time" if contest.meta["time"] else "auto",
    seed=42,
    verbose=0,
)
seconds = time.monotonic() - began
contest.tell(
    model.predict_proba(X_test)[:, 1],
    seconds,
    lambda: model.predict_proba(X_test.iloc[:1]),
    best=model.best_estimator,
)
