FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist . \
    && python -m venv /opt/sqslite \
    && /opt/sqslite/bin/pip install --no-cache-dir "$(ls dist/*.whl)[grpc]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sqslite \
    && install --directory --owner=sqslite --group=sqslite /var/lib/sqslite
COPY --from=build /opt/sqslite /opt/sqslite
ENV PATH=/opt/sqslite/bin:$PATH PYTHONUNBUFFERED=1 PORT=8080
# Where SQLite's file lies when DATABASE_URL is not set.
WORKDIR /var/lib/sqslite
# By number, so that an orchestrator that forbids root can see that it is not root.
USER 10001
# gRPC, where GRPC_PORT says so; and REST.
EXPOSE 50051
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["sqslite"]
CMD ["serve", "--host", "0.0.0.0"]
