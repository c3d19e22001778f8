"""The floor: a bare ASGI app that decodes the JSON, runs the session and encodes the answer."""

import os
import sys
from pathlib import Path

import msgspec
import uvicorn
from encoder import Encoder
from session import open_session

FOLDER = Path(os.environ["MODEL"])
encoder, score = Encoder(FOLDER), open_session(FOLDER)
decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
HEADERS = [(b"content-type", b"application/json")]


async def app(scope, receive, send):
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["method"] == "GET":
        body = b"{}"
    else:
        asked = decode(b"".join(parts))
        records = asked["records"] if "records" in asked else [asked["record"]]
        chances = score(encoder.matrix(records)).tolist()
        body = encode(
            {
                "predictions": [
                    {
                        "label": "Yes" if yes >= 0.5 else "No",
                        "probabilities": {"No": no, "Yes": yes},
                    }
                    for no, yes in chances
                ]
            }
        )
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
