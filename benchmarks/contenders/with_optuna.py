"""LightGBM tuned by Optuna: 5 folds, early stopping, TPE until the time is up, one final fit."""

import time

import lightgbm
import numpy as np
import optuna
from contest import Contest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

contest = Contest()
X, y, X_test, _ = contest.frames()
began = time.monotonic()
folds = list(StratifiedKFold(5, shuffle=True, random_state=42).split(X, y))
slowest = 0.0


def fit(params, X, y, rounds, watch=None):
    model = lightgbm.LGBMClassifier(
        **params, n_estimators=rounds, n_jobs=contest.cores, random_state=42, verbose=-1
    )
    if watch is None:
        return model.fit(X, y)
    stop = [lightgbm.early_stopping(30, verbose=False)]
    return model.fit(X, y, eval_set=[watch], eval_metric="auc", callbacks=stop)


def objective(trial):
    global slowest
    started = time.monotonic()
    params = {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 255, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 200, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "subsample_freq": 1,
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-8, 10.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-8, 10.0, log=True),
    }
    scores, rounds = [], []
    for number, (train, score) in enumerate(folds):
        watch = (X.iloc[score], y.iloc[score])
        model = fit(params, X.iloc[train], y.iloc[train], 1000, watch)
        scores.append(roc_auc_score(y.iloc[score], model.predict_proba(X.iloc[score])[:, 1]))
        rounds.append(model.best_iteration_)
        trial.report(float(np.mean(scores)), number)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("rounds", int(np.mean(rounds)))
    trial.set_user_attr("params", params)
    slowest = max(slowest, time.monotonic() - started)
    return float(np.mean(scores))


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=42))
while time.monotonic() - began + slowest / 3 < contest.budget * 0.93:
    study.optimize(objective, n_trials=1)
best = study.best_trial.user_attrs
model = fit(best["params"], X, y, max(1, int(best["rounds"] * 1.1)))
seconds = time.monotonic() - began
contest.tell(
    model.predict_proba(X_test)[:, 1],
    seconds,
    lambda: model.predict_proba(X_test.iloc[:1]),
    trials=len(study.trials),
)
