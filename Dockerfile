FROM python:3.13-slim AS build
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY emulator emulator
COPY fixtures fixtures
# Without bytecode every start takes three to four times as long.
RUN python -m venv --without-pip /opt/emulator \
 && pip --python /opt/emulator/bin/python install --no-cache-dir --no-compile --constraint constraints.txt '.[dicom,sigv4,tls]' \
 && /opt/emulator/bin/python -m compileall -q /opt/emulator

FROM python:3.13-slim
COPY --from=build /opt/emulator /opt/emulator
COPY fixtures/demo.json /seeds/
COPY --chown=10001:10001 fixtures/s3 /s3
USER 10001:10001
ENV PATH=/opt/emulator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HEALTHIMAGING_EMULATOR_HOST=0.0.0.0 \
    HEALTHIMAGING_EMULATOR_S3=/s3 \
    HEALTHIMAGING_EMULATOR_SEED=/seeds
EXPOSE 4580
HEALTHCHECK --interval=2s --timeout=2s CMD ["python", "-c", \
  "from http.client import HTTPConnection as C; c = C('127.0.0.1', 4580); c.request('HEAD', '/_emulator/health'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["healthimaging-emulator"]
CMD ["serve"]
