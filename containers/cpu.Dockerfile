# recast on the processor. From the root of the repository:
#   docker build -f containers/cpu.Dockerfile -t recast .
#   docker run --rm -v "$PWD:/clips" recast edit dance.mp4 -p "a snowy field" -o snow.mp4
#   docker run --rm -p 127.0.0.1:7860:7860 -v recast:/data recast serve --host 0.0.0.0 \
#     --token "$(openssl rand -hex 16)" --allow-host 127.0.0.1:7860
FROM python:3.11-slim-bookworm
RUN useradd --create-home recast && mkdir /data /clips && chown recast /data /clips
WORKDIR /recast
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
ENV PIP_CONSTRAINT=constraints.txt PIP_NO_CACHE_DIR=1 HF_HUB_OFFLINE=1 RECAST_DATA=/data
# --build-arg INDEX=... is the index of PyTorch's builds for the processor, which pytorch.org names; they are smaller.
ARG INDEX=
RUN pip install ${INDEX:+--index-url $INDEX} torch==2.13.0 && pip install '.[app]'
USER recast
RUN recast doctor
WORKDIR /clips
VOLUME ["/data", "/clips"]
ENTRYPOINT ["recast"]
CMD ["--help"]
