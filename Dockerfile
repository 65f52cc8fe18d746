# One recipe, two images:
#   docker build -t vitrina .                              every process but the embedder with Gemini
#   docker build -t vitrina-embedder --build-arg LOCK=embedder .
# google-generativeai holds protobuf below 6, so it lives in the second one alone.
FROM python:3.11-slim

ARG LOCK=services
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH
WORKDIR /app

COPY requirements/${LOCK}.lock requirements.lock
RUN python -m venv /venv && pip install --no-cache-dir --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY services services
RUN python protos/generate.py \
    && pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && useradd --system --home /data vitrina && mkdir /data && chown vitrina /data

USER vitrina
ENV VITRINA_DATA_DIR=/data ENVIRONMENT=production
VOLUME /data
ENTRYPOINT ["python", "-m"]
CMD ["services.gateway"]
