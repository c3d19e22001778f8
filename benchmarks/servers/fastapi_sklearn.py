"""What teams write themselves: FastAPI, pandas and the pipeline."""

import os
import sys
import warnings

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

warnings.simplefilter("ignore")
pipeline = joblib.load(os.environ["MODEL"] + "/pipeline.joblib")
app = FastAPI()


class Asked(BaseModel):
    records: list[dict]


@app.get("/")
def healthy():
    return {}


@app.post("/predict")
async def predict(asked: Asked):
    chances = pipeline.predict_proba(pd.DataFrame(asked.records))[:, 1].tolist()
    return {
        "predictions": [{"label": "Yes" if p >= 0.5 else "No", "probability": p} for p in chances]
    }


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
