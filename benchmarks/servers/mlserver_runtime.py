"""MLServer with the ONNX session: one tensor for each column."""

import os
from pathlib import Path

from encoder import Encoder
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from session import open_session


class Churn(MLModel):
    async def load(self) -> bool:
        folder = Path(os.environ["MODEL"])
        self.encoder, self.score = Encoder(folder), open_session(folder)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        names = [tensor.name for tensor in payload.inputs]
        columns = [tensor.data.root for tensor in payload.inputs]
        records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        chances = self.score(self.encoder.matrix(records))[:, 1]
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                ResponseOutput(
                    name="probability",
                    shape=[len(chances)],
                    datatype="FP64",
                    data=chances.tolist(),
                )
            ],
        )
