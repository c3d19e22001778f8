"""BentoML with the ONNX session."""

import os
from pathlib import Path

import bentoml
from encoder import Encoder
from session import open_session

FOLDER = Path(os.environ["MODEL"])


@bentoml.service(workers=1)
class Churn:
    def __init__(self) -> None:
        self.encoder, self.score = Encoder(FOLDER), open_session(FOLDER)

    @bentoml.api
    async def predict(self, records: list[dict]) -> list[dict]:
        chances = self.score(self.encoder.matrix(records))[:, 1].tolist()
        return [{"label": "Yes" if p >= 0.5 else "No", "probability": p} for p in chances]
