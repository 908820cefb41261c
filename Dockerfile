# docker build -t touchstone . ; docs/ci/README.md says how to use it.
FROM python:3.12-slim

COPY . /usr/src/touchstone
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore /usr/src/touchstone
RUN useradd --uid 1883 --user-group --no-create-home --shell /usr/sbin/nologin touchstone
RUN install -d -o touchstone -g touchstone /var/lib/touchstone
COPY docs/ci/container.conf /etc/touchstone/touchstone.conf

USER 1883:1883
WORKDIR /var/lib/touchstone
EXPOSE 1883 8883 8884

# The forms without a shell: SIGTERM arrives at the broker, which writes its reports and ends.
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["touchstone", "--health", "-c", "/etc/touchstone/touchstone.conf"]
ENTRYPOINT ["touchstone"]
CMD ["-c", "/etc/touchstone/touchstone.conf"]
