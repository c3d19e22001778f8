"""LightGBM as it comes."""

import time

import lightgbm
from contest import Contest

contest = Contest()
X, y, X_test, _ = contest.frames()
began = time.monotonic()
model = lightgbm.LGBMClassifier(n_jobs=contest.cores, random_state=42, verbose=-1).fit(X, y)
seconds = time.monotonic() - began
contest.tell(
    model.predict_proba(X_test)[:, 1], seconds, lambda: model.predict_proba(X_test.iloc[:1])
)
